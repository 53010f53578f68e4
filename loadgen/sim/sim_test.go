package sim

import (
	"testing"
	"time"
)

// A fleet without faults carries every message.
func TestCalmFleet(t *testing.T) {
	rep, err := run(Config{Seed: 1, For: 10 * time.Minute, NoFaults: true}, sound, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *rep)
	if !rep.OK() {
		t.Fatal(rep.Failure)
	}
}

func TestFaults(t *testing.T) {
	for seed := range uint64(4) {
		start := time.Now()
		rep, err := run(Config{Seed: seed, For: time.Hour}, sound, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d in %v: %d events, trace %s, %d acked, %d calms, %d elections, %v", seed, time.Since(start), rep.Events, rep.Trace, rep.Acked, rep.Calms, rep.Elections, rep.Faults)
		if !rep.OK() {
			t.Errorf("seed %d: %v", seed, rep.Failure)
		}
	}
}

package sim

import (
	"strings"
	"testing"
	"time"
)

// A fleet without faults carries every message, and is at rest at the end.
func TestCalmFleet(t *testing.T) {
	rep, err := Run(Config{Seed: 1, For: 10 * time.Minute, NoFaults: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK() {
		t.Fatal(rep.Failure)
	}
	if rep.Acked != rep.Messages || rep.Acked < 300 || rep.Calms != 1 {
		t.Errorf("%d of %d messages were acknowledged, the fleet was found in order %d times", rep.Acked, rep.Messages, rep.Calms)
	}
	for no, v := range rep.Verdicts {
		if v.Seen != v.Acked || !v.OK() {
			t.Errorf("device %d: %+v", no, v)
		}
	}
}

// Every promise holds through an hour of faults.
func TestFaults(t *testing.T) {
	for seed := range uint64(3) {
		rep, err := Run(Config{Seed: seed, For: time.Hour}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !rep.OK() {
			t.Errorf("seed %d: %v", seed, rep.Failure)
		}
		if len(rep.Faults) < len(faultNames)-2 || rep.Elections < 20 || rep.Calms < 5 {
			t.Errorf("seed %d: too little happened: %+v", seed, rep)
		}
	}
}

// A seed is a run, down to the bytes that were delivered; another is another.
func TestSeedReplays(t *testing.T) {
	trace := func(seed uint64) string {
		rep, err := Run(Config{Seed: seed, For: 15 * time.Minute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return rep.Trace
	}
	one, again, other := trace(11), trace(11), trace(12)
	if one != again {
		t.Errorf("seed 11 led to %s and to %s", one, again)
	}
	if one == other {
		t.Errorf("seeds 11 and 12 both led to %s", one)
	}
}

// Each planted fault is found within its budget of simulated hours, and named.
func TestPlantedFaults(t *testing.T) {
	tests := []struct {
		name   string
		plant  plant
		budget int // hours
		kinds  string
	}{
		{"ack before sync", ackBeforeSync, 2, "duplicated lost stuck replicas differ model"},
		{"outbox lost", outboxLost, 2, "stuck gap"},
		{"dedupe forgotten", dedupeForgotten, 2, "duplicated replicas differ"},
		{"stale reads", staleReads, 4, "stale read"},
		{"cursor back", cursorBack, 1, "cursor back"},
		{"cursor ahead", cursorAhead, 2, "stuck gap"},
		{"push without guard", unguarded, 2, "pushed twice gap stuck"},
		{"done early", doneEarly, 8, "stuck gap"},
		{"receipt back", receiptBack, 1, "receipt back"},
		{"open early", openEarly, 8, "stuck gap"},
		{"resync early", resyncEarly, 4, "stuck gap"},
		{"log cut before sync", trimBeforeSync, 2, "hole"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for hour := range tt.budget {
				rep, err := run(Config{Seed: uint64(100 + hour), For: time.Hour, FaultEvery: 6 * time.Second, CalmEvery: 4 * time.Minute, Rate: 4}, tt.plant, nil)
				if err != nil {
					t.Fatal(err)
				}
				if f := rep.Failure; f != nil {
					t.Logf("%d h and %v: %v", hour, rep.Simulated.Truncate(time.Second), f)
					if !strings.Contains(tt.kinds, f.Kind) {
						t.Errorf("found as %q, want one of %q", f.Kind, tt.kinds)
					}
					return
				}
			}
			t.Errorf("not found in %d simulated hours", tt.budget)
		})
	}
}

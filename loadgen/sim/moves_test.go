package sim

import (
	"testing"
	"time"
)

// Replicas go from node to node under faults, and nothing is lost on the way.
func TestMoves(t *testing.T) {
	for seed := range uint64(2) {
		rep, err := Run(Config{Seed: seed, For: time.Hour, Cores: 5}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !rep.OK() {
			t.Errorf("seed %d: %v", seed, rep.Failure)
		}
		if rep.Moves < 10 {
			t.Errorf("seed %d: only %d replicas were moved", seed, rep.Moves)
		}
	}
}

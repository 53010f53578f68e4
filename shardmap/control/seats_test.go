package control

import (
	"errors"
	"testing"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/wire"
)

// What the second process of a node is told, by what the first does meanwhile.
func TestSeats(t *testing.T) {
	type call struct {
		at   wire.Millis
		who  string
		want string // "in", "wait" or "no"
	}
	for name, calls := range map[string][]call{
		"one process":             {{0, "a", "in"}, {1000, "a", "in"}, {9000, "a", "in"}},
		"killed and started":      {{0, "a", "in"}, {1000, "b", "wait"}, {2999, "b", "wait"}, {3000, "b", "in"}, {3500, "b", "in"}},
		"started late":            {{0, "a", "in"}, {5000, "b", "in"}},
		"both run":                {{0, "a", "in"}, {500, "b", "wait"}, {1000, "a", "in"}, {1500, "b", "no"}, {2000, "a", "in"}},
		"first wakes up again":    {{0, "a", "in"}, {4000, "b", "in"}, {4100, "a", "wait"}, {5000, "b", "in"}, {5100, "a", "no"}},
		"two wait, the first ran": {{0, "a", "in"}, {100, "b", "wait"}, {200, "c", "wait"}, {1000, "a", "in"}, {1100, "c", "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := seats{}
			for _, c := range calls {
				err := s.admit(7, c.who, c.at)
				got := "in"
				switch {
				case err != nil && !errors.Is(err, &fault.Error{Code: fault.TwoInstances}):
					t.Fatal(err)
				case api.Passes(err):
					got = "wait"
				case err != nil:
					got = "no"
				}
				if got != c.want {
					t.Fatalf("%s at %d ms: %s (%v), want %s", c.who, c.at, got, err, c.want)
				}
			}
		})
	}
}

func TestGoodbyeFreesTheSeat(t *testing.T) {
	s := seats{}
	if err := s.admit(7, "a", 0); err != nil {
		t.Fatal(err)
	}
	if s.leave(7, "b") == nil {
		t.Fatal("another process gave the seat away")
	}
	if err := s.leave(7, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.admit(7, "b", 1); err != nil {
		t.Fatalf("after a goodbye: %v", err)
	}
}

package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// groupOf returns a group of the nodes.
func groupOf(voters, learners []wire.NodeID, gone ...uint64) *roster {
	g := &roster{gone: map[uint64]struct{}{}}
	for _, id := range voters {
		g.voters = append(g.voters, seat{uint64(id), target(id, 0)})
	}
	for _, id := range learners {
		g.learners = append(g.learners, seat{uint64(id), target(id, 7)})
	}
	for _, n := range gone {
		g.gone[n] = struct{}{}
	}
	return g
}

// The next change for every kind of difference between Raft and the map. Node 1
// leads and has applied 20,000 entries; the nodes in alive are level with it and
// those in asking have no replica.
func TestNextChange(t *testing.T) {
	type ids = []wire.NodeID
	for _, c := range []struct {
		name               string
		voters, learners   ids
		gone               []uint64
		replicas, learning ids
		alive, asking      ids
		want               string
	}{
		{"nothing to do", ids{1, 2, 3}, nil, nil, ids{1, 2, 3}, nil, ids{2, 3}, nil, "none 0"},
		{"a learner that has not asked", ids{1}, nil, nil, ids{1}, ids{4}, nil, nil, "none 0"},
		{"a learner that asks", ids{1}, nil, nil, ids{1}, ids{4}, nil, ids{4}, "add learner 4"},
		{"one that comes back", ids{1}, nil, []uint64{4, 4 | 1<<32}, ids{1}, ids{4}, nil, ids{4}, "add learner 4+2"},
		{"a replica that Raft has not", ids{1}, nil, nil, ids{1, 4}, nil, nil, ids{4}, "add learner 4"},
		{"a learner that is level", ids{1}, ids{4}, nil, ids{1, 4}, nil, ids{4}, nil, "promote 4"},
		{"a learner that is silent", ids{1}, ids{4}, nil, ids{1, 4}, nil, nil, nil, "none 0"},
		{"a learner that nobody wants", ids{1}, ids{4}, nil, ids{1}, nil, nil, nil, "remove 4"},
		{"a learner that was wiped", ids{1}, ids{4}, nil, ids{1}, ids{4}, nil, ids{4}, "remove 4"},
		{"a voter too many", ids{1, 2, 3, 4}, nil, nil, ids{1, 2, 4}, nil, ids{2, 3, 4}, nil, "remove 3"},
		{"a dead voter too many", ids{1, 2, 3, 4}, nil, nil, ids{1, 2, 4}, nil, ids{2, 4}, nil, "remove 3"},
		{"no majority without it", ids{1, 2, 3}, nil, nil, ids{1, 2}, nil, ids{3}, nil, "blocked 3"},
		{"not before the new one votes", ids{1, 2, 3}, ids{4}, nil, ids{1, 2, 4}, nil, ids{2, 3}, nil, "none 0"},
		{"never the leader itself", ids{1, 2, 3}, nil, nil, ids{2, 3}, nil, ids{2, 3}, nil, "none 0"},
		{"never the last", ids{1, 2}, nil, nil, ids{2}, nil, ids{2}, nil, "none 0"},
	} {
		now := time.Now()
		w := &wish{self: 1, replicas: c.replicas, learners: c.learning, applied: 20_000, now: now, seen: map[wire.NodeID]sighting{}}
		for _, id := range c.alive {
			w.seen[id] = sighting{at: now.Add(-time.Second), number: uint64(id), applied: 20_000}
		}
		for _, id := range c.asking {
			w.seen[id] = sighting{at: now, disk: 9}
		}
		got := groupOf(c.voters, c.learners, c.gone...).next(w)
		word := fmt.Sprintf("%v %d", got.kind, got.seat.node())
		if again := got.seat.number >> 32; again > 0 {
			word += fmt.Sprintf("+%d", again)
		}
		if word != c.want {
			t.Errorf("%s: %s, want %s", c.name, word, c.want)
		}
	}
}

// Whom a leader hands over to.
func TestHeir(t *testing.T) {
	now := time.Now()
	g := groupOf([]wire.NodeID{1, 2, 3}, nil)
	level := func(id wire.NodeID) sighting { return sighting{at: now, number: uint64(id), applied: 20_000} }
	full, behind, old := level(2), level(2), level(2)
	full.full, behind.applied, old.at = true, 20_000-handOverWithin-1, now.Add(-sightingFor-1)
	for _, c := range []struct {
		name     string
		replicas []wire.NodeID
		two      sighting
		full     bool
		want     string
	}{
		{"the preferred leads", []wire.NodeID{1, 2, 3}, level(2), false, "false 0"},
		{"to the preferred", []wire.NodeID{2, 1, 3}, level(2), false, "true 2"},
		{"not to another than the preferred", []wire.NodeID{2, 1, 3}, behind, false, "false 0"},
		{"not to one that is silent", []wire.NodeID{2, 1, 3}, old, false, "false 0"},
		{"not to a full disk", []wire.NodeID{2, 1, 3}, full, false, "false 0"},
		{"out of the map, to whoever can", []wire.NodeID{2, 3}, full, false, "true 3"},
		{"with a full disk, to whoever can", []wire.NodeID{1, 2, 3}, full, true, "true 3"},
	} {
		w := &wish{self: 1, replicas: c.replicas, applied: 20_000, now: now, seen: map[wire.NodeID]sighting{2: c.two, 3: level(3)}}
		s, _, ok := g.heir(w, c.full)
		if got := fmt.Sprint(ok, s.node()); strings.Join(strings.Fields(got), " ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

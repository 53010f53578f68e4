package fleet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// moving is a fleet of nodes 1 to 4 whose one shard was on 1, 2 and 3, in the
// middle of mv: control has made the step that says so.
func moving(t *testing.T, mv place.Move, says string) *world {
	w := newWorld(fleet.Settings{Shards: 1, Replicas: 3, Cores: 3}, func(string, int) bool { return true })
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, err := w.join(name, "", false); err != nil {
			t.Fatal(err)
		}
		if name == "c" {
			w.tick()
			w.control(1)
		}
	}
	for range 5 {
		w.tick()
		w.control(5)
	}
	if _, err := w.do(fleet.Command{Kind: fleet.StartPlan, Why: "by hand", Moves: []place.Move{mv}}); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(strings.Join(w.steps, "\n"), says) {
		w.tick()
		if w.control(1); len(w.steps) > 20 || len(w.broken) > 0 {
			t.Fatal(w.steps, w.broken)
		}
	}
	return w
}

// others returns the cores with a vote, but for id and the leader.
func (w *world) others(id wire.NodeID) (found []*core) {
	for _, c := range w.cores {
		if g := w.groups[1]; c.id != id && c.id != g.leader && g.applied[c.id] > 0 && c.name != "d" {
			found = append(found, c)
		}
	}
	return found
}

// quiet fails the test when control makes a step that says what it should not.
func (w *world) quiet(t *testing.T, what string) {
	t.Helper()
	w.tick()
	for _, s := range w.steps[len(w.steps)-w.control(5):] {
		if strings.Contains(s, what) {
			t.Errorf("control did %q", s)
		}
	}
}

// silence stops the reports of the given cores for longer than a lease.
func (w *world) silence(cores ...*core) {
	for _, c := range cores {
		c.alive = false
	}
	for range fleet.Lease/1000 + 1 {
		w.tick()
	}
}

// With its vote a fourth replica raises the majority to three, which are not
// there when two of the others are dead, although a leader has not noticed yet.
func TestNoVoteWithoutAMajority(t *testing.T) {
	w := moving(t, place.Move{Shard: 1, From: 3, To: 4}, "fill")
	w.tick()
	w.tick() // it has caught up, and control has not looked yet
	dead := w.others(0)
	w.silence(dead...)
	w.quiet(t, "votes")
	dead[0].alive = true
	dead[0].instance++
	for range 4 {
		w.tick()
		w.control(3)
	}
	if !strings.Contains(strings.Join(w.steps, "\n"), "4 votes") {
		t.Errorf("node %d is back, and node 4 has no vote: %v", dead[0].id, w.steps)
	}
}

// Of three replicas, one of which is dead, none can go.
func TestNoneGoesWithoutAMajority(t *testing.T) {
	w := moving(t, place.Move{Shard: 1, From: 3, To: 4}, "done")
	var alive wire.NodeID
	for _, c := range w.others(0) {
		alive = c.id
	}
	w.core("d").alive = false
	w.silence()
	if _, err := w.do(fleet.Command{Kind: fleet.StartPlan, Why: "by hand", Moves: []place.Move{{Shard: 1, From: alive}}}); err != nil {
		t.Fatal(err)
	}
	w.quiet(t, "goes")
	w.core("d").alive = true
	w.core("d").instance++
	for range 4 {
		w.tick()
		w.control(3)
	}
	if got := len(w.state.Map.Replicas(1)); got != 2 {
		t.Errorf("all are alive, and %d replicas are left, want 2", got)
	}
}

// A log of a few entries is short of nobody's limit; an empty learner has no
// vote all the same.
func TestNoVoteBeforeItKnowsOfItself(t *testing.T) {
	w := moving(t, place.Move{Shard: 1, From: 3, To: 4}, "fill")
	w.odds = func(what string, _ int) bool { return what != "a replica catches up" }
	for range 5 {
		w.quiet(t, "votes")
	}
	w.odds = func(string, int) bool { return true }
	w.tick()
	if w.control(1); !strings.Contains(w.steps[len(w.steps)-1], "4 votes") {
		t.Errorf("it has caught up: %v", w.steps)
	}
}

// A learner that is far behind has no vote, and one has whose lag is small.
func TestNoVoteFarBehind(t *testing.T) {
	for lag, votes := range map[uint64]bool{fleet.MaxLag: true, fleet.MaxLag + 1: false} {
		w := moving(t, place.Move{Shard: 1, From: 3, To: 4}, "fill")
		w.tick()
		w.tick()
		g := w.groups[1]
		w.odds = func(what string, _ int) bool { return what == "a report arrives" || what == "a core takes the map" }
		g.applied[4] = g.config
		g.end = g.config + lag - 100
		w.tick() // and the leader writes 100 more
		w.control(1)
		if got := strings.Contains(w.steps[len(w.steps)-1], "4 votes"); got != votes {
			t.Errorf("%d entries behind: vote %v, want %v: %v", lag, got, votes, w.steps)
		}
	}
}

// Two moves go on at a time, and those that leave a dead node come first.
func TestTheDeadFirst(t *testing.T) {
	w := newWorld(fleet.Settings{Shards: 6, Replicas: 3, Cores: 5}, func(string, int) bool { return true })
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if _, err := w.join(name, "", false); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		w.tick()
		w.control(5)
	}
	m := w.state.Map
	dead := m.Replicas(6)[2]
	var moves []place.Move
	for _, s := range m.Shards() {
		mv := place.Move{Shard: s, From: m.Replicas(s)[0]}
		if s == 6 {
			mv.From = dead
		}
		for _, n := range m.Nodes() {
			if n.ID != dead && len(m.ShardsOn(n.ID)) > 0 && !slices.Contains(m.Replicas(s), n.ID) {
				mv.To = n.ID
			}
		}
		if mv.To != 0 && (s == 6 || mv.From != dead) {
			moves = append(moves, mv)
		}
	}
	for _, c := range w.cores {
		if c.id == dead {
			w.silence(c)
		}
	}
	if _, err := w.do(fleet.Command{Kind: fleet.StartPlan, Why: "by hand", Moves: moves}); err != nil {
		t.Fatal(err)
	}
	before := len(w.steps)
	if n := w.control(10); n != fleet.MaxMoves || !strings.Contains(w.steps[before], "shard 6") {
		t.Errorf("%d steps, want %d, shard 6 first: %v", n, fleet.MaxMoves, w.steps[before:])
	}
}

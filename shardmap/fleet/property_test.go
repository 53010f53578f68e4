package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// TestEveryPlanEnds drives fleets through random lives: nodes die and come back,
// join, leave and are replaced, reports get lost, control loses its leader,
// operators plan, pause and abort. The world checks every command; here we see
// that all comes to an end once the nodes that are needed run.
func TestEveryPlanEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(fleet.Settings{
			Shards: rapid.IntRange(1, 6).Draw(t, "shards"), Replicas: rapid.IntRange(1, 3).Draw(t, "replicas"), Cores: 3,
		}, func(what string, percent int) bool { return rapid.IntRange(0, 99).Draw(t, what) < percent })
		zones := rapid.IntRange(1, 3).Draw(t, "zones")
		join := func(name string, replace bool) {
			if _, err := w.join(name, fmt.Sprint("z", len(w.cores)%zones), replace); err != nil && !replace {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			join(fmt.Sprint("n", i), false)
		}
		for range rapid.IntRange(5, 40).Draw(t, "seconds") {
			w.tick()
			happen(t, w, join)
			w.control(rapid.IntRange(0, 3).Draw(t, "steps"))
			sound(t, w)
		}
		// All comes to rest.
		for _, c := range w.cores {
			if n, ok := w.state.Node(c.id); ok && !replaced(w.state, n.ID) {
				c.alive = true
				c.instance += 100
				clear(c.failed)
			}
		}
		for i := 0; !w.idle() || w.control(1) > 0; i++ {
			if i == 600 {
				t.Fatalf("does not come to rest; plan %+v\n%s\n%s", w.state.Plan, w.state.Map, strings.Join(w.steps, "\n"))
			}
			_, _ = w.do(fleet.Command{Kind: fleet.Resume}) // refused when nothing waits for it
			w.tick()
			if w.control(stepsASecond) == stepsASecond {
				t.Fatalf("control goes round in circles\n%s", strings.Join(w.steps[len(w.steps)-stepsASecond:], "\n"))
			}
			sound(t, w)
		}
	})
}

func replaced(s *fleet.State, id wire.NodeID) bool {
	for _, n := range s.Nodes {
		if n.Replaces == id {
			return true
		}
	}
	return false
}

// spared reports whether no shard has lost its majority for good when the disk
// of node id is gone, too.
func spared(w *world, id wire.NodeID) bool {
	for s, g := range w.groups {
		for _, ids := range [][]wire.NodeID{g.voters, w.state.Map.Replicas(s)} {
			gone := 0
			for _, n := range ids {
				if n == id || replaced(w.state, n) {
					gone++
				}
			}
			if len(ids)-gone < len(ids)/2+1 {
				return false
			}
		}
	}
	return true
}

func sound(t *rapid.T, w *world) {
	if len(w.broken) > 0 {
		t.Fatalf("%s\nafter\n%s", strings.Join(w.broken, "\n"), strings.Join(w.steps, "\n"))
	}
}

// happen lets one thing happen, or nothing.
func happen(t *rapid.T, w *world, join func(string, bool)) {
	c := w.cores[rapid.IntRange(0, len(w.cores)-1).Draw(t, "who")]
	node := &fleet.Node{ID: c.id}
	switch what := rapid.IntRange(0, 24).Draw(t, "what"); what {
	case 0, 1:
		dead := 0
		for _, o := range w.cores {
			if !o.alive {
				dead++
			}
		}
		if dead < 2 {
			c.alive = false
		}
	case 2, 3:
		if n, ok := w.state.Node(c.id); ok && !replaced(w.state, n.ID) {
			c.alive, c.instance = true, c.instance+1
		}
	case 4:
		if len(w.cores) < 8 {
			join(fmt.Sprint("n", len(w.cores)), false)
		}
	case 5:
		if len(w.cores) < 8 && !c.alive && spared(w, c.id) {
			join(c.name, true)
		}
	case 6, 7, 8:
		node.Wish = []fleet.Wish{fleet.Leave, fleet.Drain, fleet.Serve}[what-6]
		_, _ = w.do(fleet.Command{Kind: fleet.SetWish, Node: node})
	case 9, 10:
		_, _ = w.apply(0)
	case 11:
		_, _ = w.do(fleet.Command{Kind: fleet.Pause})
	case 12:
		_, _ = w.do(fleet.Command{Kind: fleet.Resume})
	case 13:
		_, _ = w.do(fleet.Command{Kind: fleet.Abort})
	case 14:
		w.failover()
	case 15: // a learner's files are damaged; a voter's would cost the majority
		for s, g := range w.groups {
			if slices.Contains(g.learners, c.id) {
				c.failed[s] = "a damaged file"
			}
		}
	}
}

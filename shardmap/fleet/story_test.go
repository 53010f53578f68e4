package fleet_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// restSeconds is how long a fleet of a story may take to come to rest.
const restSeconds = 120

// stepsASecond is more than control has to do before reports say something new.
const stepsASecond = 20

// TestStories replays testdata/*.txt. Lines that start with "> " are commands:
//
//	> create shards=4 replicas=3 cores=3
//	> join a z1            a core with an empty disk; "replace" for the one before
//	> kill a | start a     the process
//	> fail a 2             its replica of shard 2 goes out of service
//	> heal a               and all of its replicas are whole again
//	> wish a leave         also serve, drain
//	> plan | plan 2        for the nodes as they are, with 2 replicas a shard
//	> pause | resume | abort
//	> preview a leave      what would be, also `preview` alone
//	> seconds 5            pass, and control makes every step it can
//	> until 4 votes        pass until a step says so
//	> rest                 pass until nothing is left to be done
//	> map | nodes
//
// What follows is what control does; -update writes it anew. "#" is a remark.
func TestStories(t *testing.T) {
	story.Play(t, "testdata/*.txt", *update, func(t *testing.T, text string) string { return (&tale{t: t}).play(text) })
}

// TestStoriesWithoutALeader plays the same with a new leader of control after
// every step: it knows a decoded snapshot and no report. Steps of moves that go
// on at the same time may change places, and all ends the same.
func TestStoriesWithoutALeader(t *testing.T) {
	story.Play(t, "testdata/*.txt", false, func(t *testing.T, text string) string {
		calm, failing := &tale{t: t}, &tale{t: t, failing: true}
		calm.play(text)
		failing.play(text)
		if a, b := calm.end(), failing.end(); a != b {
			t.Errorf("with a new leader after each step it ends as\n%swant\n%s", b, a)
		}
		return text
	})
}

// end is who holds what in the end.
func (s *tale) end() string {
	var out strings.Builder
	for _, n := range s.state.Nodes {
		fmt.Fprintf(&out, "%d %s %s\n", n.ID, n.Name, n.Wish)
	}
	for _, shard := range s.state.Map.Shards() {
		fmt.Fprintln(&out, "shard", shard, slices.Sorted(slices.Values(s.state.Map.Replicas(shard))), s.state.Map.Learners(shard))
	}
	return out.String()
}

// tale is a story being told.
type tale struct {
	*world
	t       *testing.T
	failing bool // a new leader after each step
	out     strings.Builder
}

func (s *tale) play(text string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "#") {
			s.out.WriteString(l)
		}
		command, ok := strings.CutPrefix(strings.TrimSpace(l), "> ")
		if !ok {
			continue
		}
		fmt.Fprintln(&s.out, ">", command)
		words := append(strings.Fields(command), "", "", "")
		if err := s.tell(words); err != nil {
			fmt.Fprintln(&s.out, "refused:", err)
		}
		for _, b := range s.broken {
			s.t.Error(command, ":", b)
		}
	}
	return s.out.String()
}

func (s *tale) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *tale) tell(w []string) (err error) {
	switch w[0] {
	case "create":
		var set fleet.Settings
		if _, err := fmt.Sscanf(strings.Join(w[1:4], " "), "shards=%d replicas=%d cores=%d", &set.Shards, &set.Replicas, &set.Cores); err != nil {
			s.t.Fatal(err)
		}
		s.world = newWorld(set, func(string, int) bool { return true })
	case "join":
		var id wire.NodeID
		if id, err = s.join(w[1], w[2], w[3] == "replace"); err == nil {
			fmt.Fprintf(&s.out, "node %d\n", id)
		}
	case "kill":
		s.core(w[1]).alive = false
	case "start":
		s.core(w[1]).alive, s.core(w[1]).instance = true, s.core(w[1]).instance+1
	case "fail":
		s.core(w[1]).failed[wire.ShardID(s.number(w[2]))] = "a damaged file"
	case "heal":
		clear(s.core(w[1]).failed)
	case "wish":
		_, err = s.do(fleet.Command{Kind: fleet.SetWish, Node: &fleet.Node{ID: s.core(w[1]).id, Wish: fleet.Wish(w[2])}})
	case "forget":
		_, err = s.do(fleet.Command{Kind: fleet.Forget, Node: &fleet.Node{ID: s.core(w[1]).id}})
	case "plan":
		replicas := 0
		if w[1] != "" {
			replicas = s.number(w[1])
		}
		_, err = s.apply(replicas)
	case "pause", "resume", "abort":
		_, err = s.do(fleet.Command{Kind: fleet.Kind(w[0])})
	case "preview":
		err = s.preview(w)
	case "seconds", "until", "rest":
		s.pass(w)
	case "map":
		s.out.WriteString(s.state.Map.String())
	case "nodes":
		for _, n := range s.state.Nodes {
			fmt.Fprintf(&s.out, "%d %s %s, %s\n", n.ID, n.Role, n.Name, n.Wish)
		}
		if p := s.state.Last; p != nil {
			fmt.Fprintf(&s.out, "plan %d has ended: %d done, %d dropped\n", p.ID, p.Done, p.Dropped)
		}
	default:
		s.t.Fatalf("no command %q", w[0])
	}
	return err
}

func (s *tale) preview(w []string) error {
	var c fleet.Change
	if w[1] != "" {
		c = fleet.Change{Node: s.core(w[1]).id, Wish: fleet.Wish(w[2])}
	}
	moves, problems, err := fleet.Preview(s.state, s.reports, s.now, c)
	for _, mv := range moves {
		fmt.Fprintln(&s.out, mv)
	}
	for _, p := range problems {
		fmt.Fprintf(&s.out, "%s, fatal %v: %s\n", p.Kind, p.Fatal, p.Text)
	}
	return err
}

// pass lets seconds pass and tells what control does meanwhile.
func (s *tale) pass(w []string) {
	until := strings.TrimSpace(strings.Join(w[1:], " "))
	seconds := restSeconds
	if w[0] == "seconds" {
		seconds = s.number(w[1])
	}
	for range seconds {
		s.tick()
		for n := 0; s.control(1) > 0; n++ {
			if n == stepsASecond {
				s.t.Fatalf("%d steps in a second:\n%s", n, strings.Join(s.steps[len(s.steps)-10:], "\n"))
			}
			if s.failing {
				s.failover()
			}
			fmt.Fprintln(&s.out, s.steps[len(s.steps)-1])
			if w[0] == "until" && strings.Contains(s.steps[len(s.steps)-1], until) {
				return
			}
		}
		if w[0] == "rest" && s.idle() && s.state.Map != nil {
			// The last words about the map.
			s.tick()
			if _, more := fleet.Step(s.state, s.reports, s.now); !more {
				return
			}
		}
	}
	if w[0] != "seconds" {
		s.out.WriteString("it never comes to that\n")
	}
}

package place_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// TestStories replays testdata/*.txt. Lines that start with "> " are commands:
//
//	> initial shards=6 replicas=3 nodes=1a,2b,3c
//	> plan replicas=3 nodes=1a,2b,3c,4a
//	> leaders avoid=1,2
//
// where 1a is node 1 in zone a. What follows a command, up to the next one, is
// what it answers; -update writes it anew. A "#" line is a remark and stays.
func TestStories(t *testing.T) { story.Play(t, "testdata/*.txt", *update, replay) }

// replay runs the commands of a story and returns it with their answers.
func replay(t *testing.T, text string) string {
	var out strings.Builder
	var m *shardmap.Map
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "> ")
		if !ok {
			continue
		}
		fmt.Fprintln(&out, ">", command)
		next, answer := run(t, m, strings.Fields(command))
		out.WriteString(answer)
		m = next
	}
	return out.String()
}

func run(t *testing.T, m *shardmap.Map, words []string) (*shardmap.Map, string) {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	num := func(k string) int {
		n, err := strconv.Atoi(args[k])
		if err != nil {
			t.Fatalf("%v: %s: %v", words, k, err)
		}
		return n
	}
	if words[0] == "leaders" {
		return leaders(t, m, args["avoid"])
	}
	var nodes []shardmap.Node
	for n := range strings.SplitSeq(args["nodes"], ",") {
		id, err := strconv.Atoi(n[:len(n)-1])
		if err != nil {
			t.Fatalf("%v: node %q: %v", words, n, err)
		}
		nodes = append(nodes, shardmap.Node{ID: wire.NodeID(id), Zone: n[len(n)-1:]})
	}
	if words[0] == "initial" {
		m, err := place.Initial(nodes, num("shards"), num("replicas"))
		if err != nil {
			return nil, err.Error() + "\n"
		}
		return m, m.String()
	}
	moves, err := place.Plan(m, nodes, num("replicas"))
	if err != nil {
		return m, err.Error() + "\n"
	}
	var out strings.Builder
	for _, mv := range moves {
		fmt.Fprintln(&out, mv)
	}
	fmt.Fprintf(&out, "%d moves\n", len(moves))
	next, err := place.Apply(m, nodes, moves)
	if err != nil {
		return m, out.String() + err.Error() + "\n"
	}
	return next, out.String() + next.String()
}

// leaders spreads the leaders of m over all nodes but those to avoid.
func leaders(t *testing.T, m *shardmap.Map, avoid string) (*shardmap.Map, string) {
	d := m.Draft()
	place.SpreadLeaders(d.Replicas, func(n wire.NodeID) bool {
		return slices.Contains(strings.Split(avoid, ","), fmt.Sprint(n))
	})
	next, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return next, next.String()
}

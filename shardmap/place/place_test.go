package place_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// fleet draws nodes with ids out of 1..20 in up to zones zones.
func fleet(t *rapid.T, name string, zones int) []shardmap.Node {
	ids := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 20), 1, 12, rapid.ID[uint32]).Draw(t, name)
	var nodes []shardmap.Node
	for _, id := range ids {
		// A node's zone follows from its id: machines do not change zones.
		nodes = append(nodes, shardmap.Node{ID: wire.NodeID(id), Zone: string(rune('a' + int(id)%zones))})
	}
	return nodes
}

// required is the least number of copies that evens out one zone: see the
// package's doc.
func required(cur *shardmap.Map, desired []shardmap.Node, replicas int) int {
	replicas = min(replicas, len(desired))
	lost, extra, over, under := 0, 0, 0, 0
	for _, s := range cur.Shards() {
		kept := 0
		for _, n := range cur.Replicas(s) {
			if slices.ContainsFunc(desired, func(d shardmap.Node) bool { return d.ID == n }) {
				kept++
			}
		}
		lost += max(0, replicas-kept)
		extra += max(0, kept-replicas)
	}
	total := replicas * len(cur.Shards())
	floor := total / len(desired)
	ceil := (total + len(desired) - 1) / len(desired)
	for _, n := range desired {
		on := len(cur.ShardsOn(n.ID))
		over += max(0, on-ceil)
		under += max(0, floor-on)
	}
	return max(lost+max(0, over-extra), under)
}

// copies counts the moves that copy a replica.
func copies(moves []place.Move) (n int) {
	for _, m := range moves {
		if m.To != 0 {
			n++
		}
	}
	return n
}

// checkPromises tests what the package's doc says a plan reaches.
func checkPromises(t *rapid.T, m *shardmap.Map, desired []shardmap.Node, replicas int) {
	zone, size := map[wire.NodeID]string{}, map[string]int{}
	for _, n := range desired {
		zone[n.ID] = n.Zone
		size[n.Zone]++
	}
	perZone := map[wire.ShardID]map[string]int{}
	for _, s := range m.Shards() {
		r := m.Replicas(s)
		if len(r) != min(replicas, len(desired)) {
			t.Fatalf("shard %d has replicas %v, want %d", s, r, min(replicas, len(desired)))
		}
		in := map[string]int{}
		for _, n := range r {
			if _, ok := zone[n]; !ok {
				t.Fatalf("shard %d is still on node %d", s, n)
			}
			in[zone[n]]++
		}
		for a := range size {
			for b := range size {
				if in[a] >= in[b]+2 && in[b] < size[b] {
					t.Fatalf("shard %d: %d replicas in zone %s, %d in %s, which has a free node", s, in[a], a, in[b], b)
				}
			}
		}
		perZone[s] = in
	}
	for _, u := range desired {
		for _, v := range desired {
			if len(m.ShardsOn(u.ID)) < len(m.ShardsOn(v.ID))+2 {
				continue
			}
			for _, s := range m.ShardsOn(u.ID) {
				free := !slices.Contains(m.Replicas(s), v.ID)
				if free && (u.Zone == v.Zone || perZone[s][u.Zone] > perZone[s][v.Zone]) {
					t.Fatalf("shard %d could go from node %d (%d replicas) to %d (%d)", s,
						u.ID, len(m.ShardsOn(u.ID)), v.ID, len(m.ShardsOn(v.ID)))
				}
			}
		}
	}
}

func TestPlanKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zones := rapid.IntRange(1, 4).Draw(t, "zones")
		replicas := rapid.IntRange(1, 5).Draw(t, "replicas")
		shards := rapid.IntRange(1, 60).Draw(t, "shards")
		nodes := fleet(t, "first", zones)
		m, err := place.Initial(nodes, shards, replicas)
		if err != nil {
			t.Fatal(err)
		}
		checkPromises(t, m, nodes, replicas)
		for range 3 {
			desired := fleet(t, "next", zones)
			moves, err := place.Plan(m, desired, replicas)
			if err != nil {
				t.Fatal(err)
			}
			if need := required(m, desired, replicas); zones == 1 && copies(moves) > need+need/20+2 {
				t.Fatalf("%d copies where %d do", copies(moves), need)
			}
			next, err := place.Apply(m, desired, moves)
			if err != nil {
				t.Fatal(err)
			}
			checkPromises(t, next, desired, replicas)
			if next.Epoch() != m.Epoch()+1 || len(next.Nodes()) != len(desired) {
				t.Fatalf("epoch %d nodes %v after %d, %v", next.Epoch(), next.Nodes(), m.Epoch(), desired)
			}
			if again, _ := place.Plan(next, desired, replicas); len(again) != 0 {
				t.Fatalf("a second plan moves again: %v", again)
			}
			m = next
		}
	})
}

// TestLeadersKeepTheirPromises spreads leaders with some nodes that should not
// lead.
func TestLeadersKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := fleet(t, "nodes", rapid.IntRange(1, 3).Draw(t, "zones"))
		m, err := place.Initial(nodes, rapid.IntRange(1, 60).Draw(t, "shards"), rapid.IntRange(1, 4).Draw(t, "replicas"))
		if err != nil {
			t.Fatal(err)
		}
		drained := map[wire.NodeID]bool{}
		for _, n := range nodes {
			drained[n.ID] = rapid.IntRange(0, 3).Draw(t, "drained") == 0
		}
		avoid := func(n wire.NodeID) bool { return drained[n] }
		r := m.Draft().Replicas
		place.SpreadLeaders(r, avoid)
		leads := map[wire.NodeID]int{}
		for _, ids := range r {
			leads[ids[0]]++
		}
		for i, ids := range r {
			was := slices.Sorted(slices.Values(m.Replicas(wire.ShardID(i + 1))))
			if !slices.Equal(was, slices.Sorted(slices.Values(ids))) {
				t.Fatalf("shard %d is on %v, was on %v", i+1, ids, was)
			}
			for _, n := range ids {
				if drained[ids[0]] && !drained[n] {
					t.Fatalf("shard %d is led by %d, which is drained, and not by %d", i+1, ids[0], n)
				}
			}
		}
		for _, from := range nodes {
			for to := range handsTo(r, from.ID, avoid) {
				if leads[from.ID] >= leads[to]+2 {
					t.Fatalf("node %d leads %d, and could hand on to %d, which leads %d", from.ID, leads[from.ID], to, leads[to])
				}
			}
		}
		again := slices.Clone(r)
		for i := range again {
			again[i] = slices.Clone(r[i])
		}
		place.SpreadLeaders(again, avoid)
		if !slices.EqualFunc(again, r, slices.Equal[[]wire.NodeID]) {
			t.Fatal("spreading them again changes something")
		}
	})
}

// handsTo returns the nodes to which a chain of nodes leads from one, each of
// which hands a shard to the next.
func handsTo(replicas [][]wire.NodeID, from wire.NodeID, avoid func(wire.NodeID) bool) map[wire.NodeID]bool {
	found := map[wire.NodeID]bool{from: true}
	for grown := true; grown; {
		grown = false
		for _, r := range replicas {
			for _, n := range r {
				if found[r[0]] && !found[n] && (!avoid(n) || avoid(r[0])) {
					found[n], grown = true, true
				}
			}
		}
	}
	return found
}

func TestInstead(t *testing.T) {
	nodes := []shardmap.Node{{ID: 1, Zone: "a"}, {ID: 2, Zone: "b"}, {ID: 3, Zone: "c"}, {ID: 4, Zone: "a"}, {ID: 5, Zone: "b"}, {ID: 6, Zone: "c"}}
	replicas := [][]wire.NodeID{{1, 2, 3}, {4, 2, 3}, {4, 2, 6}}
	move := place.Move{Shard: 1, From: 3, To: 6}
	for name, tt := range map[string]struct {
		may  func(wire.NodeID) bool
		want wire.NodeID
	}{
		"no node of its zone is left: the least loaded": {func(wire.NodeID) bool { return true }, 5},
		"the least loaded cannot":                       {func(n wire.NodeID) bool { return n != 5 }, 4},
		"nobody can":                                    {func(wire.NodeID) bool { return false }, 0},
	} {
		got, ok := place.Instead(replicas, nodes, move, tt.may)
		if got != tt.want || ok != (tt.want != 0) {
			t.Errorf("%s: %d %v, want %d", name, got, ok, tt.want)
		}
	}
	if got, _ := place.Instead(replicas, append(nodes, shardmap.Node{ID: 7, Zone: "c"}), move, func(wire.NodeID) bool { return true }); got != 7 {
		t.Errorf("%d, want 7, which keeps a replica in each zone", got)
	}
}

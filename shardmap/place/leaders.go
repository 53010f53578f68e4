package place

import (
	"cmp"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// nobody is to avoid leading.
func nobody(wire.NodeID) bool { return false }

// SpreadLeaders reorders each shard's replicas, the lists in replicas, by
// swapping the first, which is the preferred leader, with another:
//
//   - A node that avoid names leads only shards of which it names all replicas.
//   - Among the other replicas of a shard it leads, no node leads fewer than it
//     by two or more.
//
// What reaches both is left as it is.
func SpreadLeaders(replicas [][]wire.NodeID, avoid func(wire.NodeID) bool) {
	leads := Yield(replicas, avoid)
	// Each swap lowers the sum of the squares of leads, so it ends.
	for swapped := true; swapped; {
		swapped = false
		for _, r := range replicas {
			for j := range r {
				if leads[r[0]] >= leads[r[j]]+2 && (!avoid(r[j]) || avoid(r[0])) {
					leads[r[0]]--
					leads[r[j]]++
					r[0], r[j] = r[j], r[0]
					swapped = true
				}
			}
		}
	}
}

// Yield is the first half of SpreadLeaders: it only takes the lead from nodes
// that avoid names, giving it to the replica that leads the fewest. It returns
// how many shards each node leads then.
func Yield(replicas [][]wire.NodeID, avoid func(wire.NodeID) bool) map[wire.NodeID]int {
	leads := make(map[wire.NodeID]int)
	for _, r := range replicas {
		leads[r[0]]++
	}
	for _, r := range replicas {
		if !avoid(r[0]) {
			continue
		}
		best := -1
		for j, n := range r {
			if !avoid(n) && (best < 0 || leads[n] < leads[r[best]]) {
				best = j
			}
		}
		if best > 0 {
			leads[r[0]]--
			leads[r[best]]++
			r[0], r[best] = r[best], r[0]
		}
	}
	return leads
}

// Instead returns another node for m.To, which cannot take the replica: among
// nodes that may take one, in the zone with the fewest replicas of the shard,
// then the least loaded, then by rendezvous. False: there is none. Replicas are
// those of all shards as they will be when all moves under way but m are done;
// nodes are all that they name, and more.
func Instead(replicas [][]wire.NodeID, nodes []shardmap.Node, m Move, may func(wire.NodeID) bool) (wire.NodeID, bool) {
	zones := make(map[wire.NodeID]string, len(nodes))
	for _, n := range nodes {
		zones[n.ID] = n.Zone
	}
	load := make(map[wire.NodeID]int)
	for _, r := range replicas {
		for _, n := range r {
			load[n]++
		}
	}
	inZone := make(map[string]int)
	holds := replicas[m.Shard-1]
	for _, n := range holds {
		if n != m.From {
			inZone[zones[n]]++
		}
	}
	best, found := shardmap.Node{}, false
	for _, n := range nodes {
		if n.ID == m.To || !may(n.ID) || slices.Contains(holds, n.ID) {
			continue
		}
		if !found || cmp.Or(
			cmp.Compare(inZone[n.Zone], inZone[best.Zone]),
			cmp.Compare(load[n.ID], load[best.ID]),
			cmp.Compare(weight(int(m.Shard-1), best.ID), weight(int(m.Shard-1), n.ID))) < 0 {
			best, found = n, true
		}
	}
	return best.ID, found
}

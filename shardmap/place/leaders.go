package place

import (
	"cmp"
	"maps"
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
//   - Beyond that leads are as even as can be: no chain of nodes, each of which
//     hands one shard to the next, goes from a node to one that leads at least
//     two fewer.
//
// What reaches both is left as it is.
func SpreadLeaders(replicas [][]wire.NodeID, avoid func(wire.NodeID) bool) {
	b := leaderBoard{replicas: replicas, avoid: avoid, leads: Yield(replicas, avoid)}
	// Each chain lowers the sum of the squares of leads, so it ends.
	for b.evenOut() {
	}
}

// leaderBoard is one spreading of leaders.
type leaderBoard struct {
	replicas [][]wire.NodeID
	avoid    func(wire.NodeID) bool
	leads    map[wire.NodeID]int
}

// hand is how a chain came to a node: it gets the shard at replicas[shard].
type hand struct {
	from  wire.NodeID
	shard int
}

// evenOut hands shards on along one chain, false when there is none.
func (b *leaderBoard) evenOut() bool {
	led := make(map[wire.NodeID][]int)
	nodes := make(map[wire.NodeID]bool)
	for i, r := range b.replicas {
		led[r[0]] = append(led[r[0]], i)
		for _, n := range r {
			nodes[n] = true
		}
	}
	byLeads := slices.SortedFunc(maps.Keys(nodes), func(x, y wire.NodeID) int {
		return cmp.Or(cmp.Compare(b.leads[y], b.leads[x]), cmp.Compare(x, y))
	})
	// What a node with as many or more leads has reached in vain need not be
	// looked at again: from there a chain reaches no more.
	reached := make(map[wire.NodeID]hand)
	for _, top := range byLeads {
		if _, ok := reached[top]; ok {
			continue
		}
		reached[top] = hand{}
		for queue := []wire.NodeID{top}; len(queue) > 0; queue = queue[1:] {
			for _, i := range led[queue[0]] {
				for _, n := range b.replicas[i] {
					if _, ok := reached[n]; ok || b.avoid(n) && !b.avoid(queue[0]) {
						continue
					}
					reached[n] = hand{queue[0], i}
					if b.leads[top] >= b.leads[n]+2 {
						b.handOn(reached, top, n)
						return true
					}
					queue = append(queue, n)
				}
			}
		}
	}
	return false
}

// handOn hands a shard on along the chain from top to n.
func (b *leaderBoard) handOn(reached map[wire.NodeID]hand, top, n wire.NodeID) {
	b.leads[top]--
	b.leads[n]++
	for n != top {
		h := reached[n]
		r := b.replicas[h.shard]
		j := slices.Index(r, n)
		r[0], r[j] = r[j], r[0]
		n = h.from
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

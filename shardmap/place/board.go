package place

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// board is one planning: where the replicas were and where they are now.
type board struct {
	nodes    []wire.NodeID       // desired, ascending
	zone     map[wire.NodeID]int // desired nodes only
	zoneSize []int               // nodes by zone
	replicas int                 // wanted, at most len(nodes)

	was  [][]wire.NodeID // by shard-1
	now  [][]wire.NodeID
	load map[wire.NodeID]int // replicas now held, by desired node
}

func newBoard(was [][]wire.NodeID, desired []shardmap.Node, replicas int) *board {
	b := &board{
		zone:     make(map[wire.NodeID]int, len(desired)),
		replicas: min(replicas, len(desired)),
		was:      was,
		load:     make(map[wire.NodeID]int, len(desired)),
	}
	zones := make(map[string]int)
	for _, n := range desired {
		z, ok := zones[n.Zone]
		if !ok {
			z = len(zones)
			zones[n.Zone] = z
			b.zoneSize = append(b.zoneSize, 0)
		}
		b.zone[n.ID] = z
		b.zoneSize[z]++
		b.nodes = append(b.nodes, n.ID)
	}
	slices.Sort(b.nodes)
	return b
}

// plan fills in now.
func (b *board) plan() {
	b.now = make([][]wire.NodeID, len(b.was))
	for i, r := range b.was {
		for _, n := range r {
			if _, ok := b.zone[n]; ok {
				b.add(i, n)
			}
		}
	}
	for i := range b.now {
		for len(b.now[i]) > b.replicas {
			b.remove(i, b.most(i))
		}
	}
	for i := range b.now {
		for len(b.now[i]) < b.replicas {
			b.add(i, b.best(i))
		}
		b.repairZones(i)
	}
	for b.levelOne() {
	}
}

func (b *board) add(i int, n wire.NodeID) {
	b.now[i] = append(b.now[i], n)
	b.load[n]++
}

func (b *board) remove(i int, n wire.NodeID) {
	j := slices.Index(b.now[i], n)
	b.now[i] = slices.Delete(b.now[i], j, j+1)
	b.load[n]--
}

// inZones counts the replicas of shard i+1 by zone.
func (b *board) inZones(i int) []int {
	counts := make([]int, len(b.zoneSize))
	for _, n := range b.now[i] {
		counts[b.zone[n]]++
	}
	return counts
}

// best returns the node that should hold one more replica of shard i+1: in the
// zone with the fewest of it, then the least loaded, then by rendezvous. There
// must be a node that holds none.
func (b *board) best(i int) wire.NodeID {
	counts := b.inZones(i)
	var best wire.NodeID
	for _, n := range b.nodes {
		if slices.Contains(b.now[i], n) {
			continue
		}
		if best == 0 || cmp.Or(
			cmp.Compare(counts[b.zone[n]], counts[b.zone[best]]),
			cmp.Compare(b.load[n], b.load[best]),
			cmp.Compare(weight(i, best), weight(i, n))) < 0 {
			best = n
		}
	}
	return best
}

// most returns the replica of shard i+1 that is needed least: in the zone with
// the most of it, then the most loaded, then by rendezvous.
func (b *board) most(i int) wire.NodeID {
	counts := b.inZones(i)
	return slices.MaxFunc(b.now[i], func(x, y wire.NodeID) int {
		return cmp.Or(
			cmp.Compare(counts[b.zone[x]], counts[b.zone[y]]),
			cmp.Compare(b.load[x], b.load[y]),
			cmp.Compare(weight(i, y), weight(i, x)))
	})
}

// repairZones moves replicas of shard i+1 out of crowded zones for as long as a
// zone with a free node has two fewer. Each move lowers the sum of the squares
// of the counts, so it ends.
func (b *board) repairZones(i int) {
	for {
		counts := b.inZones(i)
		from, to := b.most(i), b.bestOutside(i, counts)
		if to == 0 || counts[b.zone[from]] < counts[b.zone[to]]+2 {
			return
		}
		b.remove(i, from)
		b.add(i, to)
	}
}

// bestOutside is best, or 0 when every node holds the shard.
func (b *board) bestOutside(i int, counts []int) wire.NodeID {
	if len(b.now[i]) == len(b.nodes) {
		return 0
	}
	return b.best(i)
}

// levelOne moves one replica from a fuller node to one with at least two fewer,
// the greatest difference first. It is false when no such move is allowed. Each
// move lowers the sum of the squares of the loads, so repeating it ends.
func (b *board) levelOne() bool {
	byLoad := slices.SortedFunc(slices.Values(b.nodes), func(x, y wire.NodeID) int {
		return cmp.Or(cmp.Compare(b.load[x], b.load[y]), cmp.Compare(x, y))
	})
	held := b.heldBy()
	for _, from := range slices.Backward(byLoad) {
		for _, to := range byLoad {
			if b.load[from] < b.load[to]+2 {
				break
			}
			if i := b.cheapest(held[from], from, to); i >= 0 {
				b.remove(i, from)
				b.add(i, to)
				return true
			}
		}
	}
	return false
}

// heldBy lists the shards, less one, on every node.
func (b *board) heldBy() map[wire.NodeID][]int {
	held := make(map[wire.NodeID][]int, len(b.nodes))
	for i, r := range b.now {
		for _, n := range r {
			held[n] = append(held[n], i)
		}
	}
	return held
}

// cheapest returns which of the shards on from should go to to, or -1: first
// those whose replica has to be copied anyway, then by rendezvous.
func (b *board) cheapest(shards []int, from, to wire.NodeID) int {
	best, bestCost := -1, 0
	zf, zt := b.zone[from], b.zone[to]
	for _, i := range shards {
		if slices.Contains(b.now[i], to) {
			continue
		}
		if zf != zt {
			if counts := b.inZones(i); counts[zf] <= counts[zt] {
				continue
			}
		}
		cost := 0
		if slices.Contains(b.was[i], from) {
			cost++
		}
		if slices.Contains(b.was[i], to) {
			cost--
		}
		if best < 0 || cmp.Or(cmp.Compare(cost, bestCost), cmp.Compare(weight(best, to), weight(i, to))) < 0 {
			best, bestCost = i, cost
		}
	}
	return best
}

// weight is the rendezvous weight of a node for shard i+1.
func weight(i int, n wire.NodeID) uint64 {
	var key [8]byte
	binary.LittleEndian.PutUint32(key[:], uint32(i+1))
	binary.LittleEndian.PutUint32(key[4:], uint32(n))
	return xxh3.Hash(key[:])
}

package core

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// seat is a place in a shard's Raft group. Its number is the id of the node it
// is on, and above 32 bits how often that node was in the group before: Raft
// never takes a number again that it has removed.
type seat struct {
	number uint64
	target string // names the data directory; see target
}

// node returns the node that the seat is on.
func (s seat) node() wire.NodeID { return wire.NodeID(uint32(s.number)) }

// roster is Raft's own membership of a shard, as its leader read it from a
// quorum. It is immutable.
type roster struct {
	voters, learners []seat
	gone             map[uint64]struct{} // numbers that were removed
	config           uint64              // index of the last change
}

// nodesOf returns the nodes of seats, ascending.
func nodesOf(seats []seat) []wire.NodeID {
	ids := make([]wire.NodeID, 0, len(seats))
	for _, s := range seats {
		ids = append(ids, s.node())
	}
	slices.Sort(ids)
	return ids
}

// seatOn returns the seat that is on a node.
func seatOn(seats []seat, id wire.NodeID) (seat, bool) {
	i := slices.IndexFunc(seats, func(s seat) bool { return s.node() == id })
	if i < 0 {
		return seat{}, false
	}
	return seats[i], true
}

// nextNumber returns the number of the next seat on a node.
func (g *roster) nextNumber(id wire.NodeID) uint64 {
	next := uint64(id)
	for n := range g.gone {
		if wire.NodeID(uint32(n)) == id {
			next = max(next, n+1<<32)
		}
	}
	return next
}

// sighting is what a node last said of its replica.
type sighting struct {
	at      time.Time
	number  uint64 // 0: it has no replica and asks for one
	applied uint64
	disk    uint64 // of its data directory
	full    bool   // its disk is
}

// wish is what the map wants of a group, and what its leader knows besides.
type wish struct {
	self     wire.NodeID   // the leader
	replicas []wire.NodeID // voters, the preferred leader first
	learners []wire.NodeID
	applied  uint64 // here
	seen     map[wire.NodeID]sighting
	now      time.Time
}

// fresh returns what a node said lately.
func (w *wish) fresh(id wire.NodeID) (sighting, bool) {
	s, ok := w.seen[id]
	return s, ok && w.now.Sub(s.at) <= sightingFor
}

// alive reports whether the seat's replica takes part.
func (w *wish) alive(s seat) bool {
	if s.node() == w.self {
		return true
	}
	seen, ok := w.fresh(s.node())
	return ok && seen.number == s.number
}

// near reports whether the seat's replica takes part and has all but the last
// entries that the leader has.
func (w *wish) near(s seat, entries uint64) bool {
	seen, ok := w.fresh(s.node())
	return ok && seen.number == s.number && seen.applied+entries >= w.applied
}

// changeKind is a kind of membership change.
type changeKind uint8

const (
	noChange changeKind = iota
	addLearner
	promote
	remove
	// blocked is a voter that has to go, but what would be left of the group has
	// no majority that is alive.
	blocked
)

// change is one change of a group's membership.
type change struct {
	kind changeKind
	seat seat
}

// next returns the one change that brings the group closer to what the map
// wants. It removes nobody whose going leaves less than a majority alive, and
// never the leader itself, which has to hand over first.
func (g *roster) next(w *wish) change {
	for _, s := range g.learners {
		seen, ok := w.fresh(s.node())
		wiped := ok && seen.number == 0 && target(s.node(), seen.disk) != s.target
		if wiped || !slices.Contains(w.replicas, s.node()) && !slices.Contains(w.learners, s.node()) {
			return change{remove, s}
		}
	}
	for _, id := range slices.Concat(w.replicas, w.learners) {
		if seen, ok := w.fresh(id); ok && seen.number == 0 && !g.has(id) {
			return change{addLearner, seat{g.nextNumber(id), target(id, seen.disk)}}
		}
	}
	for _, s := range g.learners {
		if slices.Contains(w.replicas, s.node()) && w.near(s, promoteWithin) {
			return change{promote, s}
		}
	}
	return g.nextRemoval(w)
}

func (g *roster) has(id wire.NodeID) bool {
	_, votes := seatOn(g.voters, id)
	_, learns := seatOn(g.learners, id)
	return votes || learns
}

// nextRemoval returns the removal of a voter that the map does not want any
// more, once all those vote that it wants.
func (g *roster) nextRemoval(w *wish) (c change) {
	for _, id := range w.replicas {
		if _, ok := seatOn(g.voters, id); !ok {
			return c
		}
	}
	for i, s := range g.voters {
		if s.node() == w.self || slices.Contains(w.replicas, s.node()) || slices.Contains(w.learners, s.node()) {
			continue
		}
		alive := 0
		for j, other := range g.voters {
			if j != i && w.alive(other) {
				alive++
			}
		}
		if alive > (len(g.voters)-1)/2 {
			return change{remove, s}
		}
		c = change{blocked, s}
	}
	return c
}

// heir returns the voter to which the leader hands over: the preferred one, or,
// when the leader itself must go, any that the map wants. ok is false when
// nobody is close enough or the leader may stay.
func (g *roster) heir(w *wish, full bool) (s seat, must, ok bool) {
	must = full || !slices.Contains(w.replicas, w.self)
	for i, id := range w.replicas {
		if id == w.self && !must || i > 0 && !must {
			return seat{}, false, false
		}
		s, votes := seatOn(g.voters, id)
		if id != w.self && votes && w.near(s, handOverWithin) && !w.seen[id].full {
			return s, must, true
		}
	}
	return seat{}, must, false
}

package fleet

import (
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// A move goes through these stages. The stage is not kept anywhere: it is read
// off the map.
//
//	stage    To is        From is   goes on when
//	fresh    -            replica   the shard is settled, fewer than MaxMoves others go on
//	filling  learner      replica   To has caught up
//	handing  replica      replica   To votes and From does not lead
//	closing  replica      -         the shard is settled: then the move is done
//
// A move without From skips handing, one without To goes from fresh to closing.
// A shard is settled when its leader reports the membership that the map wants;
// every stage but fresh ends only when it is. So Raft's membership is never more
// than one change behind the map.
type stage int

const (
	fresh stage = iota
	filling
	handing
	closing
	lost // the map went another way: From is gone and To was never there
)

func stageOf(m *shardmap.Map, mv place.Move) stage {
	r := m.Replicas(mv.Shard)
	from := mv.From != 0 && slices.Contains(r, mv.From)
	switch {
	case mv.To != 0 && slices.Contains(m.Learners(mv.Shard), mv.To):
		return filling
	case mv.To != 0 && slices.Contains(r, mv.To):
		if from {
			return handing
		}
		return closing
	case from || mv.From == 0:
		return fresh
	case mv.To == 0:
		return closing
	}
	return lost
}

// stepMoves returns the next command of the plan's moves: those under way come
// first, then those that leave a dead node, whose shards are in danger.
func (v *view) stepMoves() (Command, bool) {
	p := v.s.Plan
	if p == nil || p.Paused {
		return Command{}, false
	}
	running, busy := 0, make(map[wire.ShardID]bool)
	for _, mv := range p.Moves {
		if st := stageOf(v.s.Map, mv); st != fresh && st != lost {
			running++
			busy[mv.Shard] = true
			if cmd, ok := v.advance(mv, st); ok {
				return cmd, true
			}
		}
	}
	for _, urgent := range [...]bool{true, false} {
		for _, mv := range p.Moves {
			st := stageOf(v.s.Map, mv)
			if st == lost {
				return v.give(mv, "its replica is gone"), true
			}
			if st != fresh || v.r.Dead(mv.From, v.now) != urgent {
				continue
			}
			if cmd, ok := v.replan(mv); ok {
				return cmd, true
			}
			if running < MaxMoves && !busy[mv.Shard] {
				if cmd, ok := v.begin(mv); ok {
					return cmd, true
				}
			}
		}
	}
	return Command{}, false
}

// advance takes mv, which has begun, one step on.
func (v *view) advance(mv place.Move, st stage) (Command, bool) {
	switch st {
	case filling:
		if v.s.Plan.Aborted || v.unfit(mv) {
			return v.change(fmt.Sprintf("%s: given up", mv), func(d *shardmap.Draft) {
				drop(&d.Learners[mv.Shard-1], mv.To)
			})
		}
		if v.caughtUp(mv.Shard, mv.To) && v.majority(mv.Shard, mv.To, 0) {
			return v.change(fmt.Sprintf("%s: %d votes", mv, mv.To), func(d *shardmap.Draft) { v.promote(d, mv) })
		}
	case handing:
		// Without To the shard is as it was before, and whole again sooner.
		if v.unfit(mv) && v.serves(mv.From, mv.Shard) && (!v.serves(mv.To, mv.Shard) || v.majority(mv.Shard, 0, mv.To)) {
			return v.change(fmt.Sprintf("%s: given up", mv), func(d *shardmap.Draft) {
				drop(&d.Replicas[mv.Shard-1], mv.To)
			})
		}
		return v.dismiss(mv)
	case closing:
		if v.settled(mv.Shard) {
			return Command{Kind: FinishMove, Why: mv.String(), Move: &mv}, true
		}
	}
	return Command{}, false
}

// replan gives up a move that has not begun and whose target is not there, or
// finds another target for it when it has to be made all the same.
func (v *view) replan(mv place.Move) (Command, bool) {
	switch {
	case v.s.Plan.Aborted:
		return v.give(mv, "the plan is aborted"), true
	case mv.To == 0 || !v.unfit(mv):
		return Command{}, false
	case mv.From != 0 && v.s.staying(mv.From):
		return v.give(mv, fmt.Sprintf("node %d cannot take it", mv.To)), true
	}
	other, ok := v.instead(v.s.Plan.Moves, mv)
	if !ok {
		return v.give(mv, fmt.Sprintf("node %d cannot take it and no other can", mv.To)), true
	}
	return Command{Kind: FinishMove, Move: &mv, Instead: &other, Why: fmt.Sprintf("%s: node %d cannot take it", other, mv.To)}, true
}

func (v *view) give(mv place.Move, why string) Command {
	return Command{Kind: FinishMove, Move: &mv, Dropped: true, Why: fmt.Sprintf("%s: %s", mv, why)}
}

// instead returns mv with another target that is alive, given all moves of a
// plan.
func (v *view) instead(moves []place.Move, mv place.Move) (place.Move, bool) {
	replicas := v.s.Map.Draft().Replicas
	for _, o := range moves {
		r := &replicas[o.Shard-1]
		if o == mv || o.To == 0 || slices.Contains(*r, o.To) {
			continue
		}
		drop(r, o.From)
		*r = append(*r, o.To)
	}
	var nodes []shardmap.Node
	for _, n := range v.s.Nodes {
		if n.Role == Core {
			nodes = append(nodes, mapNode(n))
		}
	}
	has := v.s.Map.Replicas(mv.Shard)
	to, ok := place.Instead(replicas, nodes, mv, func(id wire.NodeID) bool {
		return v.takes(id, mv.Shard) && !slices.Contains(has, id)
	})
	mv.To = to
	return mv, ok
}

// begin takes the first step of mv.
func (v *view) begin(mv place.Move) (Command, bool) {
	if !v.settled(mv.Shard) {
		return Command{}, false
	}
	if mv.To == 0 {
		return v.dismiss(mv)
	}
	if !v.takes(mv.To, mv.Shard) {
		return Command{}, false
	}
	return v.change(fmt.Sprintf("%s: fill %d", mv, mv.To), func(d *shardmap.Draft) {
		d.Learners[mv.Shard-1] = append(d.Learners[mv.Shard-1], mv.To)
	})
}

// dismiss takes From off the shard, once another node leads it.
func (v *view) dismiss(mv place.Move) (Command, bool) {
	replicas := v.s.Map.Replicas(mv.Shard)
	if len(replicas) < 2 || !v.settled(mv.Shard) || !v.majority(mv.Shard, 0, mv.From) {
		return Command{}, false
	}
	leads := v.leaders[mv.Shard].node == mv.From
	if replicas[0] == mv.From || leads && !v.serves(replicas[0], mv.Shard) { // the lead goes first, to one who can take it
		return v.change(fmt.Sprintf("%s: %d yields", mv, mv.From), func(d *shardmap.Draft) {
			v.yield(mv.Shard, d.Replicas[mv.Shard-1], mv.From)
		})
	}
	if leads {
		return Command{}, false
	}
	return v.change(fmt.Sprintf("%s: %d goes", mv, mv.From), func(d *shardmap.Draft) {
		drop(&d.Replicas[mv.Shard-1], mv.From)
	})
}

// promote makes a replica of a learner. If From was the preferred leader, that
// is To from now on.
func (v *view) promote(d *shardmap.Draft, mv place.Move) {
	drop(&d.Learners[mv.Shard-1], mv.To)
	r := append(d.Replicas[mv.Shard-1], mv.To)
	if r[0] == mv.From {
		r[0], r[len(r)-1] = r[len(r)-1], r[0]
	}
	v.yield(mv.Shard, r, mv.From)
	d.Replicas[mv.Shard-1] = r
}

// yield makes another replica than that on node from the preferred leader: if
// there is one, a live one, if there is one, on a node that may lead. The one
// that is stays it if it is as good.
func (v *view) yield(shard wire.ShardID, replicas []wire.NodeID, from wire.NodeID) {
	avoid := v.s.shouldNotLead()
	good := func(id wire.NodeID) int {
		switch live := v.serves(id, shard); {
		case id == from:
			return 0
		case live && !avoid(id):
			return 3
		case live:
			return 2
		}
		return 1
	}
	best := 0
	for i, id := range replicas {
		if good(id) > good(replicas[best]) {
			best = i
		}
	}
	replicas[0], replicas[best] = replicas[best], replicas[0]
}

// serves reports whether node id is alive and its replica of shard in service.
func (v *view) serves(id wire.NodeID, shard wire.ShardID) bool {
	rep, ok := v.replica(id, shard)
	return ok && rep.Failed == ""
}

// unfit reports whether To cannot take the replica: it is dead, it is to leave,
// or its replica is out of service.
func (v *view) unfit(mv place.Move) bool {
	return !v.s.staying(mv.To) || v.r.Dead(mv.To, v.now) || v.failed(mv.To, mv.Shard)
}

// takes reports whether a node can take a replica of shard right now. None that
// can is unfit: else a plan could begin and be given up for ever.
func (v *view) takes(id wire.NodeID, shard wire.ShardID) bool {
	return v.s.staying(id) && v.r.Alive(id, v.now) && !v.failed(id, shard)
}

func (v *view) failed(id wire.NodeID, shard wire.ShardID) bool {
	rep, ok := v.replica(id, shard)
	return ok && rep.Failed != ""
}

// drop removes id from ids.
func drop(ids *[]wire.NodeID, id wire.NodeID) {
	*ids = slices.DeleteFunc(*ids, func(n wire.NodeID) bool { return n == id })
}

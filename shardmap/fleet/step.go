package fleet

import (
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Step says which Command comes next, and whether there is one. The leader of
// the control group proposes it, and asks again when it has been applied, when a
// report came, and every second. Whatever is lost in between, the same State and
// Reports give the same Command again. Now is the leader's clock.
//
// Reports.Expect has to have been called with s when the leader took over: of a
// node without an entry Step believes neither that it lives nor that it is dead.
func Step(s *State, r Reports, now wire.Millis) (Command, bool) {
	if s.Cluster == "" {
		return Command{}, false
	}
	v := newView(s, r, now)
	next := []func() (Command, bool){v.firstMap, v.retire}
	if s.Map != nil {
		next = []func() (Command, bool){v.refresh, v.tidy, v.stepMoves, v.spreadLeaders, v.plan, v.retire}
	}
	for _, f := range next {
		if cmd, ok := f(); ok {
			cmd.AtMS = now
			return cmd, true
		}
	}
	return Command{}, false
}

// firstMap makes the map when enough cores have joined and are there. All live
// cores get shards, also those that came above the number.
func (v *view) firstMap() (Command, bool) {
	var nodes []shardmap.Node
	for _, n := range v.s.desired() {
		if v.r.Alive(n.ID, v.now) {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) < v.s.Settings.Cores {
		return Command{}, false
	}
	m, err := place.Initial(nodes, v.s.Settings.Shards, v.s.Settings.Replicas)
	if err != nil {
		return Command{}, false // Create and Join refuse what is refused here
	}
	return Command{Kind: SetMap, Map: m.Encode(), Why: fmt.Sprintf("the first map: %d shards on %d nodes", v.s.Settings.Shards, len(nodes))}, true
}

// refresh tells everybody about nodes that came, went, or have new addresses.
func (v *view) refresh() (Command, bool) {
	d := v.s.Map.Draft()
	if d.Learners == nil {
		d.Learners = make([][]wire.NodeID, len(d.Replicas))
	}
	if slices.Equal(v.nodes(&d), v.s.Map.Nodes()) {
		return Command{}, false
	}
	return v.change("nodes", func(*shardmap.Draft) {})
}

// tidy drops learners that belong to no move, and notes once that all groups
// have begun.
func (v *view) tidy() (Command, bool) {
	for _, shard := range v.s.Map.Shards() {
		for _, id := range v.s.Map.Learners(shard) {
			if !v.filled(shard, id) {
				return v.change(fmt.Sprintf("shard %d: nobody waits for %d", shard, id), func(d *shardmap.Draft) {
					drop(&d.Learners[shard-1], id)
				})
			}
		}
	}
	open := false
	for _, shard := range v.s.Map.Shards() {
		if f := v.s.Map.Founders(shard); len(f) > 0 {
			open = true
			if !v.begun(shard, f) {
				return Command{}, false
			}
		}
	}
	if !open {
		return Command{}, false
	}
	return v.change("all shards have begun", func(*shardmap.Draft) {})
}

// filled reports whether a move fills node id with shard.
func (v *view) filled(shard wire.ShardID, id wire.NodeID) bool {
	return v.s.Plan != nil && slices.ContainsFunc(v.s.Plan.Moves, func(mv place.Move) bool { return mv.Shard == shard && mv.To == id })
}

// spreadLeaders takes the lead from nodes that are drained or leave, at once,
// and evens it out over the others when no plan is about to change it again.
func (v *view) spreadLeaders() (Command, bool) {
	avoid := v.s.shouldNotLead()
	if v.s.Plan == nil {
		return v.changed("leaders", func(d *shardmap.Draft) { place.SpreadLeaders(d.Replicas, avoid) })
	}
	handed := v.handed()
	return v.changed("leaders", func(d *shardmap.Draft) {
		var others [][]wire.NodeID // the lists themselves, whose order place changes
		for i, r := range d.Replicas {
			if !handed[wire.ShardID(i+1)] {
				others = append(others, r)
			}
		}
		place.Yield(others, avoid)
	})
}

// handed returns the shards whose leader is a matter of the move that they are
// in, which would hand back what is taken here.
func (v *view) handed() map[wire.ShardID]bool {
	shards := make(map[wire.ShardID]bool)
	for _, mv := range v.s.Plan.Moves {
		if st := stageOf(v.s.Map, mv); st == handing || mv.To == 0 {
			shards[mv.Shard] = true
		}
	}
	return shards
}

// changed is change, false when edit leaves all replicas as they are.
func (v *view) changed(why string, edit func(*shardmap.Draft)) (Command, bool) {
	d := v.s.Map.Draft()
	edit(&d)
	for _, s := range v.s.Map.Shards() {
		if !slices.Equal(d.Replicas[s-1], v.s.Map.Replicas(s)) {
			return v.change(why, edit)
		}
	}
	return Command{}, false
}

// plan starts a plan when a node that leaves, or that another replaces, holds
// shards which somebody alive can take. Nodes that join, and nodes that die, are
// for an operator to plan: they may come and go.
func (v *view) plan() (Command, bool) {
	if v.s.Plan != nil || v.s.Hold {
		return Command{}, false
	}
	if p := v.s.Last; p != nil && p.Dropped > 0 && !p.Aborted && v.now-min(v.now, p.EndMS) < RetryAfter {
		return Command{}, false
	}
	why := ""
	for _, n := range v.s.Nodes {
		if n.Role != Core || n.Wish != Leave || len(v.s.holds(n.ID)) == 0 {
			continue
		}
		why = fmt.Sprintf("%q (node %d) leaves", n.Name, n.ID)
		if by := v.s.replacedBy(n.ID); by != 0 {
			why = fmt.Sprintf("node %d replaces %d", by, n.ID)
		}
		break
	}
	if why == "" {
		return Command{}, false
	}
	moves, _, err := v.moves(v.s.Settings.Replicas)
	if err != nil || !slices.ContainsFunc(moves, func(mv place.Move) bool { return mv.From != 0 && !v.s.staying(mv.From) }) {
		return Command{}, false
	}
	return Command{Kind: StartPlan, Why: why, Moves: moves}, true
}

// moves returns what place.Plan wants, less what nobody alive can take, and the
// shards of the latter.
func (v *view) moves(replicas int) (moves []place.Move, waiting []wire.ShardID, err error) {
	moves, err = place.Plan(v.s.Map, v.s.desired(), replicas)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(moves); i++ {
		mv := moves[i]
		if mv.To == 0 || v.takes(mv.To, mv.Shard) {
			continue
		}
		if other, ok := v.instead(moves, mv); ok && (mv.From == 0 || !v.s.staying(mv.From)) {
			moves[i] = other
			continue
		}
		waiting = append(waiting, mv.Shard)
		moves = slices.Delete(moves, i, i+1)
		i--
	}
	return moves, slices.Compact(waiting), nil
}

// retire forgets nodes that leave and hold nothing any more. Members of control
// are for control to take out of its group first.
func (v *view) retire() (Command, bool) {
	for _, n := range v.s.Nodes {
		if n.Wish != Leave || n.Role == Control {
			continue
		}
		mapped := false
		if v.s.Map != nil {
			_, mapped = v.s.Map.Node(n.ID)
		}
		if !mapped {
			return Command{Kind: Forget, Node: &Node{ID: n.ID}, Why: fmt.Sprintf("%q (node %d) has left", n.Name, n.ID)}, true
		}
	}
	return Command{}, false
}

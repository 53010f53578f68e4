package fleet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Change is what an operator would like to see before it is done.
type Change struct {
	Node     wire.NodeID // 0: plan for the nodes as they are
	Wish     Wish        // of Node
	Replicas int         // a shard; 0: Settings.Replicas
}

// Problem is what stands against a Change.
type Problem struct {
	Kind   string         `json:"kind"`             // see the constants
	Text   string         `json:"text"`             // what is wrong and what to do
	Shards []wire.ShardID `json:"shards,omitempty"` // concerned, ascending
	Fatal  bool           `json:"fatal"`            // the change is refused; else it is made as far as can be, or waits
}

// The kinds of a Problem.
const (
	TooFew     = "too_few"     // fewer nodes than replicas would stay
	NoMajority = "no_majority" // shards that cannot agree on anything now, so that none of their replicas can move
	NoTarget   = "no_target"   // replicas that no live node can take
	NoOther    = "no_other"    // shards that only nodes which should not lead could lead
	Running    = "plan_runs"   // a plan is under way; the moves begin when it has ended
)

// Preview returns the moves that c would cause, in order, and what stands
// against it: with a Fatal problem the change is refused. Nothing changes.
// Errors are *Refusal (no such node, no map yet).
func Preview(s *State, r Reports, now wire.Millis, c Change) (moves []place.Move, problems []Problem, err error) {
	if s.Map == nil {
		return nil, nil, &Refusal{Kind: ErrNoMap, Do: fmt.Sprintf("it is made when %d core nodes have joined", s.Settings.Cores)}
	}
	if c.Replicas < 0 || c.Replicas > shardmap.MaxReplicas {
		return nil, nil, invalid("%d replicas, want 1 to %d", c.Replicas, shardmap.MaxReplicas)
	}
	v := newView(s.Clone(), r, now)
	if c.Replicas != 0 {
		v.s.Settings.Replicas = c.Replicas
	}
	var held []wire.ShardID
	if c.Node != 0 {
		n, ok := s.Node(c.Node)
		if !ok {
			return nil, nil, unknown(c.Node)
		}
		held = s.holds(c.Node)
		_, err := Apply(v.s, Command{Kind: SetWish, Node: &Node{ID: c.Node, Wish: c.Wish}})
		var refused *Refusal
		if errors.As(err, &refused) && errors.Is(err, ErrTooFew) {
			return nil, []Problem{{Kind: TooFew, Text: refused.Error(), Shards: refused.Shards, Fatal: true}}, nil
		} else if err != nil {
			return nil, nil, err
		}
		if n.Role != Core || c.Wish == Serve {
			return nil, nil, nil
		}
		if c.Wish == Drain {
			return nil, v.onlyLeaders(held), nil
		}
	}
	moves, waiting, err := v.moves(v.s.Settings.Replicas)
	if err != nil {
		return nil, nil, invalid("%v", err)
	}
	return moves, v.problems(moves, waiting, held), nil
}

// problems says what stands against moves; held are the shards of a node that
// leaves.
func (v *view) problems(moves []place.Move, waiting, held []wire.ShardID) (found []Problem) {
	if have, want := len(v.s.desired()), v.s.Settings.Replicas; have < want {
		found = append(found, Problem{Kind: TooFew, Text: fmt.Sprintf("%d core nodes for %d replicas: a shard gets %d; join more nodes", have, want, have)})
	}
	var stuck []wire.ShardID
	for _, shard := range v.s.Map.Shards() {
		moved := slices.Contains(held, shard) || slices.ContainsFunc(moves, func(mv place.Move) bool { return mv.Shard == shard })
		if moved && v.deadMajority(shard) {
			stuck = append(stuck, shard)
		}
	}
	if len(stuck) > 0 {
		found = append(found, Problem{Kind: NoMajority, Shards: stuck, Fatal: len(held) > 0,
			Text: fmt.Sprintf("%s: most of the replicas are on dead nodes, and none can move before a majority is back; start those nodes again", shardList(stuck))})
	}
	if len(waiting) > 0 {
		found = append(found, Problem{Kind: NoTarget, Shards: waiting, Fatal: len(held) > 0,
			Text: fmt.Sprintf("%s: no live node can take a replica; start the dead nodes again or join another", shardList(waiting))})
	}
	if v.s.Plan != nil {
		found = append(found, Problem{Kind: Running, Text: fmt.Sprintf("plan %d is under way; these moves begin when it has ended", v.s.Plan.ID)})
	}
	return found
}

// deadMajority reports whether so many replicas of shard are dead or out of
// service that the others are no majority.
func (v *view) deadMajority(shard wire.ShardID) bool {
	all, dead := 0, 0
	for _, id := range v.s.Map.Replicas(shard) {
		all++
		if rep, ok := v.replica(id, shard); v.r.Dead(id, v.now) || ok && rep.Failed != "" {
			dead++
		}
	}
	return all-dead < all/2+1
}

// onlyLeaders names the shards that a drained node has to go on leading.
func (v *view) onlyLeaders(held []wire.ShardID) []Problem {
	avoid := v.s.shouldNotLead()
	var alone []wire.ShardID
	for _, shard := range held {
		if !slices.ContainsFunc(v.s.Map.Replicas(shard), func(id wire.NodeID) bool { return !avoid(id) && !v.r.Dead(id, v.now) }) {
			alone = append(alone, shard)
		}
	}
	if len(alone) == 0 {
		return nil
	}
	return []Problem{{Kind: NoOther, Shards: alone,
		Text: fmt.Sprintf("%s: no other live node that serves has a replica, so this one goes on leading", shardList(alone))}}
}

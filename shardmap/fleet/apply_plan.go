package fleet

import (
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/shardmap/place"
)

// steer pauses, resumes or aborts the plan.
func (s *State) steer(c Command) error {
	if s.Plan == nil {
		if c.Kind == Resume && s.Hold {
			s.Hold = false
			return nil
		}
		return &Refusal{Kind: ErrNoPlan, Do: "see `godwit shards status`"}
	}
	if s.Plan.Aborted && c.Kind != Abort {
		return &Refusal{Kind: ErrPlanRuns, Detail: fmt.Sprintf("plan %d is being aborted", s.Plan.ID), Do: "wait until it has ended"}
	}
	p := s.Plan.clone()
	s.Plan = p
	if c.Kind != Abort {
		p.Paused = c.Kind == Pause
		return nil
	}
	p.Paused, p.Aborted, s.Hold = false, true, true
	before := len(p.Moves)
	p.Moves = slices.DeleteFunc(p.Moves, func(mv place.Move) bool { return stageOf(s.Map, mv) == fresh })
	p.Dropped += before - len(p.Moves)
	s.endPlan(c)
	return nil
}

func (s *State) finishMove(c Command) error {
	if c.Move == nil {
		return invalid("no move")
	}
	if s.Plan == nil {
		return &Refusal{Kind: ErrNoPlan, Do: "see `godwit shards status`"}
	}
	i := slices.Index(s.Plan.Moves, *c.Move)
	if i < 0 {
		return stale(*c.Move, "it is not part of the plan")
	}
	p := s.Plan.clone()
	switch {
	case c.Instead != nil:
		if c.Instead.Shard != c.Move.Shard || c.Instead.From != c.Move.From || !s.staying(c.Instead.To) {
			return stale(*c.Instead, fmt.Sprintf("it cannot stand for %s", *c.Move))
		}
		p.Moves[i] = *c.Instead
	default:
		p.Moves = slices.Delete(p.Moves, i, i+1)
		if c.Dropped {
			p.Dropped++
		} else {
			p.Done++
		}
	}
	s.Plan = p
	s.endPlan(c)
	return nil
}

// endPlan lays a plan without moves aside.
func (s *State) endPlan(c Command) {
	if len(s.Plan.Moves) > 0 {
		return
	}
	s.Last, s.Plan = s.Plan, nil
	s.Last.EndMS, s.Last.Moves = c.AtMS, nil
}

package control

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// numbers gives the refusals of package fleet their numbers.
var numbers = [...]struct {
	kind error
	code fault.Code
}{
	{fleet.ErrCommand, fault.BadControlCall},
	{fleet.ErrNewer, fault.ControlBroken},
	{fleet.ErrNotCreated, fault.NoControlLeader},
	{fleet.ErrInvalid, fault.BadControlCall},
	{fleet.ErrUnknownNode, fault.UnknownNode},
	{fleet.ErrNameTaken, fault.NameTaken},
	{fleet.ErrIdentity, fault.IdentityTaken},
	{fleet.ErrAddressTaken, fault.AddressInUse},
	{fleet.ErrTwoInstances, fault.TwoInstances},
	{fleet.ErrClock, fault.ClockOff},
	{fleet.ErrVersions, fault.VersionGap},
	{fleet.ErrLeft, fault.NodeLeft},
	{fleet.ErrHolds, fault.NodeHolds},
	{fleet.ErrTooFew, fault.TooFewNodes},
	{fleet.ErrEpoch, fault.OldMap},
	{fleet.ErrNoMap, fault.PlanState},
	{fleet.ErrPlanRuns, fault.PlanState},
	{fleet.ErrNoPlan, fault.PlanState},
	{fleet.ErrStalePlan, fault.PlanState},
}

// problem turns any error of a call into what the caller gets.
func (c *Control) problem(err error) *api.Problem {
	var done *api.Problem
	var numbered *fault.Error
	var other *LeaderError
	switch {
	case errors.As(err, &done):
		return done
	case errors.As(err, &numbered):
		return api.ProblemOf(err)
	case c.fsm.broken() != nil:
		return api.ProblemOf(fault.New(fault.ControlBroken, "%w", c.fsm.broken()))
	case errors.As(err, &other), errors.Is(err, ErrClosed):
		return c.elsewhere()
	case errors.Is(err, context.DeadlineExceeded):
		return api.ProblemOf(fault.New(fault.NoControlLeader, "no majority took the change in time"))
	}
	for _, n := range numbers {
		if errors.Is(err, n.kind) {
			return refused(n.kind, n.code, err)
		}
	}
	return api.ProblemOf(err)
}

// refused is the problem of a refusal by package fleet.
func refused(kind error, code fault.Code, err error) *api.Problem {
	var r *fleet.Refusal
	if !errors.As(err, &r) {
		return api.ProblemOf(fault.New(code, "%w", err))
	}
	detail := r.Detail
	if detail == "" {
		detail = kind.Error()
	}
	e := fault.New(code, "%s", detail)
	if r.Do != "" {
		e.Do = r.Do
	}
	p := api.ProblemOf(e)
	if r.Retry > 0 {
		p.Retryable = true
	}
	return p
}

// elsewhere sends the caller to the member that leads.
func (c *Control) elsewhere() *api.Problem {
	leader := c.leaderAPI()
	// Here, but not yet: it leads and has not taken over.
	if leader == "" || c.IsLeader() {
		return api.ProblemOf(fault.New(fault.NoControlLeader, "no member leads, as far as this one knows"))
	}
	p := api.ProblemOf(fault.New(fault.NotControlLeader, "%s does", leader))
	p.Leader = leader
	return p
}

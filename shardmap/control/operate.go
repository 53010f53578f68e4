package control

import (
	"net/http"
	"strconv"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// The calls of operators. Each runs on the member that leads, within its term t.

func (a *API) plan(r *http.Request, t *term) (any, error) {
	var q api.PlanRequest
	if err := body(r, &q); err != nil {
		return nil, err
	}
	kinds := map[string]fleet.Kind{api.Pause: fleet.Pause, api.Resume: fleet.Resume, api.Abort: fleet.Abort}
	if kind, ok := kinds[q.Action]; ok {
		if _, err := a.do(r, fleet.Command{Kind: kind, AtMS: nowMS()}); err != nil {
			return nil, err
		}
		t.nudge()
		return a.planNow(t), nil
	}
	if q.Action != api.Preview && q.Action != api.Apply {
		return nil, fault.New(fault.BadControlCall, "the action %q is none of preview, apply, pause, resume, abort", q.Action)
	}
	answer, err := a.preview(t, fleet.Change{Replicas: q.Replicas})
	if err != nil {
		return nil, err
	}
	if q.Action == api.Preview {
		return answer, nil
	}
	if err := fatal(answer.Problems); err != nil {
		return nil, err
	}
	s := a.control.State()
	if len(answer.Moves) == 0 && (q.Replicas == 0 || q.Replicas == s.Settings.Replicas) {
		return answer, nil // the map is as it should be
	}
	done, err := a.do(r, fleet.Command{Kind: fleet.StartPlan, AtMS: nowMS(), Why: "asked for", Moves: answer.Moves, Replicas: q.Replicas})
	if err != nil {
		return nil, err
	}
	answer.ID = done.Plan
	t.nudge()
	return answer, nil
}

// planNow is the plan under way, empty when there is none.
func (a *API) planNow(t *term) api.PlanAnswer {
	s := a.control.State()
	answer := api.PlanAnswer{Moves: []place.Move{}}
	if s.Plan == nil {
		return answer
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return api.PlanAnswer{ID: s.Plan.ID, Moves: s.Plan.Moves, Paused: s.Plan.Paused, EstimateS: estimatePlan(s.Plan, t.mu.reports, nowMS())}
}

func (a *API) preview(t *term, change fleet.Change) (api.PlanAnswer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	moves, problems, err := fleet.Preview(a.control.State(), t.mu.reports, nowMS(), change)
	if moves == nil {
		moves = []place.Move{}
	}
	return api.PlanAnswer{Moves: moves, Problems: problems, EstimateS: estimate(moves, t.mu.reports)}, err
}

// fatal returns the first problem that stands against a change, or nil.
func fatal(problems []fleet.Problem) error {
	for _, p := range problems {
		if !p.Fatal {
			continue
		}
		return fault.New(problemCode(p.Kind), "%s", p.Text)
	}
	return nil
}

func problemCode(kind string) fault.Code {
	switch kind {
	case fleet.TooFew, fleet.NoTarget:
		return fault.TooFewNodes
	}
	return fault.BreaksMajority
}

func (a *API) wish(r *http.Request, t *term) (any, error) {
	var q api.WishRequest
	if err := body(r, &q); err != nil {
		return nil, err
	}
	s := a.control.State()
	node, err := named(s, r.PathValue("node"))
	if err != nil {
		return nil, err
	}
	answer := api.WishAnswer{ID: node.ID, Moves: []place.Move{}, Problems: []fleet.Problem{}}
	if node.Role == fleet.Core && s.Map != nil {
		p, err := a.preview(t, fleet.Change{Node: node.ID, Wish: q.Wish})
		if err != nil {
			return nil, err
		}
		answer.Moves, answer.EstimateS = p.Moves, p.EstimateS
		answer.Problems = append(answer.Problems, p.Problems...)
	}
	if q.DryRun {
		return answer, nil
	}
	if err := fatal(answer.Problems); err != nil {
		return nil, err
	}
	_, err = a.do(r, fleet.Command{Kind: fleet.SetWish, AtMS: nowMS(), Node: &fleet.Node{ID: node.ID, Wish: q.Wish}})
	if err != nil {
		return nil, err
	}
	t.nudge()
	return answer, nil
}

func (a *API) forget(r *http.Request, t *term) (any, error) {
	node, err := named(a.control.State(), r.PathValue("node"))
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	alive := t.mu.reports.Alive(node.ID, nowMS())
	t.mu.Unlock()
	if alive {
		return nil, fault.New(fault.NodeHolds, "%q reports; stop it first", node.Name)
	}
	if _, err := a.do(r, fleet.Command{Kind: fleet.Forget, AtMS: nowMS(), Node: &fleet.Node{ID: node.ID}}); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.mu.reports.Expect(a.control.State(), nowMS()) // not any more
	delete(t.mu.seats, node.ID)
	t.mu.Unlock()
	return nil, nil
}

// named finds a node by id or name.
func named(s *fleet.State, what string) (*fleet.Node, error) {
	if id, err := strconv.ParseUint(what, 10, 32); err == nil {
		if n := find(s, func(n *fleet.Node) bool { return n.ID == wire.NodeID(id) }); n != nil {
			return n, nil
		}
	}
	if n := find(s, func(n *fleet.Node) bool { return n.Name == what }); n != nil {
		return n, nil
	}
	return nil, fault.New(fault.UnknownNode, "%q", what)
}

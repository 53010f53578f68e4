package control

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// The calls of nodes. Each runs on the member that leads, within its term t.

// do carries out a command within the time of a call.
func (a *API) do(r *http.Request, cmd fleet.Command) (fleet.Answer, error) {
	ctx, cancel := context.WithTimeout(r.Context(), callWithin)
	defer cancel()
	return a.control.Do(ctx, cmd)
}

func (a *API) join(r *http.Request, t *term) (any, error) {
	var q api.JoinRequest
	if err := body(r, &q); err != nil {
		return nil, err
	}
	node := fleet.Node{ID: q.ID, Name: q.Name, Role: q.Role, Zone: q.Zone, Identity: q.Identity, Addrs: q.Addrs, Versions: q.Versions, Wish: fleet.Serve}
	cmd := fleet.Command{Kind: fleet.Join, AtMS: nowMS(), Node: &node, Replace: q.Replace}
	known, err := a.mayJoin(t, &q, cmd)
	if err != nil {
		return nil, err
	}
	id := wire.NodeID(0)
	if known != nil && known.Addrs == q.Addrs && known.Versions == q.Versions && known.Zone == q.Zone {
		id = known.ID // nothing new for the log
	} else {
		done, err := a.do(r, cmd)
		if err != nil {
			return nil, err
		}
		id = done.ID
		a.control.log.Info("node joined", "node", id, "name", q.Name, "role", q.Role, "zone", q.Zone)
	}
	t.mu.Lock()
	s := a.control.State()
	t.mu.reports.Expect(s, nowMS()) // its first report is awaited from now on
	err = t.mu.seats.admit(id, q.Instance, nowMS())
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t.nudge()
	return api.JoinAnswer{Cluster: s.Cluster, ID: id, Control: a.control.apis(), Settings: s.Settings}, nil
}

// mayJoin says why a node cannot join, and returns it when it has joined before.
func (a *API) mayJoin(t *term, q *api.JoinRequest, cmd fleet.Command) (*fleet.Node, error) {
	s := a.control.State()
	if q.Cluster != "" && q.Cluster != s.Cluster {
		return nil, fault.New(fault.OtherCluster, "its data is of %s, this is %s", q.Cluster, s.Cluster)
	}
	if q.Role != fleet.Core && q.Role != fleet.Edge || q.Instance == "" {
		return nil, fault.New(fault.BadControlCall, "a join needs the role core or edge and an instance")
	}
	known := find(s, func(n *fleet.Node) bool { return n.Identity == q.Identity && n.Name == q.Name && n.Role == q.Role })
	if q.ID != 0 && (known == nil || known.ID != q.ID) {
		return nil, fault.New(fault.UnknownNode, "node %d, which %q says it is, has been removed", q.ID, q.Name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known != nil {
		if err := t.mu.seats.admit(known.ID, q.Instance, nowMS()); err != nil {
			return nil, err
		}
	}
	return known, fleet.JudgeJoin(cmd, q.Instance, q.ClockMS, s, t.mu.reports, nowMS())
}

func find(s *fleet.State, is func(*fleet.Node) bool) *fleet.Node {
	for i := range s.Nodes {
		if is(&s.Nodes[i]) {
			return &s.Nodes[i]
		}
	}
	return nil
}

func (a *API) report(r *http.Request, t *term) (any, error) {
	var rep fleet.Report
	if err := body(r, &rep); err != nil {
		return nil, err
	}
	s := a.control.State()
	node, err := itself(s, rep.ID, rep.Identity)
	if err != nil {
		return nil, err
	}
	if rep.Instance == "" {
		return nil, fault.New(fault.BadControlCall, "a report needs an instance")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.mu.seats.admit(rep.ID, rep.Instance, nowMS()); err != nil {
		return nil, err
	}
	before := t.mu.reports[rep.ID].Report
	if err := t.mu.reports.Take(s, rep, nowMS()); err != nil {
		return nil, err
	}
	if news(&before, &rep) {
		t.nudge()
	}
	answer := api.ReportAnswer{Wish: node.Wish, Control: a.control.apis()}
	if s.Map != nil {
		answer.Epoch = s.Map.Epoch()
	}
	return answer, nil
}

// itself returns the node that says it is id, when it proves it.
func itself(s *fleet.State, id wire.NodeID, identity string) (*fleet.Node, error) {
	n := find(s, func(n *fleet.Node) bool { return n.ID == id })
	if n == nil {
		return nil, fault.New(fault.UnknownNode, "%d", id)
	}
	if n.Identity != identity {
		return nil, fault.New(fault.NameTaken, "node %d, %q, has another identity", id, n.Name)
	}
	return n, nil
}

// news reports whether a report may let a move go on.
func news(before, now *fleet.Report) bool {
	return before.ID == 0 || before.Epoch != now.Epoch || before.Ready != now.Ready ||
		!slices.EqualFunc(before.Shards, now.Shards, func(a, b fleet.ShardReport) bool {
			return a.Shard == b.Shard && a.Leads == b.Leads && a.Config == b.Config && a.Failed == b.Failed &&
				slices.Equal(a.Voters, b.Voters) && slices.Equal(a.Learners, b.Learners)
		})
}

func (a *API) leave(r *http.Request, t *term) (any, error) {
	var q api.LeaveRequest
	if err := body(r, &q); err != nil {
		return nil, err
	}
	if _, err := itself(a.control.State(), q.ID, q.Identity); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.mu.seats.leave(q.ID, q.Instance); err != nil {
		return nil, fault.New(fault.TwoInstances, "%w", err)
	}
	t.mu.reports.Leave(q.ID, q.Instance)
	return nil, nil
}

// newerMap waits for a map above the epoch that the node has.
func (a *API) newerMap(r *http.Request, t *term) (any, error) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(q.Get("after"), 10, 64)
	if err != nil {
		return nil, fault.New(fault.BadControlCall, "after: %q is not an epoch", q.Get("after"))
	}
	wait, err := time.ParseDuration(q.Get("wait"))
	if err != nil {
		return nil, fault.New(fault.BadControlCall, "wait: %q is not a duration such as 25s", q.Get("wait"))
	}
	timer := time.NewTimer(min(max(wait, 0), api.MaxWait))
	defer timer.Stop()
	for {
		changed := a.control.watcher.Changed()
		cur := a.control.watcher.Current()
		if have := epoch(cur); have > after {
			return cur, nil
		} else if have < after {
			return nil, fault.New(fault.OldMap, "control has epoch %d, the node %d", have, after)
		}
		select {
		case <-changed:
		case <-timer.C:
			return unchanged{}, nil
		case <-t.done:
			return nil, a.control.elsewhere()
		case <-a.stop:
			return nil, a.control.elsewhere()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

package control

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// leaderlessAfter is how long nobody must have led before a member shows a
// fleet by itself: until then somebody is about to.
const leaderlessAfter = 3 * time.Second

// fleet shows all there is. The leader answers; when there is none for a while,
// each member shows what it has, which may be old and lacks all reports.
func (a *API) fleet(*http.Request) (any, error) {
	c := a.control
	s, now := c.State(), nowMS()
	t := c.leading()
	if t == nil {
		p := c.elsewhere()
		since := time.UnixMilli(c.leaderless.Load())
		if p.Leader != "" || s.Cluster == "" || time.Since(since) < leaderlessAfter {
			return nil, p
		}
		return c.view(s, fleet.Reports{}, now, ""), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.view(s, t.mu.reports, now, c.leaderAPI()), nil
}

func (c *Control) view(s *fleet.State, reports fleet.Reports, now wire.Millis, leader string) *api.Fleet {
	f := &api.Fleet{Cluster: s.Cluster, Settings: s.Settings, Leader: leader, Control: c.members(leader != ""),
		Nodes: []api.Node{}, Last: s.Last, Hold: s.Hold}
	for i := range s.Nodes {
		if s.Nodes[i].Role != fleet.Control {
			f.Nodes = append(f.Nodes, viewNode(&s.Nodes[i], reports, now))
		}
	}
	if s.Map != nil {
		f.Map = &api.MapView{Epoch: s.Map.Epoch()}
		by := byShard(reports)
		for _, id := range s.Map.Shards() {
			f.Map.Shards = append(f.Map.Shards, viewShard(s, id, by[id], reports, now))
		}
	}
	if s.Plan != nil {
		f.Plan = &api.PlanView{Plan: *s.Plan, EstimateS: estimatePlan(s.Plan, reports, now)}
	}
	return f
}

// members lists the control group, with what the leader knows of the others.
func (c *Control) members(leading bool) []api.ControlMember {
	list := []api.ControlMember{}
	conf := c.raft.GetConfiguration()
	if conf.Error() != nil {
		return list
	}
	leader, _ := c.Leader()
	for _, srv := range conf.Configuration().Servers {
		n, _ := strconv.ParseUint(string(srv.ID), 10, 32)
		m := api.ControlMember{ID: wire.NodeID(n), Addr: c.apiOf(wire.NodeID(n)), Raft: string(srv.Address), Role: "follower"}
		_, silent := c.silent.Load(srv.ID)
		switch {
		case !leading:
			m.Role = "unknown"
		case m.ID == leader:
			m.Role = "leader"
		case silent:
			m.Role = "unreachable"
		}
		list = append(list, m)
	}
	return list
}

// observe is called by raft, as things happen; it does not wait.
func (c *Control) observe(o *raft.Observation) bool {
	switch e := o.Data.(type) {
	case raft.LeaderObservation:
		c.silent.Clear()
		c.leaderless.Store(time.Now().UnixMilli())
		c.logLeader(e)
	case raft.FailedHeartbeatObservation:
		c.silent.Store(e.PeerID, e.LastContact)
	case raft.ResumedHeartbeatObservation:
		c.silent.Delete(e.PeerID)
	}
	return false // nothing to deliver
}

// logLeader says who leads. That nobody does is no news of a member that closes.
func (c *Control) logLeader(e raft.LeaderObservation) {
	if e.LeaderID != "" {
		c.log.Info("control leader", "leader", string(e.LeaderID), "address", string(e.LeaderAddr))
		return
	}
	select {
	case <-c.stop:
	default:
		c.log.Info("control has no leader right now")
	}
}

func viewNode(n *fleet.Node, reports fleet.Reports, now wire.Millis) api.Node {
	v := api.Node{Node: *n, Alive: reports.Alive(n.ID, now)}
	seen, ok := reports[n.ID]
	if !ok || seen.Report.ID == 0 {
		return v
	}
	ago := int64(now - seen.At)
	r := &seen.Report
	v.SeenMSAgo, v.ClockOffMS = &ago, int64(r.ClockMS)-int64(seen.At)
	v.Report = &api.Summary{Ready: r.Ready, Note: r.Note, Epoch: r.Epoch, Shards: len(r.Shards), DiskFree: r.DiskFree,
		Sessions: r.Sessions, PerSec: r.PerSec, CPU: r.CPU, Bytes: r.Bytes}
	for i := range r.Shards {
		if r.Shards[i].Leads {
			v.Report.Leads++
		}
	}
	return v
}

// replica is one report of a shard and whose it is.
type replica struct {
	node wire.NodeID
	*fleet.ShardReport
}

func byShard(reports fleet.Reports) map[wire.ShardID][]replica {
	by := make(map[wire.ShardID][]replica)
	for id, seen := range reports {
		for i := range seen.Report.Shards {
			r := &seen.Report.Shards[i]
			by[r.Shard] = append(by[r.Shard], replica{id, r})
		}
	}
	return by
}

func viewShard(s *fleet.State, id wire.ShardID, known []replica, reports fleet.Reports, now wire.Millis) api.Shard {
	v := api.Shard{Shard: id, Slots: s.Map.SlotCount(id), Replicas: s.Map.Replicas(id), Learners: s.Map.Learners(id)}
	var leader *fleet.ShardReport
	for _, r := range known {
		v.Bytes = max(v.Bytes, r.Bytes)
		if r.Leads && reports.Alive(r.node, now) && r.Term >= v.Term {
			leader, v.Leader, v.Term, v.Applied = r.ShardReport, r.node, r.Term, r.Applied
		}
	}
	for _, r := range known {
		if reports.Alive(r.node, now) && v.Applied > r.Applied {
			v.Lag = max(v.Lag, v.Applied-r.Applied)
		}
	}
	v.State, v.Why = judgeShard(s, &v, leader, known, reports, now)
	return v
}

// judgeShard returns the worst that holds of a shard.
func judgeShard(s *fleet.State, v *api.Shard, leader *fleet.ShardReport, known []replica, reports fleet.Reports, now wire.Millis) (state, why string) {
	if leader == nil {
		return api.ShardDown, "no node reports that it leads"
	}
	for _, r := range known {
		if r.Failed != "" {
			return api.ShardFailed, fmt.Sprintf("on %s: %s", label(s, r.node), r.Failed)
		}
	}
	for _, id := range v.Replicas {
		switch {
		case !reports.Alive(id, now):
			return api.ShardDegraded, label(s, id) + " does not report"
		case !slices.Contains(leader.Voters, id):
			return api.ShardDegraded, label(s, id) + " has no vote yet"
		}
	}
	if len(v.Learners) > 0 {
		return api.ShardMoving, label(s, v.Learners[0]) + " is being filled"
	}
	for _, id := range slices.Concat(leader.Voters, leader.Learners) {
		if !slices.Contains(v.Replicas, id) {
			return api.ShardMoving, label(s, id) + " is to go"
		}
	}
	return api.ShardOK, ""
}

// label names a node for people.
func label(s *fleet.State, id wire.NodeID) string {
	if n := find(s, func(n *fleet.Node) bool { return n.ID == id }); n != nil {
		return n.Name
	}
	return fmt.Sprintf("node %d", id)
}

// What a move takes, for estimates before one was finished: its steps, and its
// bytes at a rate that leaves room for messages, two moves at a time.
const (
	stepsTake    = 4 * time.Second
	bytesASecond = 32 << 20
	movesAtOnce  = 2
)

// estimate returns the seconds that moves take, about.
func estimate(moves []place.Move, reports fleet.Reports) float64 {
	by := byShard(reports)
	var sum float64
	for _, m := range moves {
		sum += stepsTake.Seconds()
		var size uint64
		for _, r := range by[m.Shard] {
			size = max(size, r.Bytes)
		}
		if m.To != 0 {
			sum += float64(size) / bytesASecond
		}
	}
	return sum / movesAtOnce
}

// estimatePlan goes by how fast the plan went so far, once it has finished a
// move. A plan that is paused has no end in sight.
func estimatePlan(p *fleet.Plan, reports fleet.Reports, now wire.Millis) float64 {
	switch {
	case p.Paused:
		return 0
	case p.Done > 0 && now > p.FromMS:
		return float64(now-p.FromMS) / 1000 / float64(p.Done) * float64(len(p.Moves))
	}
	return estimate(p.Moves, reports)
}

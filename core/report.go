package core

import (
	"cmp"
	"slices"

	"github.com/godwit-im/godwit/shardmap/fleet"
)

// Report returns what control wants to know of every replica here, by shard. It
// asks nobody and reads no disk. The slices in it are the caller's to read.
func (n *Node) Report() []fleet.ShardReport {
	all := n.all()
	list := make([]fleet.ShardReport, 0, len(all))
	for _, r := range all {
		list = append(list, r.report())
	}
	for id, why := range *n.lost.Load() {
		if all[id] == nil {
			list = append(list, fleet.ShardReport{Shard: id, Failed: why})
		}
	}
	slices.SortFunc(list, func(a, b fleet.ShardReport) int { return cmp.Compare(a.Shard, b.Shard) })
	return list
}

func (r *replica) report() fleet.ShardReport {
	s := fleet.ShardReport{
		Shard: r.id, Leads: r.leads.Load(), Leader: r.leaderNode(), Term: r.term.Load(),
		Applied: r.machine.at.Load(), Bytes: r.gov.bytes.Load(),
	}
	if why := r.why.Load(); why != nil {
		s.Failed = *why
	}
	if m := r.gov.roster.Load(); s.Leads && m != nil {
		s.Voters, s.Learners, s.Config = nodesOf(m.voters), nodesOf(m.learners), m.config
	}
	return s
}

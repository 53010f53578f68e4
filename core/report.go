package core

import (
	"cmp"
	"slices"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// Report returns what control wants to know of every replica here, by shard. It
// asks nobody and reads no disk. The slices in it are the caller's to read.
func (n *Node) Report() []fleet.ShardReport {
	all, changed := n.all(), n.changeIndexes()
	list := make([]fleet.ShardReport, 0, len(all))
	for id, r := range all {
		s := r.report()
		// Changes of the membership are entries, too, which the machine never
		// sees: without them a learner of a quiet shard looks as if it had
		// applied nothing.
		s.Applied = max(s.Applied, changed[id])
		list = append(list, s)
	}
	for id, why := range *n.lost.Load() {
		if all[id] == nil {
			list = append(list, fleet.ShardReport{Shard: id, Failed: why})
		}
	}
	slices.SortFunc(list, func(a, b fleet.ShardReport) int { return cmp.Compare(a.Shard, b.Shard) })
	return list
}

// changeIndexes returns, of every replica here, the index of the change of the
// membership that it applied last.
func (n *Node) changeIndexes() map[wire.ShardID]uint64 {
	select {
	case <-n.stop:
		return nil // the host is closing
	default:
	}
	info := n.host.GetNodeHostInfo(dragonboat.NodeHostInfoOption{SkipLogInfo: true})
	list := make(map[wire.ShardID]uint64, len(info.ShardInfoList))
	for i := range info.ShardInfoList {
		s := &info.ShardInfoList[i]
		list[wire.ShardID(s.ShardID)] = s.ConfigChangeIndex
	}
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

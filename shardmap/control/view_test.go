package control

import (
	"testing"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// What operators see of a shard with replicas on nodes 1, 2 and 3, of which 1
// leads, and node 4 beside.
func TestStateOfAShard(t *testing.T) {
	const now = 100_000
	lead := fleet.ShardReport{Shard: 1, Leads: true, Leader: 1, Term: 5, Applied: 90, Voters: []wire.NodeID{1, 2, 3}, Bytes: 7}
	follow := fleet.ShardReport{Shard: 1, Leader: 1, Term: 5, Applied: 80, Bytes: 9}
	for name, c := range map[string]struct {
		change func(fleet.Reports, *shardmap.Draft)
		state  string
		why    string
	}{
		"well": {func(fleet.Reports, *shardmap.Draft) {}, api.ShardOK, ""},
		"no leader": {func(r fleet.Reports, _ *shardmap.Draft) { delete(r, 1) },
			api.ShardDown, "no node reports that it leads"},
		"leader silent": {func(r fleet.Reports, _ *shardmap.Draft) { s := r[1]; s.At -= 2 * fleet.Lease; r[1] = s },
			api.ShardDown, "no node reports that it leads"},
		"replica silent": {func(r fleet.Reports, _ *shardmap.Draft) { delete(r, 3) },
			api.ShardDegraded, "core-3 does not report"},
		"replica broken": {func(r fleet.Reports, _ *shardmap.Draft) { r[2].Report.Shards[0].Failed = "checksum" },
			api.ShardFailed, "on core-2: checksum"},
		"being filled": {func(_ fleet.Reports, d *shardmap.Draft) { d.Learners = [][]wire.NodeID{{4}} },
			api.ShardMoving, "core-4 is being filled"},
		"no vote yet": {func(_ fleet.Reports, d *shardmap.Draft) { d.Replicas = [][]wire.NodeID{{1, 2, 4}} },
			api.ShardDegraded, "core-4 has no vote yet"},
		"to go": {func(_ fleet.Reports, d *shardmap.Draft) { d.Replicas = [][]wire.NodeID{{1, 2}} },
			api.ShardMoving, "core-3 is to go"},
	} {
		t.Run(name, func(t *testing.T) {
			reports := fleet.Reports{}
			d := shardmap.Draft{Epoch: 4, Slots: shardmap.SpreadSlots(1), Replicas: [][]wire.NodeID{{1, 2, 3}}}
			s := &fleet.State{}
			for id := wire.NodeID(1); id <= 4; id++ {
				s.Nodes = append(s.Nodes, fleet.Node{ID: id, Name: "core-" + string(rune('0'+id)), Role: fleet.Core})
				d.Nodes = append(d.Nodes, shardmap.Node{ID: id})
				r := fleet.Report{ID: id, Ready: true}
				if id <= 3 {
					r.Shards = []fleet.ShardReport{follow}
				}
				reports[id] = fleet.Seen{Report: r, At: now - 500}
			}
			reports[1].Report.Shards[0] = lead
			c.change(reports, &d)
			m, err := shardmap.New(d)
			if err != nil {
				t.Fatal(err)
			}
			s.Map = m
			v := viewShard(s, 1, byShard(reports)[1], reports, now)
			if v.State != c.state || v.Why != c.why {
				t.Errorf("%s: %s, want %s: %s", v.State, v.Why, c.state, c.why)
			}
			if v.State != api.ShardDown && (v.Leader != 1 || v.Lag != 10 || v.Bytes != 9 || v.Applied != 90 || v.Slots != wire.Slots) {
				t.Errorf("%+v", v)
			}
		})
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// aFleet is one in which something is wrong with everything.
func aFleet() *api.Fleet {
	seen := int64(1200)
	f := &api.Fleet{
		Leader:  "127.0.0.1:7700",
		Control: []api.ControlMember{{ID: 1, Addr: "127.0.0.1:7700", Role: "leader"}},
		Nodes: []api.Node{
			{Node: fleet.Node{ID: 2, Name: "core-1", Role: fleet.Core, Wish: fleet.Leave, Zone: "a\x1b[2J", Addrs: fleet.Addrs{Link: "127.0.0.1:7710"}}, Alive: true, SeenMSAgo: &seen,
				Report: &api.Summary{Shards: 4, Leads: 1, PerSec: 12.4, CPU: 0.25, Bytes: 50 << 20, DiskFree: 3 << 40, Note: "shard 3\nhas no leader"}},
			{Node: fleet.Node{ID: 3, Name: "core-2", Role: fleet.Core, Wish: fleet.Serve}},
			{Node: fleet.Node{ID: 4, Name: "edge-1", Role: fleet.Edge, Wish: fleet.Drain, Addrs: fleet.Addrs{Public: "127.0.0.1:8080"}}, SeenMSAgo: &seen, Report: &api.Summary{Ready: true, Sessions: 7}},
		},
		Map: &api.MapView{Epoch: 9, Shards: []api.Shard{
			{Shard: 1, Slots: 8192, Replicas: []wire.NodeID{2, 3}, Learners: []wire.NodeID{5}, Leader: 2, Term: 3, Applied: 100, Lag: 7, Bytes: 2048, State: api.ShardMoving, Why: "core-1 is to go"},
			{Shard: 2, Slots: 8192, Replicas: []wire.NodeID{3, 2}, State: api.ShardDown},
		}},
		Plan: &api.PlanView{Plan: fleet.Plan{ID: 4, Why: "core-1 leaves", Moves: []place.Move{{Shard: 1, From: 2, To: 3}}, Done: 3, Dropped: 1}, EstimateS: 41.3},
	}
	return f
}

func TestFleetTables(t *testing.T) {
	var nodes, shards, top strings.Builder
	f := aFleet()
	for _, err := range []error{nodesText(&nodes, f), shardsText(&shards, f), topText(&top, f, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, got, want string }{
		{"nodes", nodes.String(), `
ID  NAME       ROLE     ZONE   STATE               SHARDS  LEADS  SESSIONS  OPS/S  CPU   MEMORY  DISK FREE  SEEN  ADDRESS
1   control-1  control  -      leader              -       -      -         -      -     -       -          -     127.0.0.1:7700
2   core-1     core     a·[2J  not ready, leaving  4       1      -         12     0.25  50 MiB  3 TiB      1.2s  127.0.0.1:7710
3   core-2     core     -      not seen yet        -       -      -         -      -     -       -          -     -
4   edge-1     edge     -      down, drained       -       -      7         0      0.00  0 B     0 B        1.2s  127.0.0.1:8080
core-1 is not ready: shard 3 has no leader
`},
		{"shards", shards.String(), `
SHARD  STATE   LEADER  REPLICAS       LEARNERS  SLOTS  TERM  APPLIED  LAG  SIZE
1      moving  core-1  core-1,core-2  node 5    8192   3     100      7    2 KiB
2      down    -       core-2,core-1  -         8192   0     0        0    0 B
shard 1 is moving: core-1 is to go
`},
		{"top", strings.Join(strings.SplitN(top.String(), "\n", 3)[:2], "\n") + "\n", `
03:04:05  map 9  sessions 0  shards  1 moving  1 down
plan 4 (core-1 leaves): 3 of 5 moves done, 1 given up, about 41s left
`},
	} {
		if want := strings.TrimPrefix(c.want, "\n"); c.got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, c.got, want)
		}
	}
}

func TestPlanWords(t *testing.T) {
	f := aFleet()
	name := names(f)
	moves := []place.Move{{Shard: 1, From: 2, To: 3}, {Shard: 2, To: 3}, {Shard: 3, From: 2}}
	for want, got := range map[string]func(*strings.Builder) error{
		"plan 5 began: 3 moves, about 1m30s; see `godwit shards status --watch`\n  shard 1    core-1 -> core-2\n  shard 2    to core-2\n  shard 3    off core-1\n": func(b *strings.Builder) error {
			return planText(b, api.Apply, &api.PlanAnswer{ID: 5, Moves: moves, EstimateS: 90}, name)
		},
		"nothing to move: the replicas are where they should be\n": func(b *strings.Builder) error { return planText(b, api.Preview, &api.PlanAnswer{}, name) },
		"paused: 3 moves to go\n  shard 1    core-1 -> core-2\n  shard 2    to core-2\n  shard 3    off core-1\n": func(b *strings.Builder) error {
			return planText(b, api.Pause, &api.PlanAnswer{Moves: moves, Paused: true, EstimateS: 3}, name)
		},
		"core-1 would leave: 0 moves\nrefused: shard 1 would lose its majority\n": func(b *strings.Builder) error {
			return wishText(b, fleet.Leave, true, &api.WishAnswer{ID: 2, Problems: []fleet.Problem{{Text: "shard 1 would lose its majority", Fatal: true}}}, name)
		},
	} {
		var b strings.Builder
		if err := got(&b); err != nil || b.String() != want {
			t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
		}
	}
	f.Plan, f.Last, f.Hold = nil, &fleet.Plan{ID: 4, Why: "asked for", Done: 2, Dropped: 1}, true
	if got := planLine(f); got != "no moves are under way; plan 4 (asked for) ended: 2 done, 1 given up; none begin by themselves until `godwit shards resume`" {
		t.Errorf("%s", got)
	}
	if n := holds(f, 3); n != 2 {
		t.Errorf("core-2 holds %d shards, want 2", n)
	}
	if n := holds(f, 2); n != 4 {
		t.Errorf("core-1 holds %d shards, want the 4 that it reports", n)
	}
}

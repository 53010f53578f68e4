// Package api is the control group's HTTP API: the shapes that travel and a
// Client that finds the member which leads. shardmap/control answers it;
// shardmap/member and the command line ask.
//
//	POST   /v1/fleet/join            JoinRequest   -> JoinAnswer
//	POST   /v1/fleet/report          fleet.Report  -> ReportAnswer
//	GET    /v1/fleet/map?after=&wait= the encoded map, or 304 when none is newer
//	GET    /v1/fleet                 -> Fleet
//	POST   /v1/fleet/leave           LeaveRequest  -> 204
//	POST   /v1/fleet/plan            PlanRequest   -> PlanAnswer
//	POST   /v1/fleet/nodes/{node}    WishRequest   -> WishAnswer
//	DELETE /v1/fleet/nodes/{node}    -> 204
//
// Every call carries `Authorization: Bearer <join secret>`. An error is a
// Problem; 421 names the leader. Bodies are JSON, at most MaxBody.
//
// The shapes are what `godwit nodes|shards|top -o json` print. Fields are only
// added, never renamed.
package api

import (
	"time"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// The paths. A node is its id or its name.
const (
	PathFleet  = "/v1/fleet"
	PathJoin   = "/v1/fleet/join"
	PathReport = "/v1/fleet/report"
	PathLeave  = "/v1/fleet/leave"
	PathMap    = "/v1/fleet/map"
	PathPlan   = "/v1/fleet/plan"
	PathNodes  = "/v1/fleet/nodes/" // + node
)

// The bounds and times that both sides know.
const (
	// MaxBody bounds a body but for the map's: a report of a node with all
	// 4,096 shards takes some 700 KiB.
	MaxBody = 1 << 20
	// MaxFleet bounds what GET /v1/fleet answers: 4,096 nodes and shards.
	MaxFleet = 16 << 20
	// MaxWait is how long a call for a newer map may wait.
	MaxWait = 25 * time.Second
	// MaxClockOff is how far the clock of a node that joins may be off.
	MaxClockOff = fleet.MaxClockOff
	// Lease is how long a node counts as alive after its last report.
	Lease = time.Duration(fleet.Lease) * time.Millisecond
	// ReportEvery is how often a node reports.
	ReportEvery = time.Second
)

// JoinRequest asks for a place in the fleet. The same name and identity get the
// same id, so it may be repeated.
type JoinRequest struct {
	Name     string         `json:"name"`
	Role     fleet.Role     `json:"role"`
	Zone     string         `json:"zone,omitempty"`
	Identity string         `json:"identity"`          // of the data directory, 32 hex digits
	Instance string         `json:"instance"`          // of this start of the process, 32 hex digits
	Cluster  string         `json:"cluster,omitempty"` // to which the data directory belongs; empty when it never joined
	ID       wire.NodeID    `json:"id,omitempty"`      // which the data directory holds; 0 when it never joined
	Replace  bool           `json:"replace,omitempty"` // take the name over from a node whose disk is gone
	Addrs    fleet.Addrs    `json:"addrs"`
	Versions fleet.Versions `json:"versions"`
	ClockMS  wire.Millis    `json:"clock_ms"`
}

// JoinAnswer is a place in the fleet.
type JoinAnswer struct {
	Cluster  string         `json:"cluster"`
	ID       wire.NodeID    `json:"id"`
	Control  []string       `json:"control"` // API addresses of the control members
	Settings fleet.Settings `json:"settings"`
}

// ReportAnswer tells a node what is new.
type ReportAnswer struct {
	Epoch   uint64     `json:"epoch"` // of the current map, 0: there is none
	Wish    fleet.Wish `json:"wish"`
	Control []string   `json:"control"`
}

// LeaveRequest says that the process ends in good order. Its next one need not
// wait until this one's silence is noticed.
type LeaveRequest struct {
	ID       wire.NodeID `json:"id"`
	Identity string      `json:"identity"`
	Instance string      `json:"instance"`
}

// Fleet is all there is to see of a fleet.
type Fleet struct {
	Cluster  string          `json:"cluster"`
	Settings fleet.Settings  `json:"settings"`
	Leader   string          `json:"leader"` // API address of the control leader; empty: there is none, and what follows may be old
	Control  []ControlMember `json:"control"`
	Nodes    []Node          `json:"nodes"` // cores and edges, by id
	Map      *MapView        `json:"map,omitempty"`
	Plan     *PlanView       `json:"plan,omitempty"`
	Last     *fleet.Plan     `json:"last_plan,omitempty"` // the one that ended last
	Hold     bool            `json:"hold,omitempty"`      // after an abort: no plan starts by itself
}

// ControlMember is one member of the control group.
type ControlMember struct {
	ID   wire.NodeID `json:"id"`
	Addr string      `json:"addr"` // of its API
	Raft string      `json:"raft"`
	Role string      `json:"role"` // "leader", "follower", "unreachable" from the leader, or "unknown" when there is none
}

// Node is a node and what it last said of itself.
type Node struct {
	fleet.Node
	Alive      bool     `json:"alive"`                 // reported within the Lease
	SeenMSAgo  *int64   `json:"seen_ms_ago,omitempty"` // absent: not since this leader leads
	ClockOffMS int64    `json:"clock_off_ms,omitempty"`
	Report     *Summary `json:"report,omitempty"`
}

// Summary is a report without its shards.
type Summary struct {
	Ready    bool    `json:"ready"`
	Note     string  `json:"note,omitempty"`
	Epoch    uint64  `json:"epoch"`
	Shards   int     `json:"shards"`
	Leads    int     `json:"leads"`
	DiskFree uint64  `json:"disk_free"` // bytes
	Sessions int64   `json:"sessions"`
	PerSec   float64 `json:"per_sec"` // messages a second
	CPU      float64 `json:"cpu"`     // processors in use
	Bytes    uint64  `json:"bytes"`   // resident
}

// MapView is the map with what the nodes report of its shards.
type MapView struct {
	Epoch  uint64  `json:"epoch"`
	Shards []Shard `json:"shards"` // by shard
}

// The states of a shard, the worst that holds.
const (
	ShardDown     = "down"     // no leader is reported
	ShardFailed   = "failed"   // a replica is out of service
	ShardDegraded = "degraded" // a replica's node does not report, or the replica is not among the voters
	ShardMoving   = "moving"   // a learner is being filled, or a replica is to go
	ShardOK       = "ok"
)

// Shard is one shard of the map.
type Shard struct {
	Shard    wire.ShardID  `json:"shard"`
	Slots    int           `json:"slots"`
	Replicas []wire.NodeID `json:"replicas"` // wanted, the preferred leader first
	Learners []wire.NodeID `json:"learners,omitempty"`
	Leader   wire.NodeID   `json:"leader,omitempty"` // 0: none is reported
	Term     uint64        `json:"term,omitempty"`
	Applied  uint64        `json:"applied,omitempty"` // the leader's index
	Lag      uint64        `json:"lag,omitempty"`     // entries, of the replica or learner farthest behind
	Bytes    uint64        `json:"bytes,omitempty"`   // on disk, of the largest replica
	State    string        `json:"state"`
	Why      string        `json:"why,omitempty"` // what makes the state not ok
}

// PlanView is the plan under way.
type PlanView struct {
	fleet.Plan
	EstimateS float64 `json:"estimate_s"` // seconds until it is done, about; 0: not known
}

// The actions of a PlanRequest.
const (
	Preview = "preview" // say what apply would do
	Apply   = "apply"   // spread replicas and leaders over the nodes as they are wished
	Pause   = "pause"   // finish no further step
	Resume  = "resume"
	Abort   = "abort" // forget the moves that have not begun, undo the rest
)

// PlanRequest is what to do with the moves of the fleet.
type PlanRequest struct {
	Action   string `json:"action"`
	Replicas int    `json:"replicas,omitempty"` // wanted for each shard; 0: as the settings say
}

// PlanAnswer is the plan that the request made, changed or looked at.
type PlanAnswer struct {
	ID        uint64       `json:"id,omitempty"` // 0: a preview, or nothing to do
	Moves     []place.Move `json:"moves"`
	EstimateS float64      `json:"estimate_s"` // seconds, about; 0: not known
	Paused    bool         `json:"paused,omitempty"`
	// Problems stand against a preview; with a fatal one apply is refused.
	Problems []fleet.Problem `json:"problems,omitempty"`
}

// WishRequest says what is to become of a node.
type WishRequest struct {
	Wish   fleet.Wish `json:"wish"`
	DryRun bool       `json:"dry_run,omitempty"`
}

// WishAnswer is what follows from a wish. With a fatal problem a dry run says
// so and anything else is refused.
type WishAnswer struct {
	ID        wire.NodeID     `json:"id"`
	Moves     []place.Move    `json:"moves"`
	EstimateS float64         `json:"estimate_s"`
	Problems  []fleet.Problem `json:"problems"`
}

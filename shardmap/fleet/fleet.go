// Package fleet is what control knows about a fleet and how it decides: who has
// joined, what is to become of each node, the shard map, and the moves that are
// under way.
//
// A State is the replicated part. It is changed by Apply alone, one Command
// after the other, the same on every control member. What nodes report is soft:
// the leader of the control group keeps the newest Report of each node in
// memory (Reports) and forgets it with its leadership; a heartbeat later it is
// there again.
//
// Nothing here does anything: Step looks at a State, the Reports and the time,
// and says which Command comes next. Every step of a move can be read off the
// map and the reports, so a new leader continues where the old one stopped.
//
// The package is pure: no network, file, clock, random source or goroutine. A
// State belongs to its caller and is not safe for concurrent use.
package fleet

import (
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Role is what a process does.
type Role string

// The roles.
const (
	Control Role = "control"
	Core    Role = "core"
	Edge    Role = "edge"
)

// Wish is what an operator wants of a node.
type Wish string

// The wishes. A node that is to leave holds no shard in the wished-for map; one
// that is drained keeps its shards and leads none.
const (
	Serve Wish = "serve"
	Drain Wish = "drain"
	Leave Wish = "leave" // decommissioned: its replicas move away, then it is removed
)

// Addrs are where a node can be reached, host:port each; empty when it does not
// listen there.
type Addrs struct {
	Link   string `json:"link,omitempty"`   // core: internal/link
	Raft   string `json:"raft,omitempty"`   // core: the shards' Raft; control: its own
	API    string `json:"api,omitempty"`    // control: the API of this package's driver
	Public string `json:"public,omitempty"` // edge: page, REST, WebSocket
	Admin  string `json:"admin,omitempty"`  // health, metrics, pprof
}

// Versions are what a process can read and speak. They rise only when the form
// of data or messages changes, which is not with every release.
type Versions struct {
	Program string `json:"program"`
	Wire    uint32 `json:"wire"`  // of wire/peer between processes
	Store   uint32 `json:"store"` // of the data directory
}

// Node is a member of the fleet.
type Node struct {
	ID       wire.NodeID `json:"id"`
	Name     string      `json:"name"` // unique, 1 to 64 of a-z 0-9 - .
	Role     Role        `json:"role"`
	Zone     string      `json:"zone,omitempty"`
	Identity string      `json:"identity"` // random, kept in the node's data directory: 32 hex digits
	Addrs    Addrs       `json:"addrs"`
	Versions Versions    `json:"versions"`
	Wish     Wish        `json:"wish"`
	Replaces wire.NodeID `json:"replaces,omitempty"` // the node of this name whose disk is gone
	JoinedMS wire.Millis `json:"joined_ms"`
}

// ShardReport is one replica as its node sees it.
type ShardReport struct {
	Shard    wire.ShardID  `json:"shard"`
	Leads    bool          `json:"leads,omitempty"`
	Leader   wire.NodeID   `json:"leader,omitempty"` // 0: not known
	Term     uint64        `json:"term"`
	Applied  uint64        `json:"applied"`            // index
	Voters   []wire.NodeID `json:"voters,omitempty"`   // Raft's own membership, from the leader only
	Learners []wire.NodeID `json:"learners,omitempty"` // likewise
	Config   uint64        `json:"config,omitempty"`   // index of the last membership change
	Bytes    uint64        `json:"bytes,omitempty"`    // on disk, about
	Failed   string        `json:"failed,omitempty"`   // why it is out of service
}

// Report is what a node says of itself with every heartbeat.
type Report struct {
	ID       wire.NodeID   `json:"id"`
	Identity string        `json:"identity"`
	Instance string        `json:"instance"` // random per start of the process
	ClockMS  wire.Millis   `json:"clock_ms"`
	Epoch    uint64        `json:"epoch"` // of the map it works with
	Ready    bool          `json:"ready"`
	Note     string        `json:"note,omitempty"` // why it is not ready
	Shards   []ShardReport `json:"shards,omitempty"`
	DiskFree uint64        `json:"disk_free,omitempty"`
	Sessions int64         `json:"sessions,omitempty"` // edge: connections; core: sessions
	PerSec   float64       `json:"per_sec,omitempty"`  // messages a second
	CPU      float64       `json:"cpu,omitempty"`      // processors in use
	Bytes    uint64        `json:"bytes,omitempty"`    // resident
}

// Plan is the moves under way.
type Plan struct {
	ID      uint64       `json:"id"` // 1, 2, ...
	Why     string       `json:"why"`
	Moves   []place.Move `json:"moves"`             // not yet finished, in order
	Done    int          `json:"done"`              // finished
	Dropped int          `json:"dropped,omitempty"` // given up: the target died, or an abort
	Paused  bool         `json:"paused,omitempty"`
	Aborted bool         `json:"aborted,omitempty"` // what has begun is undone or finished
	FromMS  wire.Millis  `json:"from_ms"`
	EndMS   wire.Millis  `json:"end_ms,omitempty"` // of State.Last
}

// Settings are fixed when the fleet is created, but for Replicas, which a plan
// may change.
type Settings struct {
	Shards   int `json:"shards"`
	Replicas int `json:"replicas"`
	Cores    int `json:"cores"` // how many core nodes have to join before the first map is made
}

// State is everything the control group agrees on.
type State struct {
	Cluster  string        `json:"cluster"` // random, 32 hex digits; empty before Create
	Settings Settings      `json:"settings"`
	Nodes    []Node        `json:"nodes"` // by id
	NextID   wire.NodeID   `json:"next_id"`
	Map      *shardmap.Map `json:"-"` // nil before the first; encoded beside the rest
	Plan     *Plan         `json:"plan,omitempty"`
	Plans    uint64        `json:"plans"`          // ids given out
	Last     *Plan         `json:"last,omitempty"` // the plan that ended last, without moves
	Hold     bool          `json:"hold,omitempty"` // after an Abort: no plan starts by itself
}

// Seen is a report and when it came. Before the first one, Report.ID is 0 and At
// is when the wait for it began.
type Seen struct {
	Report Report
	At     wire.Millis
	Before string // the instance that was there before Report.Instance
	Left   bool   // the instance ended in good order
}

// Reports are the newest reports by node.
type Reports map[wire.NodeID]Seen

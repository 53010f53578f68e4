// Package shardmap is the map of a fleet: which shard owns a slot, which core
// nodes hold a replica of a shard, and where these nodes are.
//
// A Map is immutable. It is made whole by New or Decode, which accept nothing
// that breaks an invariant (see Draft), so whoever holds a *Map need not check
// it again. Maps follow each other by epoch: of two maps the one with the
// higher epoch is the newer, and there is only one map of an epoch, because
// shardmap/control orders them.
//
// The package is pure: no network, file, clock, random source or goroutine.
// Everything in it is safe for concurrent use. Slices that a Map returns are
// its own: read them, never write to them.
package shardmap

import (
	"cmp"
	"slices"

	"github.com/godwit-im/godwit/wire"
)

// The bounds of a map. They keep an encoded map below 1 MiB and everything that
// walks one short.
const (
	MaxShards   = 4096 // four slots a shard; a node serves 16 to 64 groups well
	MaxNodes    = 4096 // core nodes; edges are not in the map
	MaxReplicas = 7    // survives three losses; more only slows writes down
	MaxZone     = 64   // bytes of a zone's name
	MaxAddr     = 255  // bytes of an address
)

// Node is one core node.
type Node struct {
	ID       wire.NodeID
	Zone     string // failure domain; empty means that all are in one
	LinkAddr string // host:port for internal/link; empty inside one process
	RaftAddr string // host:port for the shards' Raft; empty inside one process
}

// Map is one version of the map. The zero value is not a map; see New.
type Map struct {
	epoch    uint64
	slots    []wire.ShardID                 // by slot, len wire.Slots
	shards   []wire.ShardID                 // 1..n
	replicas [][]wire.NodeID                // by shard-1, in the order of the draft
	learners [][]wire.NodeID                // by shard-1, in the order of the draft; nil: none anywhere
	founders [][]wire.NodeID                // by shard-1, ascending; nil: the replicas
	nodes    []Node                         // by id
	on       map[wire.NodeID][]wire.ShardID // ascending; nodes without a shard are absent
}

// Epoch numbers the versions of the map from 1.
func (m *Map) Epoch() uint64 { return m.epoch }

// ShardOf returns the shard that owns slot s.
func (m *Map) ShardOf(s wire.Slot) wire.ShardID { return m.slots[s%wire.Slots] }

// Shards returns all shards, ascending from 1.
func (m *Map) Shards() []wire.ShardID { return m.shards }

// Replicas returns the nodes that hold shard s, the preferred leader first, or
// nil when there is no such shard.
func (m *Map) Replicas(s wire.ShardID) []wire.NodeID {
	if s == 0 || int(s) > len(m.replicas) {
		return nil
	}
	return m.replicas[s-1]
}

// Learners returns the nodes that are being filled with shard s: they follow
// its log without a vote and become replicas later, or nil. Nobody asks them
// anything.
func (m *Map) Learners(s wire.ShardID) []wire.NodeID {
	if s == 0 || int(s) > len(m.learners) {
		return nil
	}
	return m.learners[s-1]
}

// Founders returns the nodes that begin the Raft group of shard s as its initial
// members, ascending. None means that the group has begun: a node without its
// data can only be added to it. See Draft.
func (m *Map) Founders(s wire.ShardID) []wire.NodeID {
	if s == 0 || int(s) > len(m.replicas) {
		return nil
	}
	if m.founders == nil {
		return slices.Sorted(slices.Values(m.replicas[s-1]))
	}
	return m.founders[s-1]
}

// ShardsOn returns the shards with a replica or a learner on node id, ascending.
func (m *Map) ShardsOn(id wire.NodeID) []wire.ShardID { return m.on[id] }

// Node returns a node by id.
func (m *Map) Node(id wire.NodeID) (Node, bool) {
	i, ok := slices.BinarySearchFunc(m.nodes, id, func(n Node, id wire.NodeID) int { return cmp.Compare(n.ID, id) })
	if !ok {
		return Node{}, false
	}
	return m.nodes[i], true
}

// Nodes returns all nodes in the order of their ids.
func (m *Map) Nodes() []Node { return m.nodes }

// SlotCount returns how many slots shard s owns.
func (m *Map) SlotCount(s wire.ShardID) int {
	n := 0
	for _, o := range m.slots {
		if o == s {
			n++
		}
	}
	return n
}

// Equal reports whether both maps say the same, the epoch included.
func (m *Map) Equal(o *Map) bool {
	return m.epoch == o.epoch && slices.Equal(m.slots, o.slots) && slices.Equal(m.nodes, o.nodes) &&
		slices.EqualFunc(m.replicas, o.replicas, slices.Equal[[]wire.NodeID]) &&
		slices.EqualFunc(m.learners, o.learners, slices.Equal[[]wire.NodeID]) &&
		slices.EqualFunc(m.founders, o.founders, slices.Equal[[]wire.NodeID])
}

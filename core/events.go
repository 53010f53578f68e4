package core

import (
	"github.com/lni/dragonboat/v4/raftio"

	"github.com/godwit-im/godwit/wire"
)

// changed tells who asked for it that there is something new to report.
func (n *Node) changed() {
	if n.cfg.Changed != nil {
		n.cfg.Changed()
	}
}

// events takes what dragonboat says of its own affairs. It must not block.
type events struct{ n *Node }

// NodeDeleted implements raftio.ISystemEventListener: Raft has removed a replica
// of this node, for good.
func (e events) NodeDeleted(info raftio.NodeInfo) {
	if r := e.n.replica(wire.ShardID(info.ShardID)); r != nil && r.hold.Replica == info.ReplicaID {
		r.removed.Store(true) // the keeper sees it
	}
}

// MembershipChanged implements raftio.ISystemEventListener.
func (e events) MembershipChanged(info raftio.NodeInfo) {
	if r := e.n.replica(wire.ShardID(info.ShardID)); r != nil {
		r.gov.stale.Store(true)
		r.gov.wake()
	}
}

// The rest of raftio.ISystemEventListener is of no interest here.

func (events) NodeHostShuttingDown()                       {}
func (events) NodeUnloaded(raftio.NodeInfo)                {}
func (events) NodeReady(raftio.NodeInfo)                   {}
func (events) ConnectionEstablished(raftio.ConnectionInfo) {}
func (events) ConnectionFailed(raftio.ConnectionInfo)      {}
func (events) SendSnapshotStarted(raftio.SnapshotInfo)     {}
func (events) SendSnapshotCompleted(raftio.SnapshotInfo)   {}
func (events) SendSnapshotAborted(raftio.SnapshotInfo)     {}
func (events) SnapshotReceived(raftio.SnapshotInfo)        {}
func (events) SnapshotRecovered(raftio.SnapshotInfo)       {}
func (events) SnapshotCreated(raftio.SnapshotInfo)         {}
func (events) SnapshotCompacted(raftio.SnapshotInfo)       {}
func (events) LogCompacted(raftio.EntryInfo)               {}
func (events) LogDBCompacted(raftio.EntryInfo)             {}

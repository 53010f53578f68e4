package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/wire"
)

// ReplicaState is what a node says of one of its replicas to operators and to
// whoever compares replicas.
type ReplicaState struct {
	Shard  wire.ShardID `json:"shard"`
	Leads  bool         `json:"leads"`  // this replica leads, by the last that Raft said
	Leader wire.NodeID  `json:"leader"` // as this replica knows, 0 when it knows none
	Failed bool         `json:"failed"` // its store failed; it takes no part
}

// ReplicaStates returns the replicas of this node in the order of their shards.
func (n *Node) ReplicaStates() []ReplicaState {
	list := make([]ReplicaState, 0, len(n.all()))
	for id, r := range n.all() {
		list = append(list, ReplicaState{Shard: id, Leads: r.leads.Load(), Leader: r.leaderNode(), Failed: r.failed.Load()})
	}
	slices.SortFunc(list, func(a, b ReplicaState) int { return int(a.Shard) - int(b.Shard) })
	return list
}

// Digest reads all rows of shard id on this node, as they are at one moment,
// and says what they are in a few bytes, so that replicas can be compared. It
// costs what sending a snapshot costs, less the network. It ends early with
// ctx's error; without such a replica, and for one that has failed, it says so.
func (n *Node) Digest(ctx context.Context, id wire.ShardID) (store.Digest, error) {
	r := n.replica(id)
	switch {
	case r == nil:
		return store.Digest{}, fmt.Errorf("core: shard %d has no replica on this node", id)
	case r.failed.Load():
		return store.Digest{}, fmt.Errorf("core: the replica of shard %d has failed; see the log", id)
	}
	if err := r.machine.settle(); err != nil {
		return store.Digest{}, err
	}
	snap := n.store.NewSnapshot(id)
	defer snap.Close()
	d, err := snap.Digest(ctx.Done())
	if errors.Is(err, store.ErrStopped) {
		return d, context.Cause(ctx)
	}
	return d, err
}

// Package place plans shard maps: where replicas go when a fleet is created,
// and which of them move when nodes come and go.
package place

import (
	"errors"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// Move takes one replica of a shard from one node to another. From is zero when
// the shard only gains a replica, To when it only loses one.
type Move struct {
	Shard    wire.ShardID
	From, To wire.NodeID
}

// Initial returns the first map (epoch 1) of a fleet: shards shards with
// replicas replicas each, or as many as there are nodes.
func Initial(nodes []shardmap.Node, shards, replicas int) (*shardmap.Map, error) {
	return nil, errors.New("place: not built yet")
}

// Plan returns the moves that bring cur onto the desired nodes.
func Plan(cur *shardmap.Map, desired []shardmap.Node, replicas int) ([]Move, error) {
	return nil, errors.New("place: not built yet")
}

// Apply returns the map that follows cur (epoch + 1) after moves.
func Apply(cur *shardmap.Map, desired []shardmap.Node, moves []Move) (*shardmap.Map, error) {
	return nil, errors.New("place: not built yet")
}

package process

import (
	"context"

	"github.com/godwit-im/godwit/core"
	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/wire"
)

// CoreAdmin adds to c what an admin address serves of a core node: compaction,
// the replicas and what they hold.
func CoreAdmin(c admin.Config, n *core.Node) admin.Config {
	c.Compact = n.Compact
	c.Replicas = func() any { return n.ReplicaStates() }
	c.Digest = func(ctx context.Context, shard uint32) (any, error) { return n.Digest(ctx, wire.ShardID(shard)) }
	return c
}

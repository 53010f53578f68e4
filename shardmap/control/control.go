// Package control keeps the shard map in a small Raft group of its own.
package control

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Peer is one member of the control group.
type Peer struct {
	ID   wire.NodeID
	Addr string
}

// Config says who a control node is.
type Config struct {
	Dir       string         // data directory, made when missing; one process at a time
	ID        wire.NodeID    // this node, not zero
	Listener  net.Listener   // for the other members; nil: a group of one without a port. Close closes it
	Bootstrap []Peer         // the first members, used only when Dir is empty; nil: this node alone
	Watcher   *watch.Watcher // gets every map; nil: one of its own
	Log       *slog.Logger   // nil: none
}

// Control is one running member.
type Control struct{}

// Open starts a member.
func Open(cfg Config) (*Control, error) { return nil, errors.New("control: not built yet") }

// Watcher follows the map. A new group holds none until the first Propose.
func (c *Control) Watcher() *watch.Watcher { return nil }

// Ready waits until the group has a leader and this member has applied what was
// committed when it asked.
func (c *Control) Ready(ctx context.Context) error { return nil }

// Propose makes next the current map: its epoch must be the current one plus 1
// (1 for the first map).
func (c *Control) Propose(ctx context.Context, next *shardmap.Map) error { return nil }

// Update proposes what change makes of the current map (nil when there is
// none), again when another proposal came first. A nil result changes nothing.
func (c *Control) Update(ctx context.Context, change func(cur *shardmap.Map) (*shardmap.Map, error)) error {
	return nil
}

// Close leaves the group's work to the others and releases everything.
func (c *Control) Close() error { return nil }

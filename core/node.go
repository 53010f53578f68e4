package core

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Config says what a core node is. The zero value of an optional field takes
// the default that its comment names.
type Config struct {
	// Node is this node's id; the shard map says which shards live on it.
	Node wire.NodeID
	// Dir is the node's data directory. It is created when missing; store and
	// raft are made in it. Exactly one process may have it open.
	Dir string
	// Watcher follows the shard map. Open waits for a first map with this node
	// in it for as long as its context allows.
	Watcher *watch.Watcher
	// RaftAddr is where dragonboat listens and what other nodes call. Empty
	// when every shard of this node has one replica: then nothing listens. It
	// may not change between restarts.
	RaftAddr string
	// Log receives what an operator should see; nil discards it.
	Log *slog.Logger
	// Now is the clock that leaders stamp entries with; nil is time.Now.
	Now func() time.Time
}

// Node is one core node. All methods are safe for concurrent use.
type Node struct {
	cfg Config
}

// Open opens the data directory and starts every replica that the shard map
// places here. It returns before the replicas have a leader (see Ready). The
// error says what to do when the directory is in use or from a newer version.
//
// The caller then joins a link with Events as handlers and hands it to Attach.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	return &Node{cfg: cfg}, nil
}

// Events returns the handlers to register with the node's link. They never
// block and copy what they keep.
func (n *Node) Events() link.Events { return link.Events{} }

// Attach gives the node its link; call it once, right after joining. Until
// then what the node would send is dropped and repeated later where it must
// arrive. The caller closes the link after the node.
func (n *Node) Attach(l link.Link) {}

// Ready returns nil once every shard placed here has a leader and this node
// has applied what that leader had committed, or ctx's error with the shards
// that are not.
func (n *Node) Ready(ctx context.Context) error { return nil }

// Describe and Collect make a Node a prometheus.Collector.
func (n *Node) Describe(ch chan<- *prometheus.Desc) {}

// Collect sends the node's metrics; see metrics.go for the list.
func (n *Node) Collect(ch chan<- prometheus.Metric) {}

// Close stops the replicas, waits for everything the node started and closes
// the store. Proposals under way are answered CodeUnavailable.
func (n *Node) Close() error { return nil }

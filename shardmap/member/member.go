// Package member is a node's side of the fleet. It keeps who the node is, joins
// it to the fleet, reports for it, and follows the shard map for it.
//
// It promises that a data directory is one node for good: its identity is made
// once and on disk before control hears of it. It works through an outage of
// control: a node that has joined before starts with the map that it kept, and
// goes on reporting until somebody answers. It never takes an older map.
//
// In the data directory, which the caller has locked:
//
//	node.json      cluster, id, name, role, identity (0600, synced)
//	shardmap.bin   the newest map (shardmap/watch.File)
//
// A Member owns its goroutines and its connections; Close ends them. Methods
// are safe for concurrent use.
package member

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Config says who a node is and where control is.
type Config struct {
	Dir     string     // the data directory; made when it is missing
	Role    fleet.Role // fleet.Core or fleet.Edge
	Name    string     // unique in the fleet
	Zone    string
	Control []string // API addresses, host:port
	Secret  string   // the join secret
	Replace bool     // take Name over from a node whose disk is gone
	// Addrs returns where the node can be reached. It is called when it joins.
	Addrs    func() fleet.Addrs
	Versions fleet.Versions
	// TLS is for calls to control; nil: plain HTTP.
	TLS *tls.Config
	// Report returns the soft part of a report; id, identity, instance and
	// clock are filled in, and the epoch when it is 0. One call at a time,
	// must not block long. Nil: an empty report that is ready.
	Report func() fleet.Report
	// Watcher gets every map. Nil: the member makes one.
	Watcher *watch.Watcher
	Log     *slog.Logger // nil: nothing is logged
}

// Member is a node that belongs to a fleet.
type Member struct {
	cfg      Config
	answer   api.JoinAnswer
	failed   chan error
	id       wire.NodeID
	settings fleet.Settings
}

// Open returns the node's place in the fleet. A node that has joined before and
// kept a map gets it at once when control is away; every other waits for
// control until ctx ends. Refusals are *fault.Error (E33xx).
func Open(ctx context.Context, cfg Config) (*Member, error) { panic("signature") }

// ID is the node's id, which stays.
func (m *Member) ID() wire.NodeID { return m.id }

// Cluster is the fleet's id, 32 hex digits.
func (m *Member) Cluster() string { return m.answer.Cluster }

// Wish is what the operator wants of the node, as far as it has heard:
// fleet.Serve at first.
func (m *Member) Wish() fleet.Wish { return fleet.Serve }

// Settings are the fleet's, as of the last join.
func (m *Member) Settings() fleet.Settings { return m.settings }

// Watcher follows the map.
func (m *Member) Watcher() *watch.Watcher { return m.cfg.Watcher }

// Kick makes the node report now. It never blocks.
func (m *Member) Kick() {}

// Failed gets at most one error: control has refused the node for good, as when
// another process runs with its identity. The process is to end with it.
func (m *Member) Failed() <-chan error { return m.failed }

// Close ends what Open started. Close again is harmless.
func (m *Member) Close() error { return nil }

package link

import (
	"errors"
	"log/slog"
	"net"

	"github.com/godwit-im/godwit/wire"
)

// Config says who a TCP link is and whom it may reach.
type Config struct {
	// ID is this node, not zero.
	ID wire.NodeID
	// Cluster names the fleet, 1 to 64 bytes. Processes of different clusters
	// refuse each other.
	Cluster string
	// Listener accepts the connections of other nodes; the link closes it. Nil
	// means that this node is only reached over connections that it dials.
	Listener net.Listener
	// Resolve returns the address of a peer, or false when this node must not
	// dial it: then the peer is reached when it connects itself. It may be
	// called from any goroutine and is asked again before every attempt. Nil
	// means that no peer is dialled.
	Resolve func(wire.NodeID) (addr string, ok bool)
	// Events are the handlers.
	Events Events
	// Log gets one line per peer that comes, goes or is refused. Nil: none.
	Log *slog.Logger
}

// TCP links processes. See Listen.
type TCP struct {
	c counters
}

// Listen starts a link. Close releases everything it started.
//
// A connection is used in both directions whoever made it, and there is at most
// one per peer. A peer is dialled after the first Connect or Send for it, and
// again whenever the connection is lost, until Resolve returns false for it.
func Listen(cfg Config) (*TCP, error) {
	return nil, errors.New("link: tcp: not built yet")
}

// Connect makes the link dial peer and keep it connected for as long as Resolve
// knows an address for it. Up tells when it is. Doing so twice is harmless.
func (t *TCP) Connect(peer wire.NodeID) {}

// Send implements Link. Without a connection it starts dialling the peer, if
// Resolve knows it, and drops the batch.
func (t *TCP) Send(to wire.NodeID, batch []byte) bool { return t.c.drop(DropNoPeer, 1) }

// Close implements Link. It closes the listener and all connections, raises
// Down for the peers that are up and returns after the last handler has.
func (t *TCP) Close() error { return nil }

// Stats returns what the link has done.
func (t *TCP) Stats() Stats { return t.c.stats() }

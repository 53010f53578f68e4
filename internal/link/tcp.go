package link

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Config says who a TCP link is and whom it may reach.
type Config struct {
	// ID is this node, not zero.
	ID wire.NodeID
	// Cluster names the fleet, 1 to 64 bytes. Processes of different clusters
	// refuse each other. It guards against mistakes, not against attackers:
	// TLS does, and without it the network between the processes must be a
	// private one.
	Cluster string
	// TLS, when not nil, protects every connection, and peers that come
	// without it are refused. Nil means bytes in the clear, and peers that come
	// with it are refused.
	TLS *TLS
	// Listener accepts the connections of other nodes; the link closes it. Nil
	// means that this node is only reached over connections that it dials.
	Listener net.Listener
	// Resolve returns the address of a peer, or false when this node must not
	// dial it: then the peer is reached when it connects itself. It may be
	// called from any goroutine, must not block, and is asked again before
	// every attempt. Nil means that no peer is dialled.
	Resolve func(wire.NodeID) (addr string, ok bool)
	// Events are the handlers.
	Events Events
	// Log gets one line per peer that comes, goes or is refused. Nil: none.
	Log *slog.Logger
}

// TLS is how a link protects its connections. It is read only, and may be
// shared by links.
type TLS struct {
	// Server and Client are the settings for connections that are accepted and
	// dialled; neither is nil. They must verify the peer. internal/pki makes
	// them, and they may change what they answer while the link runs.
	Server, Client *tls.Config
	// Peer judges the process that is, or calls itself, node peer, by what it
	// showed: its certificate is verified by then. An error refuses it and is
	// logged. It may be called from any goroutine, before Listen has returned,
	// and must not block. Nil means that the settings have judged enough.
	Peer func(peer wire.NodeID, cs tls.ConnectionState) error
}

// Bounds of a TCP link.
const (
	// maxPeers bounds the nodes that can be connected at once; it is far above
	// any fleet and keeps a broken one from filling the memory.
	maxPeers = 8192
	// maxGreeting bounds connections that were accepted and have not said who
	// they are. More are closed at once.
	maxGreeting = 128
	// maxRefusals bounds what is remembered so that it is logged only once.
	maxRefusals = 256
)

// timing is a table of its own so that tests need not wait for it.
type timing struct {
	beat     time.Duration // between beats
	dead     time.Duration // nothing heard, or nothing taken, for this long: it is dead
	greet    time.Duration // to dial, and to exchange who one is
	backoff  time.Duration // before the second attempt, doubling ...
	backoffs time.Duration // ... up to this, each ±50 %
}

// normal detects a dead peer in 5 s, at a cost of two packets per connection
// and 2 s. A fleet that returns after a power
// cut finds itself within backoffs.
var normal = timing{
	beat: 2 * time.Second, dead: 5 * time.Second, greet: 3 * time.Second,
	backoff: 50 * time.Millisecond, backoffs: 2 * time.Second,
}

// TCP links processes. See Listen.
//
// There is one lock for who is connected, held for a few instructions at a
// time, and one per connection for its queue. Per connection there is a reader,
// which calls the handlers, and a writer; per peer that is looked for a dialler.
type TCP struct {
	cfg    Config
	timing timing
	boot   uint64 // random: tells a restarted process from the one before
	c      counters
	self   *pipe // batches for oneself

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // everything that runs

	mu struct {
		sync.RWMutex
		closed   bool
		peers    map[wire.NodeID]*peer
		greeting map[net.Conn]struct{} // accepted, not yet known
		asking   map[net.Conn]struct{} // dialled, not yet known
		refusals map[refusal]struct{}  // already logged
	}
}

// Listen starts a link. Close releases everything it started.
//
// A connection is used in both directions whoever made it, and there is at most
// one per peer. A peer is dialled after the first Connect or Send for it, and
// again whenever the connection is lost, until Resolve returns false for it.
func Listen(cfg Config) (*TCP, error) {
	return listen(cfg, normal)
}

func listen(cfg Config, tm timing) (*TCP, error) {
	if cfg.ID == 0 {
		return nil, errors.New("link: Config needs an ID that is not 0")
	}
	if len(cfg.Cluster) == 0 || len(cfg.Cluster) > maxCluster {
		return nil, fmt.Errorf("link: Config needs a Cluster of 1 to %d bytes, not %d", maxCluster, len(cfg.Cluster))
	}
	if cfg.TLS != nil && (cfg.TLS.Server == nil || cfg.TLS.Client == nil) {
		return nil, errors.New("link: Config.TLS needs settings for both Server and Client")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(wire.NodeID) (string, bool) { return "", false }
	}
	var boot [8]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	t := &TCP{cfg: cfg, timing: tm, boot: binary.LittleEndian.Uint64(boot[:])}
	t.self = newSelfPipe(cfg.ID, cfg.Events.Batch, &t.c)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.mu.peers = make(map[wire.NodeID]*peer)
	t.mu.greeting = make(map[net.Conn]struct{})
	t.mu.asking = make(map[net.Conn]struct{})
	t.mu.refusals = make(map[refusal]struct{})
	if cfg.Listener != nil {
		t.wg.Go(t.accept)
	}
	return t, nil
}

// Connect makes the link dial peer and keep it connected for as long as Resolve
// knows an address for it. Up tells when it is. Doing so twice is harmless.
func (t *TCP) Connect(peer wire.NodeID) {
	if _, ok := t.cfg.Resolve(peer); ok && peer != t.cfg.ID {
		t.mu.Lock()
		t.startDialling(peer)
		t.mu.Unlock()
	}
}

// Send implements Link. Without a connection it starts dialling the peer, if
// Resolve knows it, and drops the batch.
func (t *TCP) Send(to wire.NodeID, batch []byte) bool {
	if len(batch) == 0 {
		return true
	}
	if len(batch) > MaxBatch {
		return t.c.drop(DropTooBig, 1)
	}
	if to == t.cfg.ID {
		return t.self.send(batch)
	}
	t.mu.RLock()
	var c *conn
	closed := t.mu.closed
	if p := t.mu.peers[to]; p != nil {
		c = p.conn
	}
	t.mu.RUnlock()
	switch {
	case c != nil:
		return c.enqueue(batch)
	case closed:
		return t.c.drop(DropClosed, 1)
	}
	t.Connect(to)
	return t.c.drop(DropNoPeer, 1)
}

// Close implements Link. It closes the listener and all connections, raises
// Down for the peers that are up and returns after the last handler has, but
// for one that handles a batch to oneself.
func (t *TCP) Close() error {
	t.mu.Lock()
	if t.mu.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.mu.closed = true
	t.cancel()
	for nc := range t.mu.greeting {
		nc.Close()
	}
	for nc := range t.mu.asking {
		nc.Close()
	}
	for _, p := range t.mu.peers {
		if p.conn != nil {
			p.conn.shut(errClosing)
		}
	}
	t.mu.Unlock()

	t.self.silence()
	var err error
	if t.cfg.Listener != nil {
		if err = t.cfg.Listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	t.wg.Wait()
	return err
}

// Stats returns what the link has done.
func (t *TCP) Stats() Stats { return t.c.stats() }

// accept takes connections until the listener is closed.
func (t *TCP) accept() {
	for {
		nc, err := t.cfg.Listener.Accept()
		if errors.Is(err, net.ErrClosed) || t.ctx.Err() != nil {
			if nc != nil {
				nc.Close()
			}
			return
		}
		if err != nil {
			// Out of descriptors, most likely. Peers try again; so does this.
			t.cfg.Log.Warn("link: cannot accept", "err", err)
			t.pause(t.timing.backoff)
			continue
		}
		if !t.greet(nc) {
			t.c.refused.Add(1)
			nc.Close()
		}
	}
}

// greet starts the handshake on an accepted connection, unless too many are in
// it already.
func (t *TCP) greet(nc net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed || len(t.mu.greeting) >= maxGreeting {
		return false
	}
	t.mu.greeting[nc] = struct{}{}
	t.wg.Go(func() { t.answer(nc) })
	return true
}

// pause waits, or less when the link is closed.
func (t *TCP) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}

// refusal is one thing that was refused, to log it once.
type refusal struct {
	who  string // peer id or remote host
	code refuse
}

// refused counts a failed handshake, and logs it when it is the first of its
// kind since the peer was last connected.
func (t *TCP) refused(who string, code refuse, err error) {
	key := refusal{who, code}
	t.mu.Lock()
	_, known := t.mu.refusals[key]
	if !known && len(t.mu.refusals) < maxRefusals {
		t.mu.refusals[key] = struct{}{}
	} else {
		known = true
	}
	t.mu.Unlock()
	if code == unreachable {
		if !known {
			t.cfg.Log.Warn("link: peer not reachable, trying on", "peer", who, "err", err)
		}
		return
	}
	t.c.refused.Add(1)
	if !known {
		t.cfg.Log.Error("link: handshake refused", "peer", who, "err", err)
	}
}

package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/core/store"
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
	// Watcher follows the shard map. Open waits for a first map for as long as
	// its context allows.
	Watcher *watch.Watcher
	// RaftAddr is where dragonboat listens and what other nodes call: the
	// RaftAddr of this node in the shard map. Empty when every shard of this
	// node has one replica: then nothing listens.
	RaftAddr string
	// Log receives what an operator should see; nil discards it.
	Log *slog.Logger
	// Now is the clock that leaders stamp entries with; nil is time.Now.
	Now func() time.Time
	// FreeSpace tells how many bytes the disk of a directory has left; nil
	// asks the operating system.
	FreeSpace func(dir string) (uint64, error)
	// leadAtLeast is how long a leader stays; 0 is the limit of that name. For
	// tests.
	leadAtLeast time.Duration
	// RaftTLS are the files with which the Raft sides of nodes know each other;
	// the zero value is for loopback: no TLS.
	RaftTLS RaftTLS
	// Changed is called when a shard here has another leader or another
	// membership, so that it can be reported at once; nil tells nobody. It must
	// not block and may be called by several goroutines at a time.
	Changed func()
}

// RaftTLS names three PEM files: the certificate of the authority that vouches
// for every node, and this node's certificate and key. They are read at Open.
// The certificate must be good for the host in the node's RaftAddr and for both
// ends of a connection.
type RaftTLS struct{ CA, Cert, Key string }

// Node is one core node. All methods are safe for concurrent use.
type Node struct {
	// Set by Open.
	cfg     Config
	log     *slog.Logger
	store   *store.Store
	host    *dragonboat.NodeHost
	started time.Time
	stop    chan struct{}
	jobs    chan job
	seats   chan seatAnswer // for the keeper
	turns   sync.Pool
	disk    uint64 // the random number of the data directory
	c       counters

	wg     sync.WaitGroup
	closed sync.Once
	// The keeper ends before the Raft side does: it starts and stops replicas.
	keeping sync.WaitGroup

	link     atomic.Pointer[link.Link]
	full     atomic.Bool            // the disk has less than reserve left
	broken   atomic.Pointer[string] // why Raft cannot go on
	handing  atomic.Bool            // a shard is being handed over
	replicas atomic.Pointer[map[wire.ShardID]*replica]
	lost     atomic.Pointer[map[wire.ShardID]string] // why a shard of the map does not run

	mu struct {
		sync.Mutex
		peers map[wire.NodeID]bool         // that are up
		hints map[wire.ShardID]wire.NodeID // who said that it leads a shard elsewhere
	}
}

// Open opens the data directory and starts every replica that the shard map
// places here. It returns before the replicas have a leader (see Ready). The
// error says what to do when the directory is in use or from a newer version.
//
// The caller then joins a link with Events as handlers and hands it to Attach.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.FreeSpace == nil {
		cfg.FreeSpace = freeSpace
	}
	m, err := cfg.Watcher.Wait(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("core: waiting for a shard map; check that a control node runs: %w", err)
	}
	n := &Node{cfg: cfg, log: cfg.Log, started: time.Now(), stop: make(chan struct{}), jobs: make(chan job, readQueue), seats: make(chan seatAnswer, seatsWaiting)}
	n.turns.New = func() any { return new(turn) }
	n.mu.peers = make(map[wire.NodeID]bool)
	n.mu.hints = make(map[wire.ShardID]wire.NodeID)
	n.replicas.Store(&map[wire.ShardID]*replica{})
	n.lost.Store(&map[wire.ShardID]string{})
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("core: cannot create the data directory: %w", err)
	}
	if n.store, err = store.Open(filepath.Join(cfg.Dir, "store"), store.Options{Log: cfg.Log}); err != nil {
		return nil, err
	}
	if n.disk, err = n.store.Disk(); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.host, err = openHost(n); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.checkSpace()
	for range readers {
		n.wg.Go(n.work)
	}
	n.wg.Go(n.ticks)
	n.wg.Go(n.syncTails)
	k := &keeper{n: n, m: m, asks: make(map[wire.ShardID]*asking), drops: make(map[wire.ShardID]store.Hold), gone: make(map[wire.ShardID]uint64)}
	if err := n.guarded(k.open); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.keeping.Go(k.keep)
	return n, nil
}

// Attach gives the node its link; call it once, right after joining. Until
// then what the node would send is dropped and repeated later where it must
// arrive. The caller closes the link after the node.
func (n *Node) Attach(l link.Link) {
	n.link.Store(&l)
	for _, r := range n.all() {
		r.reopen()
	}
}

// replica returns the replica of shard id on this node, or nil.
func (n *Node) replica(id wire.ShardID) *replica { return (*n.replicas.Load())[id] }

// all returns the replicas of this node.
func (n *Node) all() map[wire.ShardID]*replica { return *n.replicas.Load() }

// shardOfUser returns the shard of a user by the newest map.
func (n *Node) shardOfUser(user []byte) wire.ShardID {
	return n.cfg.Watcher.Current().ShardOf(wire.UserID(user).Slot())
}

// millis is the node's monotonic clock for timeouts, in milliseconds. It is
// never zero.
func (n *Node) millis() int64 { return time.Since(n.started).Milliseconds() + 1 }

// Ready returns nil once every shard placed here has a leader and this node
// has applied what that leader had committed, or ctx's error with the shard
// that is not ready.
func (n *Node) Ready(ctx context.Context) error {
	for id, r := range n.all() {
		for {
			if why := n.broken.Load(); why != nil {
				return fmt.Errorf("core: the Raft log in %s, or the store beside it, is damaged: %s; restore the whole data directory from a backup", n.raftDir(), *why)
			}
			if err := n.readIndex(r, ctx.Done()); err == nil && r.settled() {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("core: shard %d has no leader that answers: %w", id, ctx.Err())
			case <-n.stop:
				return errors.New("core: the node is closed")
			case <-time.After(readyPoll):
			}
		}
	}
	return nil
}

// readyPoll is how often Ready asks again.
const readyPoll = 10 * time.Millisecond

// Close stops the replicas, waits for everything the node started and closes
// the store. Proposals under way are answered CodeUnavailable.
func (n *Node) Close() (err error) {
	n.closed.Do(func() {
		close(n.stop)
		if n.broken.Load() != nil {
			err = errAbandoned
			return
		}
		n.keeping.Wait()
		n.host.Close()
		n.wg.Wait()
		for _, r := range n.all() {
			r.wg.Wait()
			r.free()
		}
		err = n.store.Close()
	})
	return err
}

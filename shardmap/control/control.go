// Package control keeps the shard map in a small Raft group of its own, on
// hashicorp/raft. It promises that there is one map per epoch, that a map which
// Propose took is on the disks of a majority, and that every member publishes
// the maps in order to its watch.Watcher.
//
// A fleet has one, three or five members. Inside `serve` the group is one
// member without a port. Members do not talk to edges and cores; these follow
// the map through a watcher and go on with the last one they know, so an outage
// of control only delays changes.
//
// Data directory, locked while a member runs:
//
//	LOCK           held with flock
//	raft.db        log, term and vote (bbolt)
//	snapshots/     the map as of some log entry
//
// A member owns its directory, its listener and its goroutines; Close releases
// all. Methods are safe for concurrent use. The package never changes the map by
// itself: shardmap/place plans, somebody proposes.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Peer is one member of a new group: its id and the address of its listener.
type Peer struct {
	ID   wire.NodeID
	Addr string
}

// Config says who a member is.
type Config struct {
	// Dir is the data directory, made when it is missing. One process at a
	// time can have it open.
	Dir string
	// ID is this member, not zero. Control, core and edge ids share one space.
	ID wire.NodeID
	// Listener accepts the other members; Close closes it. Nil makes a group
	// of this member alone, which needs no port.
	Listener net.Listener
	// Bootstrap lists all members of a new group, the same on each; it is
	// ignored when Dir already holds a group. Empty with a nil Listener means
	// this member alone; empty with a Listener means that the group exists and
	// will come to know this member.
	Bootstrap []Peer
	// Watcher gets every map. Nil: the member makes one.
	Watcher *watch.Watcher
	// Log gets elections and what goes wrong. Nil: nothing is logged.
	Log *slog.Logger
}

// Errors of Open and Propose. ConflictError and LeaderError carry more.
var (
	ErrInUse  = errors.New("control: the data directory is in use by another process: stop that one, or choose another directory")
	ErrClosed = errors.New("control: this member is closed")
)

// ConflictError says that the proposed map does not follow the current one.
type ConflictError struct {
	Have     uint64 // epoch of the current map; 0: there is none
	Proposed uint64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("control: proposed epoch %d, but the current map has %d: plan again on the current map", e.Proposed, e.Have)
}

// LeaderError says that this member does not lead, so it cannot propose.
type LeaderError struct {
	ID   wire.NodeID // who leads, 0: nobody right now
	Addr string
}

func (e *LeaderError) Error() string {
	if e.ID == 0 {
		return "control: the group has no leader right now: try again, and check that a majority of the control nodes runs"
	}
	return fmt.Sprintf("control: this member does not lead: ask control node %d at %s", e.ID, e.Addr)
}

// Control is one running member of the group.
type Control struct {
	raft    *raft.Raft
	fsm     *fsm
	watcher *watch.Watcher
	alone   bool

	release   func() error // all that Open took, but for raft
	closeOnce sync.Once
	closeErr  error
}

// Timing. A member that is alone waits for nobody, so that `serve` has its map
// within 200 ms; a group gives a leader half a second, which survives a
// collector pause or a slow disk.
const (
	aloneElection = 50 * time.Millisecond
	groupElection = 500 * time.Millisecond

	// A map is some KiB and changes rarely: snapshot early, keep little.
	snapshotAfter = 64
	trailingLogs  = 32
	snapshotsKept = 2

	// lockWait bounds the wait for bbolt's own lock, which LOCK already guards.
	lockWait = time.Second
	// rpcTimeout bounds one exchange with another member.
	rpcTimeout = 2 * time.Second
	// enqueueWait bounds how long a proposal waits to enter the log's queue.
	enqueueWait = 5 * time.Second
)

// Open starts a member. It returns before the group has a leader; see Ready.
func Open(cfg Config) (c *Control, err error) {
	if cfg.ID == 0 || cfg.Dir == "" {
		return nil, errors.New("control: Config needs an ID that is not 0 and a Dir")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Watcher == nil {
		cfg.Watcher = new(watch.Watcher)
	}
	var undo closers
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.close())
		}
	}()
	if cfg.Listener != nil {
		undo.add(closeListener(cfg.Listener))
	}
	unlock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	undo.add(unlock)
	c = &Control{fsm: newFSM(cfg.Watcher, cfg.Log), watcher: cfg.Watcher, alone: cfg.Listener == nil}
	if err := c.start(cfg, &undo); err != nil {
		return nil, err
	}
	c.release = undo.close
	return c, nil
}

// start opens the stores and starts raft.
func (c *Control) start(cfg Config, undo *closers) error {
	logger := newHclog(cfg.Log)
	path := filepath.Join(cfg.Dir, "raft.db")
	if err := intact(path); err != nil {
		return err
	}
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        path,
		BoltOptions: &bbolt.Options{Timeout: lockWait},
	})
	if err != nil {
		return fmt.Errorf("control: open %s: %w", path, err)
	}
	undo.add(store.Close)
	snaps, err := raft.NewFileSnapshotStoreWithLogger(cfg.Dir, snapshotsKept, logger)
	if err != nil {
		return fmt.Errorf("control: open snapshots in %s: %w", cfg.Dir, err)
	}
	trans := newTransport(cfg, logger)
	undo.add(trans.Close)

	rc := raftConfig(cfg, logger)
	if err := bootstrap(cfg, rc, store, snaps, trans); err != nil {
		return err
	}
	r, err := raft.NewRaft(rc, c.fsm, store, store, snaps, trans)
	if err != nil {
		return fmt.Errorf("control: start: %w", err)
	}
	c.raft = r
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if l, ok := o.Data.(raft.LeaderObservation); ok {
			cfg.Log.Info("control leader", "leader", string(l.LeaderID), "address", string(l.LeaderAddr))
		}
		return false // logged here, nothing to deliver
	}))
	return nil
}

func raftConfig(cfg Config, logger *hclogger) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = serverID(cfg.ID)
	rc.Logger = logger
	election := groupElection
	if cfg.Listener == nil {
		election = aloneElection
	}
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = election, election, election
	rc.SnapshotThreshold, rc.TrailingLogs = snapshotAfter, trailingLogs
	rc.NoLegacyTelemetry = true
	return rc
}

// bootstrap writes the first configuration into an empty directory.
func bootstrap(cfg Config, rc *raft.Config, store *raftboltdb.BoltStore, snaps raft.SnapshotStore, trans raft.Transport) error {
	peers := cfg.Bootstrap
	if len(peers) == 0 {
		if cfg.Listener != nil {
			return nil
		}
		peers = []Peer{{ID: cfg.ID, Addr: string(trans.LocalAddr())}}
	}
	exists, err := raft.HasExistingState(store, store, snaps)
	if err != nil || exists {
		return wrap("read state", err)
	}
	var servers raft.Configuration
	for _, p := range peers {
		servers.Servers = append(servers.Servers, raft.Server{ID: serverID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	return wrap("bootstrap", raft.BootstrapCluster(rc, store, store, snaps, trans, servers))
}

// Watcher follows the map. It holds none until the group has one and this
// member has heard of it.
func (c *Control) Watcher() *watch.Watcher { return c.watcher }

// Leader returns who leads the group and its address; id is 0 when nobody does
// or nobody is known here.
func (c *Control) Leader() (id wire.NodeID, addr string) {
	a, s := c.raft.LeaderWithID()
	n, err := strconv.ParseUint(string(s), 10, 32)
	if err != nil {
		return 0, ""
	}
	return wire.NodeID(n), string(a)
}

// IsLeader reports whether this member leads, as far as it knows.
func (c *Control) IsLeader() bool { return c.raft.State() == raft.Leader }

// Close leaves: a leader hands over first. It returns when everything that Open
// started has ended. Close again is harmless.
func (c *Control) Close() error {
	c.closeOnce.Do(func() {
		if !c.alone && c.IsLeader() {
			// In vain when nobody else runs; then they elect when they do.
			_ = c.raft.LeadershipTransfer().Error()
		}
		c.closeErr = errors.Join(wrap("stop", c.raft.Shutdown().Error()), c.release())
	})
	return c.closeErr
}

func serverID(id wire.NodeID) raft.ServerID {
	return raft.ServerID(strconv.FormatUint(uint64(id), 10))
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("control: %s: %w", doing, err)
}

// Ready waits until the group has a leader and this member has applied all that
// was committed when it asked. Then an empty Watcher means that there is no map
// yet. It fails with ctx's error, with ErrClosed, or when the log holds what
// this version does not know.
func (c *Control) Ready(ctx context.Context) error {
	changed := make(chan raft.Observation, 1)
	o := raft.NewObserver(changed, false, nil)
	c.raft.RegisterObserver(o)
	defer c.raft.DeregisterObserver(o)
	for {
		if c.IsLeader() {
			err := await(ctx, c.raft.Barrier(enqueueWait))
			if err == nil {
				return c.fsm.broken()
			}
			if ctx.Err() != nil || errors.Is(err, raft.ErrRaftShutdown) {
				return c.explain(err)
			}
		} else if id, _ := c.Leader(); id != 0 && c.raft.AppliedIndex() >= c.raft.CommitIndex() && c.raft.CommitIndex() > 0 {
			return c.fsm.broken()
		}
		if c.raft.State() == raft.Shutdown {
			return ErrClosed
		}
		// What raft observes covers elections; followers apply without being
		// observed, hence the timer.
		timer := time.NewTimer(aloneElection)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// Propose makes next the current map: its epoch must be the current one's plus
// 1, and 1 for the first map; otherwise it fails with a *ConflictError. On a
// member that does not lead it fails with a *LeaderError. When it returns nil,
// next is on the disks of a majority and published here. After any other error
// next may or may not have become the map: look at the watcher.
func (c *Control) Propose(ctx context.Context, next *shardmap.Map) error {
	f := c.raft.Apply(encodeSet(next), enqueueWait)
	if err := await(ctx, f); err != nil {
		return c.explain(err)
	}
	if err, ok := f.Response().(error); ok {
		return err
	}
	return nil
}

// Update proposes what change makes of the current map (nil: there is none),
// and calls it again on the newer map when another proposal came first. When
// change returns nil or an error nothing is proposed and Update returns the
// error.
func (c *Control) Update(ctx context.Context, change func(cur *shardmap.Map) (*shardmap.Map, error)) error {
	for {
		cur := c.watcher.Current()
		next, err := change(cur)
		if err != nil || next == nil {
			return err
		}
		err = c.Propose(ctx, next)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || c.watcher.Current() == cur {
			return err // a conflict with the very map that change saw would come again
		}
	}
}

// explain turns raft's errors into those of this package.
func (c *Control) explain(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost),
		errors.Is(err, raft.ErrLeadershipTransferInProgress):
		id, addr := c.Leader()
		return &LeaderError{ID: id, Addr: addr}
	case errors.Is(err, raft.ErrRaftShutdown):
		return ErrClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return wrap("propose", err)
}

// await waits for a future, which always ends: with its result, or with raft.
func await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

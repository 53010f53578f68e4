// Package control keeps the shard map and the state of the fleet in a small
// Raft group of its own, on hashicorp/raft. It promises that there is one map
// per epoch, that a change which was taken is on the disks of a majority, and
// that every member publishes the maps in order to its watch.Watcher.
//
// A fleet has one, three or five members. Inside `serve` the group is one
// member without a port and without a fleet. Cores and edges ask the API (see
// Serve and the package api); they go on with the last map they know, so an
// outage of control only delays changes.
//
// The member that leads also has what nodes report, in memory alone, and asks
// fleet.Step what comes next. It decides nothing by itself: a successor knows
// the same after the nodes' next reports, and continues.
//
// Data directory, locked while a member runs:
//
//	LOCK           held with flock
//	raft.db        log, term and vote (bbolt)
//	snapshots/     the state as of some log entry
//
// A member owns its directory, its listener and its goroutines; Close releases
// all. Methods are safe for concurrent use.
package control

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Peer is one member of a new group: its id, the address of its listener and,
// in a fleet, that of its API.
type Peer struct {
	ID   wire.NodeID
	Addr string
	API  string
}

// TLS are the two sides of a connection between members. Both nil: plain TCP,
// which is for loopback. Server must ask for a certificate of the fleet's
// authority (tls.RequireAndVerifyClientCert), and Client must have one.
type TLS struct {
	Server, Client *tls.Config
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
	// TLS protects what members say to each other.
	TLS TLS
	// Bootstrap lists all members of a new group, the same on each; when Dir
	// already holds a group only the API addresses are taken from it. Empty
	// with a nil Listener means this member alone; empty with a Listener means
	// that the group exists and will come to know this member.
	Bootstrap []Peer
	// Fleet makes the group run a fleet: the member that leads creates it with
	// these settings when it does not exist yet, and drives its moves. Nil: the
	// group keeps only maps that somebody proposes.
	Fleet *fleet.Settings
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
	log     *slog.Logger
	peers   []Peer
	alone   bool

	settings *fleet.Settings      // nil: no fleet
	term     atomic.Pointer[term] // nil: this member does not lead, or not yet
	stop     chan struct{}        // closed by Close
	driver   sync.WaitGroup
	// leaderless is when the last change of the leader was, in ms: if there is
	// none, since when.
	leaderless atomic.Int64
	silent     sync.Map // raft.ServerID of a member that the leader does not reach: time.Time since

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
	c = &Control{
		fsm: newFSM(cfg.Watcher, cfg.Log), watcher: cfg.Watcher, log: cfg.Log,
		peers: slices.Clone(cfg.Bootstrap), alone: cfg.Listener == nil, settings: cfg.Fleet, stop: make(chan struct{}),
	}
	if err := c.start(cfg, &undo); err != nil {
		return nil, err
	}
	c.release = undo.close
	if c.settings != nil {
		c.driver.Go(c.drive)
	}
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
	c.leaderless.Store(time.Now().UnixMilli())
	r.RegisterObserver(raft.NewObserver(nil, false, c.observe))
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
		close(c.stop)
		err := wrap("stop", c.raft.Shutdown().Error())
		c.driver.Wait() // what it waits for in raft has ended
		c.closeErr = errors.Join(err, c.release())
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

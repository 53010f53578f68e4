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
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
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

// Times of a member.
const (
	// patience is how long a node that could start with the map it kept waits
	// for control first, so that a refusal is heard before it serves.
	patience = 3 * time.Second
	// joinWithin cuts an attempt to join short, to say in the log what is wrong.
	joinWithin = 3 * time.Second
	// reportWithin bounds a report; the next one is newer.
	reportWithin = 3 * time.Second
	// leaveWithin bounds the goodbye.
	leaveWithin = time.Second
	// refusedPause is waited after a refusal that somebody has to mend.
	refusedPause = 5 * time.Second
)

// Member is a node that belongs to a fleet.
type Member struct {
	cfg      Config
	client   *api.Client
	instance string
	file     watch.File
	kick     chan struct{} // one waits
	failed   chan error    // one, ever
	stop     context.CancelFunc
	ended    sync.WaitGroup
	closing  sync.Once

	mu struct {
		sync.Mutex
		who      identity
		settings fleet.Settings
		wish     fleet.Wish
		joined   bool               // in this process
		repoll   context.CancelFunc // ends the call for a newer map under way
		said     string             // the last trouble that was logged
	}
}

// Open returns the node's place in the fleet. A node that has joined before and
// kept a map gets it within seconds when control is away; every other waits for
// control until ctx ends. Refusals are *fault.Error (E33xx).
func Open(ctx context.Context, cfg Config) (*Member, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Watcher == nil {
		cfg.Watcher = new(watch.Watcher)
	}
	if len(cfg.Control) == 0 || cfg.Dir == "" || cfg.Name == "" || cfg.Addrs == nil {
		return nil, errors.New("member: Config needs Dir, Name, Control and Addrs")
	}
	who, err := loadIdentity(cfg.Dir, cfg.Role, cfg.Name)
	if err != nil {
		return nil, err
	}
	m := &Member{
		cfg: cfg, instance: random(), file: watch.File{Path: filepath.Join(cfg.Dir, mapFile)},
		client: api.NewClient(api.ClientConfig{Addrs: cfg.Control, Secret: cfg.Secret, TLS: cfg.TLS}),
		kick:   make(chan struct{}, 1), failed: make(chan error, 1),
	}
	m.mu.who, m.mu.wish = who, fleet.Serve
	kept := m.loadMap()
	if err := m.joinFirst(ctx, who.ID != 0 && kept != 0); err != nil {
		m.client.Close()
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.ended.Go(func() { m.keepMaps(life, kept) })
	m.ended.Go(func() { m.followMap(life) })
	m.ended.Go(func() { m.reportAlways(life) })
	return m, nil
}

// loadMap publishes the kept map and returns its epoch, 0 when there is none. A
// damaged one is as good as none: control sends it again.
func (m *Member) loadMap() uint64 {
	kept, err := m.file.Load()
	if err != nil {
		m.cfg.Log.Warn("the kept shard map is not used", "err", err)
		return 0
	}
	if kept == nil || !m.cfg.Watcher.Publish(kept) {
		return 0
	}
	return kept.Epoch()
}

// joinFirst joins, or gives up waiting for control when there is a map to start
// with.
func (m *Member) joinFirst(ctx context.Context, canStart bool) error {
	var spent time.Duration
	for {
		start := time.Now()
		attempt, cancel := context.WithTimeout(ctx, joinWithin)
		err := m.join(attempt)
		cancel()
		if err == nil {
			return nil
		}
		// Another process with this identity may still run: never start
		// beside it.
		other := errors.Is(err, &fault.Error{Code: fault.TwoInstances})
		away := errors.Is(err, &fault.Error{Code: fault.NoControl}) || api.Passes(err)
		if ctx.Err() != nil || !away && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		m.trouble("cannot join yet", err)
		if spent += time.Since(start); canStart && !other && spent >= patience {
			m.cfg.Log.Warn("control is away: starting with the shard map that was kept",
				"epoch", m.cfg.Watcher.Current().Epoch(), "err", err)
			return nil
		}
	}
}

// join asks for the node's place once and keeps it.
func (m *Member) join(ctx context.Context) error {
	who := m.identity()
	a, err := m.client.Join(ctx, api.JoinRequest{
		Name: who.Name, Role: who.Role, Zone: m.cfg.Zone, Identity: who.Identity, Instance: m.instance,
		Cluster: who.Cluster, ID: who.ID, Replace: m.cfg.Replace, Addrs: m.cfg.Addrs(), Versions: m.cfg.Versions,
		ClockMS: nowMS(),
	})
	if err != nil {
		return err
	}
	if who.ID != 0 && (a.ID != who.ID || a.Cluster != who.Cluster) {
		return fault.New(fault.OtherCluster, "it is node %d of %s, and control says node %d of %s", who.ID, who.Cluster, a.ID, a.Cluster)
	}
	if a.ID == 0 || a.Cluster == "" {
		return fault.New(fault.BadControlCall, "the answer to a join names no node or no fleet")
	}
	if who.ID == 0 {
		who.ID, who.Cluster = a.ID, a.Cluster
		if err := saveIdentity(m.cfg.Dir, who); err != nil {
			return err
		}
	}
	m.client.Learn(a.Control)
	m.mu.Lock()
	m.mu.who, m.mu.settings, m.mu.joined, m.mu.said = who, a.Settings, true, ""
	m.mu.Unlock()
	m.cfg.Log.Info("joined the fleet", "node", who.ID, "name", who.Name, "cluster", who.Cluster)
	return nil
}

func nowMS() wire.Millis { return wire.Millis(time.Now().UnixMilli()) }

func (m *Member) identity() identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.who
}

// trouble logs what keeps the member from its work, once for each in a row.
func (m *Member) trouble(what string, err error) {
	m.mu.Lock()
	text := what + ": " + code(err)
	again := m.mu.said == text
	m.mu.said = text
	m.mu.Unlock()
	if !again {
		m.cfg.Log.Warn(what, "err", err)
	}
}

// code is what makes one trouble another: its number, without the details,
// which change with each attempt.
func code(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Code.Spec().Name
	}
	return "other"
}

// ID is the node's id, which stays.
func (m *Member) ID() wire.NodeID { return m.identity().ID }

// Cluster is the fleet's id, 32 hex digits.
func (m *Member) Cluster() string { return m.identity().Cluster }

// Wish is what the operator wants of the node, as far as it has heard:
// fleet.Serve at first.
func (m *Member) Wish() fleet.Wish {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.wish
}

// Settings are the fleet's, as of the last join; zero when this process has not
// reached control yet.
func (m *Member) Settings() fleet.Settings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.settings
}

// Watcher follows the map.
func (m *Member) Watcher() *watch.Watcher { return m.cfg.Watcher }

// Kick makes the node report now. It never blocks.
func (m *Member) Kick() {
	select {
	case m.kick <- struct{}{}:
	default: // one waits already, and reports what is so by then
	}
}

// Failed gets at most one error: control has refused the node for good, as when
// another process runs with its identity. The process is to end with it.
func (m *Member) Failed() <-chan error { return m.failed }

// Close says goodbye to control and ends what Open started. Close again is
// harmless.
func (m *Member) Close() error {
	m.closing.Do(func() {
		m.stop()
		m.ended.Wait()
		m.leave()
		m.client.Close()
	})
	return nil
}

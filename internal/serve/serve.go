// Package serve runs every role of godwit in one process on one data
// directory: a control group of one member, one core node and one edge, joined
// without a network. The parts are those of a fleet; only their number differs.
//
//	DATA/LOCK        held while a process runs
//	DATA/VERSION     number of the layout
//	DATA/dev-secret  signs tokens of development sign-in
//	DATA/control/    the shard map
//	DATA/core/       logs, inboxes, Raft
//
// Run owns the directory, both listeners and every goroutine it starts, and
// releases all before it returns. It prints what a person should know to
// Config.Out and logs the rest; it handles no signals and never exits.
package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"github.com/godwit-im/godwit/core"
	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// The nodes of the process.
const (
	coreNode    wire.NodeID = 1
	edgeNode    wire.NodeID = 1001
	controlNode wire.NodeID = 2001
)

// startTimeout bounds the wait for the shards' leaders; a start takes well
// below a second, except after a crash with much to replay.
const startTimeout = time.Minute

// Config says how to run.
type Config struct {
	config.Server
	Program string       // what to type for the program; without it godwit
	Version string       // of the program
	Page    http.Handler // what the public address serves beside /v1 and /ws; may be nil
	Out     io.Writer    // gets the start-up lines
	Log     *slog.Logger
	// Started is called with the bound addresses once everything is ready; may
	// be nil.
	Started func(Addresses)
}

// Addresses are where a running server can be reached, host:port.
type Addresses struct{ Public, Admin string }

// server is what Run has opened, in the order of opening.
type server struct {
	cfg     Config
	process *process.Process
	watcher *watch.Watcher
	edge    *process.Edge
	control *control.Control
	core    *core.Node
	links   []link.Link
}

var _ process.Role = (*server)(nil)

// Run serves until ctx is done, then stops gracefully within
// process.StopTimeout. Errors are *fault.Error, or nil after a graceful stop.
func Run(ctx context.Context, cfg Config) error {
	return process.Run(ctx, process.Config{Data: cfg.Data, Admin: cfg.Admin, Log: cfg.Log}, &server{cfg: cfg, watcher: &watch.Watcher{}})
}

// Open implements process.Role.
func (s *server) Open(ctx context.Context, p *process.Process) (err error) {
	s.process = p
	s.edge, err = process.OpenEdge(ctx, process.EdgeConfig{Settings: &s.cfg.Server, Node: edgeNode, Watcher: s.watcher,
		Version: s.cfg.Version, Page: s.cfg.Page, Log: s.cfg.Log, DevSecret: p.Data.DevSecret})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = s.openControl(ctx); err != nil {
		return err
	}
	s.core, err = core.Open(ctx, core.Config{Node: coreNode, Dir: filepath.Join(s.process.Data.Path(), "core"), Watcher: s.watcher, Log: s.cfg.Log})
	if err != nil {
		return process.DataFault(ctx, err)
	}
	hub := link.NewHub()
	coreLink := hub.Join(coreNode, s.core.Events())
	edgeLink := hub.Join(edgeNode, s.edge.Events())
	s.links = []link.Link{edgeLink, coreLink}
	s.core.Attach(coreLink)
	s.edge.Attach(edgeLink)
	p.Metrics.MustRegister(s.edge, s.core)
	p.Waits("for the shards' leaders")
	if err = s.core.Ready(ctx); err != nil {
		return process.DataFault(ctx, err)
	}
	return nil
}

// openControl opens the control group and, at the first start, plans the map.
func (s *server) openControl(ctx context.Context) (err error) {
	s.control, err = control.Open(control.Config{Dir: filepath.Join(s.process.Data.Path(), "control"), ID: controlNode, Watcher: s.watcher, Log: s.cfg.Log})
	if err != nil {
		return process.DataFault(ctx, err)
	}
	if err = s.control.Ready(ctx); err != nil {
		return err
	}
	if m := s.watcher.Current(); m != nil {
		if have := len(m.Shards()); s.cfg.Shards != 0 && have != s.cfg.Shards {
			s.cfg.Log.Info("the number of shards was fixed at the first start", "shards", have, "asked", s.cfg.Shards)
		}
		return nil
	}
	m, err := place.Initial([]shardmap.Node{{ID: coreNode}}, s.shards(), 1)
	if err != nil {
		return err
	}
	return s.control.Propose(ctx, m)
}

// Admin implements process.Role.
func (s *server) Admin() admin.Config {
	return process.CoreAdmin(admin.Config{Checks: []admin.Check{
		{Name: "edge", Ready: s.edge.Check, Note: s.edge.Note}, {Name: "core", Ready: s.core.Check}}}, s.core)
}

// Ready implements process.Role.
func (s *server) Ready(took time.Duration) {
	addr := Addresses{Public: s.edge.Addr(), Admin: s.process.Admin()}
	s.announce(addr, took)
	if s.cfg.Started != nil {
		s.cfg.Started(addr)
	}
}

// Failed implements process.Role: no part ends the others.
func (s *server) Failed() <-chan error { return nil }

// Leave implements process.Role.
func (s *server) Leave(ctx context.Context) error { return s.edge.Shutdown(ctx) }

// Close implements process.Role.
func (s *server) Close() error {
	errs := []error{s.edge.Close()}
	if s.core != nil {
		errs = append(errs, s.core.Close())
	}
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	if s.control != nil {
		errs = append(errs, s.control.Close())
	}
	return errors.Join(errs...)
}

// maxAutoShards is where choosing by processors ends: more shards mean smaller
// Raft entries, and one machine gains nothing from them.
const maxAutoShards = 16

// shards returns how many shards a new data directory gets. A shard is applied
// by one goroutine and the edge needs as much again, so two processors keep one
// busy; on two, one shard measured 53 µs a message and two measured 64.
func (s *server) shards() int {
	if s.cfg.Shards != 0 {
		return s.cfg.Shards
	}
	return min(max(runtime.NumCPU()/2, 1), maxAutoShards)
}

// DevSecret returns the development secret of a server's data directory. The
// error is fs.ErrNotExist when the server has none.
func DevSecret(path string) ([]byte, error) { return process.DevSecret(path) }

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
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/godwit-im/godwit/core"
	"github.com/godwit-im/godwit/edge"
	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/link"
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

// StopTimeout bounds a graceful stop.
const StopTimeout = 10 * time.Second

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
	data    *dataDir
	watcher *watch.Watcher
	admin   *admin.Listener
	auth    *auth.Verifier
	edge    *edge.Server
	control *control.Control
	core    *core.Node
	links   []link.Link
}

// Run serves until ctx is done, then stops gracefully within StopTimeout.
// Errors are *fault.Error, or nil after a graceful stop.
func Run(ctx context.Context, cfg Config) error {
	began := time.Now()
	s := &server{cfg: cfg, watcher: &watch.Watcher{}}
	if err := s.open(ctx); err != nil {
		s.close()
		if ctx.Err() != nil {
			return fault.New(fault.Interrupted, "while starting")
		}
		return classify(err)
	}
	failed := make(chan error, 1)
	adminServer := admin.NewServer(s.adminHandler())
	go func() { failed <- adminServer.Serve(s.admin) }()
	addr := Addresses{Public: s.edge.Addr(), Admin: s.admin.Addr().String()}
	s.announce(addr, time.Since(began))
	if cfg.Started != nil {
		cfg.Started(addr)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fault.New(fault.Unexpected, "the admin address: %w", err)
	}
	return errors.Join(err, s.stop(adminServer))
}

// open opens the parts: what may be taken by others first, so that a second
// server fails at once and has touched nothing.
func (s *server) open(ctx context.Context) (err error) {
	if s.data, err = openData(s.cfg.Data); err != nil {
		return err
	}
	if s.admin, err = admin.Listen(s.cfg.Admin); err != nil {
		return listenFault(s.cfg.Admin, err)
	}
	if err = s.openEdge(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = s.openControl(ctx); err != nil {
		return err
	}
	s.core, err = core.Open(ctx, core.Config{Node: coreNode, Dir: filepath.Join(s.data.path, "core"), Watcher: s.watcher, Log: s.cfg.Log})
	if err != nil {
		return dataFault(ctx, err)
	}
	hub := link.NewHub()
	coreLink := hub.Join(coreNode, s.core.Events())
	edgeLink := hub.Join(edgeNode, s.edge.Events())
	s.links = []link.Link{edgeLink, coreLink}
	s.core.Attach(coreLink)
	s.edge.Attach(edgeLink)
	return s.core.Ready(ctx)
}

func (s *server) openEdge(ctx context.Context) error {
	c := &s.cfg
	ac := auth.Config{HS256Secret: []byte(c.AuthHS256Secret), KeyFiles: c.AuthPublicKeys, JWKSURL: c.AuthJWKSURL, Issuer: c.AuthIssuer, Audience: c.AuthAudience}
	var devSecret []byte
	var err error
	if c.DevSignIn() {
		if devSecret, err = s.data.devSecret(); err != nil {
			return err
		}
		ac.HS256Secret = devSecret
	}
	if s.auth, err = auth.New(ctx, ac); err != nil {
		return fault.New(fault.BadKeyFile, "%w", err)
	}
	if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return fault.New(fault.BadKeyFile, "--tls-cert %s with --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
		}
	}
	s.edge, err = edge.Open(edge.Config{
		Node: edgeNode, Listen: c.Listen, CertFile: c.TLSCert, KeyFile: c.TLSKey, Watcher: s.watcher, Auth: s.auth,
		DevSecret: devSecret, InsecureDevAuth: c.InsecureDevAuth, AllowOrigins: c.AllowOrigins, MaxConnections: c.MaxConnections,
		Heartbeat: c.Heartbeat, MaxContent: c.MaxContent, SendRate: rate(c.SendRate), OpsRate: rate(c.OpsRate), Version: c.Version, Page: c.Page, Log: c.Log,
	})
	if err != nil {
		return listenFault(c.Listen, err)
	}
	return nil
}

// rate turns "0: no limit" of the settings into the edge's form.
func rate(perSecond int) int {
	if perSecond == 0 {
		return -1
	}
	return perSecond
}

// openControl opens the control group and, at the first start, plans the map.
func (s *server) openControl(ctx context.Context) (err error) {
	s.control, err = control.Open(control.Config{Dir: filepath.Join(s.data.path, "control"), ID: controlNode, Watcher: s.watcher, Log: s.cfg.Log})
	if err != nil {
		return err
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

func (s *server) adminHandler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.admin, s.edge, s.core)
	return admin.Handler(admin.Config{Metrics: reg, Compact: s.core.Compact, Checks: []admin.Check{
		{Name: "edge", Ready: s.edge.Ready}, {Name: "core", Ready: s.core.Check}}})
}

// stop ends everything within StopTimeout: clients are told to leave, then the
// parts close in the reverse order of opening.
func (s *server) stop(adminServer *http.Server) error {
	s.cfg.Log.Info("stopping; again to force")
	ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := s.edge.Shutdown(ctx)
		done <- errors.Join(err, adminServer.Close(), s.close())
	}()
	select {
	case err := <-done:
		if err != nil {
			return classify(err)
		}
		return nil
	case <-ctx.Done():
		return fault.New(fault.StopTooSlow, "more than %s", StopTimeout)
	}
}

// close closes what is open. Closing twice what Shutdown closed is harmless.
func (s *server) close() error {
	var errs []error
	if s.edge != nil {
		errs = append(errs, s.edge.Close())
	}
	if s.core != nil {
		errs = append(errs, s.core.Close())
	}
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	if s.control != nil {
		errs = append(errs, s.control.Close())
	}
	if s.auth != nil {
		s.auth.Close()
	}
	if s.admin != nil {
		if err := s.admin.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.data != nil {
		s.data.close()
	}
	return errors.Join(errs...)
}

// listenFault names what keeps an address from being listened on.
func listenFault(addr string, err error) error {
	var f *fault.Error
	var op *net.OpError
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, syscall.EADDRINUSE):
		return &fault.Error{Code: fault.PortTaken, Detail: addr, Err: err}
	case errors.As(err, &op):
		return fault.New(fault.BadAddress, "%s: %w", addr, op.Err)
	}
	return err
}

// classify gives a number to the errors of the parts.
func classify(err error) error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, control.ErrInUse):
		return fault.New(fault.DataInUse, "%w", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return fault.New(fault.DataNotWritable, "%w", err)
	}
	return fault.New(fault.StartFailed, "%w", err)
}

// dataFault is classify for what a part says of its directory when it cannot
// open it and had the time to.
func dataFault(ctx context.Context, err error) error {
	var f *fault.Error
	if err = classify(err); ctx.Err() == nil && errors.As(err, &f) && f.Code == fault.StartFailed {
		f.Code = fault.DataBroken
	}
	return err
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

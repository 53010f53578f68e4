// Package process is what every server process of godwit is made of, whatever
// its role: a data directory that nobody else has open, an admin address, the
// public edge, errors with numbers, and a stop that ends in time. Packages serve
// and role bring the parts that differ.
//
// Run owns nothing that it is given but opens, serves and closes it, and returns
// when all of that has ended. It handles no signals and never exits.
package process

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/fault"
)

// StopTimeout bounds a graceful stop.
const StopTimeout = 10 * time.Second

// Config is what every process has.
type Config struct {
	Data  string // directory, made when it is missing
	Admin string // host:port
	Log   *slog.Logger
}

// Process is what Run has opened for a Role.
type Process struct {
	Data *Data
	// Metrics are what the admin address shows. Parts register with it as they
	// open.
	Metrics *prometheus.Registry

	admin   *admin.Listener
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	waits   atomic.Pointer[string]
}

// Admin returns the admin address that was bound, host:port.
func (p *Process) Admin() string { return p.admin.Addr().String() }

// Waits says what the start waits for, such as "for control". It is what
// /readyz shows until everything is open.
func (p *Process) Waits(what string) { p.waits.Store(&what) }

// Role is what a process does.
type Role interface {
	// Open opens the parts: what may be taken by others first, so that a
	// second process fails at once and has touched nothing. What is open when
	// it fails Close closes.
	Open(context.Context, *Process) error
	// Admin returns what the admin address checks and offers from now on;
	// Metrics are those of the Process.
	Admin() admin.Config
	// Ready is called once when everything serves, after took.
	Ready(took time.Duration)
	// Failed gets an error that ends the process; nil: nothing can.
	Failed() <-chan error
	// Leave tells clients to go, and returns when they went or ctx ends.
	Leave(context.Context) error
	// Close closes what is open, in the reverse order of opening. It may be
	// called after an Open that failed.
	Close() error
}

// Run serves until ctx is done, then stops gracefully within StopTimeout. The
// admin address answers from the beginning: healthy, and not ready until
// everything is open. Errors are *fault.Error, or nil after a graceful stop.
func Run(ctx context.Context, cfg Config, r Role) error {
	began := time.Now()
	p, failed, err := start(cfg)
	if err != nil {
		return Classify(err)
	}
	defer p.Data.Close()
	if err := r.Open(ctx, p); err != nil {
		_, _ = r.Close(), p.server.Close() // what did not open is what to say
		if ctx.Err() != nil {
			return fault.New(fault.Interrupted, "while starting")
		}
		return Classify(err)
	}
	shown := r.Admin()
	shown.Metrics = p.Metrics
	p.show(shown)
	r.Ready(time.Since(began))
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fault.New(fault.Unexpected, "the admin address: %w", err)
	case err = <-r.Failed():
		err = Classify(err)
	}
	return errors.Join(err, stop(cfg.Log, r, p.server))
}

// start opens what every process has. The channel gets the error with which the
// admin address stops serving.
func start(cfg Config) (p *Process, failed <-chan error, err error) {
	p = &Process{Metrics: prometheus.NewRegistry()}
	if p.Data, err = OpenData(cfg.Data); err != nil {
		return nil, nil, err
	}
	if p.admin, err = admin.Listen(cfg.Admin); err != nil {
		p.Data.Close()
		return nil, nil, ListenFault(cfg.Admin, err)
	}
	p.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), p.admin)
	p.Waits("opening")
	p.show(admin.Config{Metrics: p.Metrics, Checks: []admin.Check{{Name: "start", Ready: func() error { return errors.New(*p.waits.Load()) }}}})
	p.server = admin.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*p.handler.Load()).ServeHTTP(w, r) }))
	ended := make(chan error, 1)
	go func() { ended <- p.server.Serve(p.admin) }()
	return p, ended, nil
}

func (p *Process) show(cfg admin.Config) {
	h := admin.Handler(cfg)
	p.handler.Store(&h)
}

// stop ends everything within StopTimeout.
func stop(log *slog.Logger, r Role, server *http.Server) error {
	log.Info("stopping; again to force")
	ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := r.Leave(ctx)
		done <- errors.Join(err, server.Close(), r.Close())
	}()
	select {
	case err := <-done:
		if err != nil {
			return Classify(err)
		}
		log.Info("stopped")
		return nil
	case <-ctx.Done():
		return fault.New(fault.StopTooSlow, "more than %s", StopTimeout)
	}
}

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
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/fault"
)

// StopTimeout bounds a graceful stop.
const StopTimeout = 10 * time.Second

// Role is a role of a process.
type Role interface {
	// Open opens the parts: what may be taken by others first, so that a
	// second process fails at once and has touched nothing. What is open when
	// it fails Close closes.
	Open(context.Context) error
	// Admin returns the address that Open has opened and what to serve there.
	Admin() (*admin.Listener, admin.Config)
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

// Run serves until ctx is done, then stops gracefully within StopTimeout.
// Errors are *fault.Error, or nil after a graceful stop.
func Run(ctx context.Context, log *slog.Logger, r Role) error {
	began := time.Now()
	if err := r.Open(ctx); err != nil {
		_ = r.Close() // what did not open is what to say
		if ctx.Err() != nil {
			return fault.New(fault.Interrupted, "while starting")
		}
		return Classify(err)
	}
	listener, cfg := r.Admin()
	server := admin.NewServer(admin.Handler(cfg))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	r.Ready(time.Since(began))
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fault.New(fault.Unexpected, "the admin address: %w", err)
	case err = <-r.Failed():
		err = Classify(err)
	}
	return errors.Join(err, stop(log, r, server))
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
		return nil
	case <-ctx.Done():
		return fault.New(fault.StopTooSlow, "more than %s", StopTimeout)
	}
}

// ListenAdmin opens the admin address; errors are *fault.Error.
func ListenAdmin(addr string) (*admin.Listener, error) {
	l, err := admin.Listen(addr)
	if err != nil {
		return nil, ListenFault(addr, err)
	}
	return l, nil
}

// CloseAdmin closes the admin address; nil and closed ones are fine.
func CloseAdmin(l *admin.Listener) error {
	if l == nil {
		return nil
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Metrics returns a registry of the process's own figures and parts.
func Metrics(parts ...prometheus.Collector) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reg.MustRegister(parts...)
	return reg
}

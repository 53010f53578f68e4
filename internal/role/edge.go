package role

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/godwit-im/godwit/edge"
	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
)

// Edge runs an edge until ctx is done.
func Edge(ctx context.Context, cfg Config) error {
	return process.Run(ctx, cfg.process(), &edgeRole{node: node{cfg: cfg, watcher: &watch.Watcher{}}})
}

type edgeRole struct {
	node
	addrs fleet.Addrs
	edge  *process.Edge
}

// Open implements process.Role.
func (r *edgeRole) Open(ctx context.Context, p *process.Process) (err error) {
	r.process = p
	if r.certs, err = r.cfg.certificates(pki.Edge); err != nil {
		return err
	}
	ln, err := edge.Bind(r.cfg.Listen)
	if err != nil {
		return process.ListenFault(r.cfg.Listen, err)
	}
	if err = r.openEdge(ctx, ln); err != nil {
		return errors.Join(err, ignoreClosed(ln.Close()))
	}
	if err = r.connect(link.Config{Events: r.edge.Events()}); err != nil {
		return err
	}
	r.edge.Attach(r.link)
	report := r.reportOf
	r.report.Store(&report)
	p.Metrics.MustRegister(r.edge)
	return nil
}

// openEdge joins and serves the public address, which is bound.
func (r *edgeRole) openEdge(ctx context.Context, ln *net.TCPListener) (err error) {
	r.addrs = fleet.Addrs{Public: r.cfg.advertised(ln.Addr().String()), Admin: r.cfg.advertised(r.process.Admin())}
	if err = r.join(ctx, fleet.Edge, r.addrs); err != nil {
		return err
	}
	r.edge, err = process.OpenEdge(ctx, process.EdgeConfig{
		Settings: &r.cfg.Server, Node: r.member.ID(), Listener: ln, Watcher: r.watcher, Version: r.cfg.Version, Page: r.cfg.Page, Log: r.cfg.Log,
		DevSecret: r.process.Data.DevSecret,
	})
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *edgeRole) reportOf() fleet.Report {
	rep := fleet.Report{Ready: true, Sessions: int64(r.edge.Connections()), PerSec: r.usage.perSec(r.edge.Messages()), DiskFree: diskFree(r.process.Data.Path())}
	if err := r.ready(); err != nil {
		rep.Ready, rep.Note = false, note(err)
	}
	return rep
}

// ready says whether clients should come here: the edge can serve, and the
// operator wants it to.
func (r *edgeRole) ready() error {
	if wish := r.member.Wish(); wish != fleet.Serve {
		return errors.New("the operator wants it empty (" + string(wish) + ")")
	}
	return r.edge.Check()
}

// Admin implements process.Role.
func (r *edgeRole) Admin() admin.Config {
	return admin.Config{Checks: r.checks(admin.Check{Name: "edge", Ready: r.ready, Note: r.edge.Note})}
}

// Ready implements process.Role.
func (r *edgeRole) Ready(took time.Duration) { r.announce(took, r.member.ID(), r.addrs) }

// Leave implements process.Role.
func (r *edgeRole) Leave(ctx context.Context) error { return r.edge.Shutdown(ctx) }

// Close implements process.Role.
func (r *edgeRole) Close() error {
	errs := []error{r.edge.Close()}
	if r.link != nil {
		errs = append(errs, r.link.Close())
	}
	if r.member != nil {
		errs = append(errs, r.member.Close())
	}
	return errors.Join(errs...)
}

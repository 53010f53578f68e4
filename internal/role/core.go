package role

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/core"
	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/watch"
)

// Core runs a core node until ctx is done.
func Core(ctx context.Context, cfg Config) error {
	return process.Run(ctx, cfg.process(), &coreRole{node: node{cfg: cfg, watcher: &watch.Watcher{}}})
}

type coreRole struct {
	node
	addrs fleet.Addrs
	core  *core.Node
}

// Open implements process.Role.
func (r *coreRole) Open(ctx context.Context, p *process.Process) (err error) {
	r.process = p
	if r.certs, err = r.cfg.certificates(pki.Core); err != nil {
		return err
	}
	ln, err := listen(r.cfg.Link)
	if err != nil {
		return err
	}
	if err = r.openNode(ctx, ln); err != nil {
		return errors.Join(err, ln.Close())
	}
	lc := link.Config{Listener: ln, Events: r.core.Events()}
	if err = r.connect(lc); err != nil {
		return errors.Join(err, ln.Close())
	}
	r.core.Attach(r.link)
	report := r.reportOf
	r.report.Store(&report)
	p.Metrics.MustRegister(r.core)
	r.member.Kick()
	return nil
}

// openNode joins and opens the data.
func (r *coreRole) openNode(ctx context.Context, ln net.Listener) error {
	raft, err := freeAddr(r.cfg.Raft)
	if err != nil {
		return err
	}
	r.addrs = fleet.Addrs{Link: r.cfg.advertised(ln.Addr().String()), Raft: r.cfg.advertised(raft), Admin: r.cfg.advertised(r.process.Admin())}
	if err := r.join(ctx, fleet.Core, r.addrs); err != nil {
		return err
	}
	r.process.Waits("waiting for the shard map, which control makes when enough cores have joined")
	if _, err := r.watcher.Wait(ctx, 0); err != nil {
		return err
	}
	r.process.Waits("opening the data")
	cfg := core.Config{
		Node: r.member.ID(), Dir: filepath.Join(r.process.Data.Path(), "core"), Watcher: r.watcher, RaftAddr: r.addrs.Raft, Log: r.cfg.Log,
		Changed: r.member.Kick,
	}
	if r.certs != nil {
		cfg.RaftTLS.CA, cfg.RaftTLS.Cert, cfg.RaftTLS.Key = r.certs.Files()
	}
	if r.core, err = core.Open(ctx, cfg); err != nil {
		return process.DataFault(ctx, err)
	}
	return nil
}

// freeAddr returns addr with a port that is free for a listener that chooses
// none itself: that of Raft. It fails as listening would.
func freeAddr(addr string) (string, error) {
	l, err := listen(addr)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (r *coreRole) reportOf() fleet.Report {
	rep := fleet.Report{Ready: true, Shards: r.core.Report(), DiskFree: diskFree(r.process.Data.Path()), PerSec: r.usage.perSec(r.core.Applied())}
	if err := r.core.Check(); err != nil {
		rep.Ready, rep.Note = false, note(err)
	}
	return rep
}

// Admin implements process.Role.
func (r *coreRole) Admin() admin.Config {
	return process.CoreAdmin(admin.Config{Checks: r.checks(admin.Check{Name: "core", Ready: r.core.Check})}, r.core)
}

// Ready implements process.Role.
func (r *coreRole) Ready(took time.Duration) { r.announce(took, r.member.ID(), r.addrs) }

// Leave implements process.Role. The leaders of shards hand over as they close.
func (r *coreRole) Leave(context.Context) error { return nil }

// Close implements process.Role.
func (r *coreRole) Close() error {
	var errs []error
	if r.core != nil {
		errs = append(errs, r.core.Close())
	}
	if r.link != nil {
		errs = append(errs, r.link.Close())
	}
	if r.member != nil {
		errs = append(errs, r.member.Close())
	}
	return errors.Join(errs...)
}

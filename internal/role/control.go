package role

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/control"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// Control runs a control member until ctx is done.
func Control(ctx context.Context, cfg Config) error {
	return process.Run(ctx, cfg.process(), &controlRole{cfg: cfg})
}

type controlRole struct {
	cfg     Config
	process *process.Process
	certs   *pki.Node
	id      wire.NodeID
	addrs   fleet.Addrs
	control *control.Control
	api     *control.API
}

// fleetShards is how many shards a new fleet gets: enough for ten cores to have
// their fair part, few enough that Raft's beats cost nothing.
const fleetShards = 32

// Open implements process.Role.
func (r *controlRole) Open(_ context.Context, p *process.Process) (err error) {
	r.process = p
	if r.certs, err = r.cfg.certificates(pki.Control); err != nil {
		return err
	}
	raft, err := listen(r.cfg.Raft)
	if err != nil {
		return err
	}
	apiListener, err := listen(r.cfg.API)
	if err != nil {
		return errors.Join(err, raft.Close())
	}
	r.addrs = fleet.Addrs{Raft: r.cfg.advertised(raft.Addr().String()), API: r.cfg.advertised(apiListener.Addr().String()), Admin: r.cfg.advertised(p.Admin())}
	if err = r.openGroup(raft); err != nil {
		return errors.Join(err, apiListener.Close())
	}
	api := control.APIConfig{Listener: apiListener, Secret: r.cfg.JoinSecret}
	if r.certs != nil {
		api.TLS = r.certs.Server()
	}
	r.api, err = r.control.Serve(api)
	return err
}

// openGroup starts the member on its Raft address, which it closes in any case.
func (r *controlRole) openGroup(raft net.Listener) error {
	peers, err := r.peers()
	if err != nil {
		return errors.Join(err, raft.Close())
	}
	shards := r.cfg.Shards
	if shards == 0 {
		shards = fleetShards
	}
	cfg := control.Config{
		Dir: filepath.Join(r.process.Data.Path(), "control"), ID: r.id, Listener: raft, Bootstrap: peers, Log: r.cfg.Log,
		Fleet: &fleet.Settings{Shards: shards, Replicas: r.cfg.Replicas, Cores: r.cfg.Cores},
	}
	if r.certs != nil {
		cfg.TLS = control.TLS{Server: r.certs.Server(pki.Control), Client: r.certs.Client(pki.Control)}
	}
	if r.control, err = control.Open(cfg); err != nil {
		return process.DataFault(context.Background(), err)
	}
	return nil
}

// peers are the members of the group, numbered by their names, which are the
// same on all of them.
func (r *controlRole) peers() (list []control.Peer, err error) {
	if len(r.cfg.Peers) == 0 {
		if len(r.cfg.Control) > 0 {
			return nil, fault.New(fault.BadValue, "--control without --peers: a control group keeps the members that it began with").
				Advise("set --peers to all of them, the same on each")
		}
		r.id = 1
		return []control.Peer{{ID: r.id, Addr: r.addrs.Raft, API: r.addrs.API}}, nil
	}
	sorted := slices.SortedFunc(slices.Values(r.cfg.Peers), func(a, b config.Peer) int { return cmp.Compare(a.Name, b.Name) })
	for i, p := range sorted {
		id := wire.NodeID(i + 1)
		if p.Name == r.cfg.Name {
			r.id = id
			if p.Raft != r.addrs.Raft || p.API != r.addrs.API {
				return nil, fault.New(fault.BadValue, "--peers has this member at %s and %s, and it is at %s and %s", p.Raft, p.API, r.addrs.Raft, r.addrs.API).
					Advise("correct --peers, or --raft, --api and --advertise")
			}
		}
		list = append(list, control.Peer{ID: id, Addr: p.Raft, API: p.API})
	}
	return list, nil
}

// check says whether this member can answer: somebody leads.
func (r *controlRole) check() error {
	if id, _ := r.control.Leader(); id == 0 {
		return errors.New("no control member leads: does a majority of them run?")
	}
	return nil
}

// Admin implements process.Role.
func (r *controlRole) Admin() admin.Config {
	checks := []admin.Check{{Name: "control", Ready: r.check}}
	if r.certs != nil {
		checks = append(checks, admin.Check{Name: "certificates", Ready: r.certs.Check})
	}
	return admin.Config{Checks: checks}
}

// Ready implements process.Role.
func (r *controlRole) Ready(took time.Duration) {
	n := node{cfg: r.cfg, process: r.process}
	n.announce(took, r.id, r.addrs)
}

// Failed implements process.Role: a member that cannot follow its group says so
// in every answer and goes on.
func (r *controlRole) Failed() <-chan error { return nil }

// Leave implements process.Role. A leader hands over as it closes.
func (r *controlRole) Leave(context.Context) error { return nil }

// Close implements process.Role.
func (r *controlRole) Close() error {
	var errs []error
	if r.api != nil {
		errs = append(errs, r.api.Close())
	}
	if r.control != nil {
		if err := r.control.Close(); err != nil {
			errs = append(errs, fmt.Errorf("stopping the control member: %w", err))
		}
	}
	return errors.Join(errs...)
}

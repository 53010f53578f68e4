package role

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/godwit-im/godwit/internal/admin"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/member"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// node is what a core and an edge have in common: a place in the fleet, its
// map, and a link to the others.
type node struct {
	cfg     Config
	process *process.Process
	watcher *watch.Watcher
	certs   *pki.Node // nil: without TLS
	member  *member.Member
	link    *link.TCP
	usage   usage
	report  atomic.Pointer[func() fleet.Report] // nil until the part is open
}

// join takes the node's place in the fleet. It waits for control until ctx ends,
// unless the node has joined before.
func (n *node) join(ctx context.Context, role fleet.Role, addrs fleet.Addrs) (err error) {
	n.process.Waits("waiting for control")
	m := member.Config{
		Dir: n.process.Data.Path(), Role: role, Name: n.cfg.Name, Zone: n.cfg.Zone, Control: n.cfg.Control, Secret: n.cfg.JoinSecret,
		Replace: n.cfg.Replace, Addrs: func() fleet.Addrs { return addrs }, Versions: n.cfg.versions(),
		Report: n.say, Watcher: n.watcher, Log: n.cfg.Log,
	}
	if n.certs != nil {
		m.TLS = n.certs.Client(pki.Control)
	}
	n.member, err = member.Open(ctx, m)
	return err
}

// say is the node's report: of its part, as soon as that is open.
func (n *node) say() fleet.Report {
	r := fleet.Report{Note: "it has not opened its data yet"}
	if part := n.report.Load(); part != nil {
		r = (*part)()
	}
	r.CPU, r.Bytes = n.usage.process()
	return r
}

// connect opens the node's end of the links. Listener nil: nobody dials it.
func (n *node) connect(cfg link.Config) (err error) {
	cfg.ID, cfg.Cluster, cfg.Resolve, cfg.Log = n.member.ID(), n.member.Cluster(), n.resolve, n.cfg.Log
	if n.certs != nil {
		cfg.TLS = &link.TLS{Server: n.certs.Server(pki.Core, pki.Edge), Client: n.certs.Client(pki.Core), Peer: n.judge}
	}
	n.link, err = link.Listen(cfg)
	return err
}

// resolve finds cores. Edges dial, and are not dialled.
func (n *node) resolve(id wire.NodeID) (addr string, ok bool) {
	m := n.watcher.Current()
	if m == nil {
		return "", false
	}
	peer, ok := m.Node(id)
	return peer.LinkAddr, ok && peer.LinkAddr != ""
}

// judge refuses a process whose certificate is of another role than the node
// that it calls itself: cores are in the map, and edges are not.
func (n *node) judge(id wire.NodeID, cs tls.ConnectionState) error {
	role, name, err := pki.PeerRole(cs)
	if err != nil {
		return err
	}
	m := n.watcher.Current()
	if m == nil {
		return nil
	}
	if _, isCore := m.Node(id); isCore && role != pki.Core {
		return fmt.Errorf("node %d is a core, and the certificate is that of %s %s", id, role, name)
	}
	return nil
}

// checks are those of the node beside its part's own.
func (n *node) checks(part admin.Check) []admin.Check {
	list := []admin.Check{part}
	if n.certs != nil {
		list = append(list, admin.Check{Name: "certificates", Ready: n.certs.Check})
	}
	return list
}

// Failed gets control's word that this node must not go on.
func (n *node) Failed() <-chan error { return n.member.Failed() }

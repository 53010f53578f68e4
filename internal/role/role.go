// Package role runs the processes of a fleet: Control, Core and Edge, each one
// role on a data directory of its own. What serve does in one process they do
// on as many machines as there are; the parts are the same.
//
//	control  the shard map and who is in the fleet, on hashicorp/raft; answers
//	         the API that all others and the operator's commands ask
//	core     joins the fleet at control, holds replicas of shards, is dialled by
//	         edges and other cores
//	edge     joins, serves clients, dials every core of the map
//
// Every role binds its addresses first, so that a second process fails at once
// and has touched nothing, and its admin address answers while it waits for
// others. A core or an edge that has joined before starts without control.
//
// Run owns what it opens and releases all before it returns. It prints what a
// person should know to Config.Out and logs the rest; it handles no signals and
// never exits. Errors are *fault.Error.
package role

import (
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// Config says how to run a role.
type Config struct {
	config.Process
	Program string       // what to type for the program; without it godwit
	Version string       // of the program
	Page    http.Handler // edge: what the public address serves beside /v1 and /ws; may be nil
	Out     io.Writer    // gets the start-up lines; may be nil
	Log     *slog.Logger
	// Started is called with the bound addresses once everything is open; may
	// be nil.
	Started func(fleet.Addrs)
}

// peerVersion is that of the items between processes (wire/peer). It rises when
// an older process could not do what a newer one asks of it.
const peerVersion = 1

func (c *Config) versions() fleet.Versions {
	return fleet.Versions{Program: c.Version, Wire: peerVersion, Store: store.Version}
}

// process is the part of the settings that package process wants.
func (c *Config) process() process.Config {
	return process.Config{Data: c.Data, Admin: c.Admin, Log: c.Log}
}

// listen binds an address between nodes.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, process.ListenFault(addr, err)
	}
	return l, nil
}

// advertised is what others are told of an address that was bound: its host is
// replaced by --advertise, or by loopback when it means every address.
func (c *Config) advertised(bound string) string {
	if c.Advertise == "" {
		return process.Reachable(bound)
	}
	_, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	return net.JoinHostPort(c.Advertise, port)
}

// certificates loads the node's certificates; nil when the fleet has none.
func (c *Config) certificates(role string) (*pki.Node, error) {
	if c.PKI == "" {
		return nil, nil
	}
	n, err := pki.Load(c.PKI)
	if err != nil {
		return nil, err
	}
	if n.Role() != role || n.Name() != c.Name {
		return nil, fault.New(fault.BadKeyFile, "%s holds the certificate of %s %s, this is %s %s", c.PKI, n.Role(), n.Name(), role, c.Name).
			Advise("issue one with `godwit pki issue` for this role and --name")
	}
	n.LogTo(c.Log)
	return n, nil
}

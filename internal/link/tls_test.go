package link_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/wire"
)

// authority makes certificates for the nodes of a test.
type authority struct {
	t   *testing.T
	dir string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t, t.TempDir()}
	if err := pki.Init(a.dir); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns the directory of a new node.
func (a authority) issue(role, name string) string {
	a.t.Helper()
	dir := a.t.TempDir()
	a.into(dir, role, name)
	return dir
}

func (a authority) into(dir, role, name string) {
	a.t.Helper()
	if err := pki.Issue(pki.Request{CADir: a.dir, OutDir: dir, Role: role, Name: name, Hosts: []string{"127.0.0.1"}}); err != nil {
		a.t.Fatal(err)
	}
}

// secure gives a node the certificate in dir.
func secure(t *testing.T, dir string) func(*link.Config) {
	t.Helper()
	n, err := pki.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *link.Config) { c.TLS = &link.TLS{Server: n.Server(), Client: n.Client()} }
}

func TestTLSBothWaysOverOneConnection(t *testing.T) {
	ca := newAuthority(t)
	w := newTown(t)
	core := w.start(1, secure(t, ca.issue(pki.Core, "core-1")))
	edge := w.open(1001, nil, secure(t, ca.issue(pki.Edge, "edge-1")))
	edge.tcp.Connect(1)
	edge.waitUp(1)
	core.waitUp(1001)
	for i, size := range []int{1, 16 << 10, 64<<10 + 1, link.MaxBatch} {
		batch := bytes.Repeat([]byte{byte('a' + i)}, size)
		if !edge.Send(1, batch) || !core.Send(1001, batch) {
			t.Fatalf("a batch of %d bytes is dropped", size)
		}
		if core.waitBatches(1001, i+1)[i] != string(batch) || edge.waitBatches(1, i+1)[i] != string(batch) {
			t.Fatalf("a batch of %d bytes does not arrive as it was", size)
		}
	}
	if s := core.tcp.Stats(); s.Connects != 1 || s.Refused != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTLSMismatch lets an edge of one kind dial a core of another: neither comes
// up, and both logs say once what to do.
func TestTLSMismatch(t *testing.T) {
	one, other := newAuthority(t), newAuthority(t)
	core, edge := one.issue(pki.Core, "core-1"), one.issue(pki.Edge, "edge-1")
	foreign := other.issue(pki.Edge, "edge-1")
	believer := other.issue(pki.Edge, "edge-1") // of the other authority, and believes both
	both := append(mustRead(t, filepath.Join(believer, pki.CAFile)), mustRead(t, filepath.Join(core, pki.CAFile))...)
	if err := os.WriteFile(filepath.Join(believer, pki.CAFile), both, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := func(*link.Config) {}
	for name, tc := range map[string]struct {
		core, edge         func(*link.Config)
		coreSays, edgeSays string
	}{
		"the dialler does not believe": {secure(t, core), secure(t, foreign), "refuses this node's certificate", "(core core-1): it is not of an authority in ca.pem"},
		"the listener does not":        {secure(t, core), secure(t, believer), "(edge edge-1): it is not of an authority in ca.pem", "refuses this node's certificate"},
		"plain to TLS":                 {secure(t, core), plain, "speaks without TLS, which this node requires", "requires TLS, and this node does not speak it"},
		"TLS to plain":                 {plain, secure(t, edge), "speaks TLS, and this node does not", "does not speak TLS, which this node requires"},
		"a core calls itself an edge": {judging(secure(t, core)), judging(secure(t, core)),
			"may not be node 1001: want an edge", "takes this node's certificate for that of another"},
		"an edge listens as a core": {judging(secure(t, edge)), judging(secure(t, edge)),
			"the connection ended before a hello", "may not be node 1: want a core"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			core, edge := w.start(1, tc.core), w.open(1001, nil, tc.edge)
			edge.tcp.Connect(1)
			eventually(t, "several attempts", func() bool { return edge.tcp.Stats().Refused >= 3 && core.tcp.Stats().Refused >= 3 })
			edge.tcp.Close()
			for who, said := range map[string]struct {
				log  *lines
				says string
			}{"core": {core.log, tc.coreSays}, "edge": {edge.log, tc.edgeSays}} {
				if said.log.count("handshake refused") != 1 || said.log.count(said.says) != 1 {
					t.Errorf("%s should log %q once:\n%s", who, said.says, said.log.mu.Buffer.String())
				}
			}
			if edge.tcp.Stats().Connects+core.tcp.Stats().Connects != 0 {
				t.Error("they came up")
			}
		})
	}
}

// judging wants cores below 1000 and edges above.
func judging(change func(*link.Config)) func(*link.Config) {
	return func(c *link.Config) {
		change(c)
		c.TLS.Peer = func(peer wire.NodeID, cs tls.ConnectionState) error {
			role, _, err := pki.PeerRole(cs)
			switch {
			case err != nil:
				return err
			case peer < 1000 && role != pki.Core:
				return errors.New("want a core")
			case peer > 1000 && role != pki.Edge:
				return errors.New("want an edge")
			}
			return nil
		}
	}
}

// TestTLSCertificateIsRenewed renews the certificate of a core that goes on: the
// next connection shows the new one.
func TestTLSCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	w := newTown(t)
	dir := ca.issue(pki.Core, "core-1")
	core := w.start(1, secure(t, dir))
	var mu sync.Mutex
	var serials []string // of the core, as each connection showed it
	start := func(id wire.NodeID) *tcpNode {
		edge := w.open(id, nil, secure(t, ca.issue(pki.Edge, fmt.Sprintf("edge-%d", id))), func(c *link.Config) {
			c.TLS.Peer = func(_ wire.NodeID, cs tls.ConnectionState) error {
				mu.Lock()
				defer mu.Unlock()
				serials = append(serials, fmt.Sprint(cs.PeerCertificates[0].SerialNumber))
				return nil
			}
		})
		edge.tcp.Connect(1)
		edge.waitUp(1)
		return edge
	}
	edge := start(1001)
	ca.into(dir, pki.Core, "core-1")
	eventually(t, "a new certificate", func() bool {
		start(1002).tcp.Close()
		mu.Lock()
		defer mu.Unlock()
		return serials[len(serials)-1] != serials[0]
	})
	if !edge.isUp(1) || !core.isUp(1001) {
		t.Error("the connection that stood was given up for it")
	}
}

// TestTLSSilentPeerIsDead is TestTCPSilentPeerIsDead over TLS, within the same
// time.
func TestTLSSilentPeerIsDead(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	w := newTown(t)
	core := w.start(1, secure(t, ca.issue(pki.Core, "core-1")))
	wall := newWall(t, w)
	edge := w.open(1001, nil, secure(t, ca.issue(pki.Edge, "edge-1")))
	edge.tcp.Connect(1)
	edge.waitUp(1)
	core.waitUp(1001)
	wall.cut()
	began := time.Now()
	edge.waitDown(1)
	core.waitDown(1001)
	if took := time.Since(began); took > 4*time.Second { // 1 s on an idle machine, as without TLS
		t.Errorf("found dead after %v", took)
	}
	if edge.log.count("nothing heard for") != 1 {
		t.Error("the log does not say why the peer is down")
	}
	wall.mend()
	edge.waitUp(1)
	core.waitUp(1001)
}

// TestTLSPeerThatTakesNothing stops reading: what waits for it is bounded, and
// it is given up in the same time as without TLS, without a Send that blocks.
func TestTLSPeerThatTakesNothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	w := newTown(t)
	core := w.start(1, secure(t, ca.issue(pki.Core, "core-1")))
	addr, _ := w.resolve(1)
	n, err := pki.Load(ca.issue(pki.Edge, "edge-1"))
	if err != nil {
		t.Fatal(err)
	}
	nc := tls.Client(dialRaw(t, addr), n.Client())
	write(t, nc, link.Hello(1001, 1, "test"))
	core.waitUp(1001)
	began := time.Now()
	batch := make([]byte, 1<<20)
	for core.isUp(1001) {
		if core.Send(1001, batch); time.Since(began) > 4*time.Second {
			t.Fatal("a peer that takes nothing is still up")
		}
	}
}

func TestTLSSlowHandshakeEnds(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	dir := ca.issue(pki.Core, "core-1")
	for name, first := range map[string][]byte{
		"within TLS":   {22, 3, 1, 2, 0, 1},
		"nothing":      {},
		"a plain word": []byte("gwl"),
	} {
		w := newTown(t)
		core := w.start(1, secure(t, dir))
		addr, _ := w.resolve(1)
		nc := dialRaw(t, addr)
		write(t, nc, first)
		if _, err := io.ReadAll(nc); err != nil { // the node closes
			t.Fatal(name, err)
		}
		eventually(t, "a refusal: "+name, func() bool { return core.tcp.Stats().Refused == 1 })
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

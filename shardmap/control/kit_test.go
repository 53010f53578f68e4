package control_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/testcert"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/member"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

const secret = "open sesame"

// kit is a control group with its API, in this process over 127.0.0.1.
type kit struct {
	dir      string
	settings fleet.Settings
	peers    []control.Peer
	server   *tls.Config // nil: plain
	client   *tls.Config
	log      *slog.Logger // nil: none
	// carried is the epoch up to which the cores carry out maps; 0: all.
	carried atomic.Uint64

	members map[wire.NodeID]*running
}

type running struct {
	*control.Control
	api *control.API
}

// newKit starts n members. The first map is made when cores nodes have joined.
func newKit(t *testing.T, n, cores int, secured bool) *kit {
	t.Helper()
	k := &kit{dir: t.TempDir(), settings: fleet.Settings{Shards: 4, Replicas: 3, Cores: cores}, members: map[wire.NodeID]*running{}}
	if secured {
		k.secure(t)
	}
	var rafts, apis []net.Listener
	for i := range n {
		rafts, apis = append(rafts, listen(t, "127.0.0.1:0")), append(apis, listen(t, "127.0.0.1:0"))
		k.peers = append(k.peers, control.Peer{ID: wire.NodeID(i + 1), Addr: rafts[i].Addr().String(), API: apis[i].Addr().String()})
	}
	for i := range n {
		k.open(t, k.peers[i].ID, rafts[i], apis[i])
	}
	return k
}

// secure makes certificates: each side has one and asks for the other's.
func (k *kit) secure(t *testing.T) {
	t.Helper()
	c := testcert.New(t)
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := c.Trust().RootCAs
	k.server = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	k.client = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (k *kit) open(t *testing.T, id wire.NodeID, raft, calls net.Listener) {
	t.Helper()
	c, err := control.Open(control.Config{
		Dir: filepath.Join(k.dir, fmt.Sprint(id)), ID: id, Listener: raft, Bootstrap: k.peers, Fleet: &k.settings, Log: k.log,
		TLS: control.TLS{Server: k.server, Client: k.client},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Serve(control.APIConfig{Listener: calls, TLS: k.server, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{c, a}
	k.members[id] = r
	t.Cleanup(func() { a.Close(); c.Close() })
}

// start opens a stopped member at its old addresses.
func (k *kit) start(t *testing.T, id wire.NodeID) {
	t.Helper()
	k.open(t, id, listen(t, k.peers[id-1].Addr), listen(t, k.peers[id-1].API))
}

// kill ends a member without a goodbye.
func (k *kit) kill(t *testing.T, id wire.NodeID) {
	t.Helper()
	r := k.members[id]
	delete(k.members, id)
	if err := control.Kill(r.Control); err != nil {
		t.Fatal(err)
	}
	if err := r.api.Close(); err != nil {
		t.Fatal(err)
	}
}

// leader waits until a member leads and answers, and returns its id.
func (k *kit) leader(t *testing.T) wire.NodeID {
	t.Helper()
	f, err := k.caller(t).Fleet(within(t))
	for err == nil && f.Leader == "" {
		f, err = k.caller(t).Fleet(within(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return k.peers[slices.IndexFunc(k.peers, func(p control.Peer) bool { return p.API == f.Leader })].ID
}

func (k *kit) addrs() []string {
	var list []string
	for _, p := range k.peers {
		list = append(list, p.API)
	}
	return list
}

// caller is a client of the whole group.
func (k *kit) caller(t *testing.T) *api.Client {
	t.Helper()
	c := api.NewClient(api.ClientConfig{Addrs: k.addrs(), Secret: secret, TLS: k.client})
	t.Cleanup(c.Close)
	return c
}

// core is a core node without a core: it reports of each shard that the map
// gives it what a node would that has carried out the map at once.
type core struct {
	*member.Member
	name string
}

func (k *kit) coreConfig(t *testing.T, name string) member.Config {
	t.Helper()
	w := new(watch.Watcher)
	cfg := member.Config{Dir: filepath.Join(k.dir, name), Role: fleet.Core, Name: name, Control: k.addrs(), Secret: secret, TLS: k.client,
		Watcher: w, Versions: fleet.Versions{Program: "test", Wire: 1, Store: 1},
		Addrs: func() fleet.Addrs { return fleet.Addrs{Link: name + ".example:1", Raft: name + ".example:2"} }}
	return cfg
}

// core starts a node and waits until control has heard of it.
func (k *kit) core(t *testing.T, name string) *core {
	t.Helper()
	cfg := k.coreConfig(t, name)
	var mu sync.Mutex
	var self wire.NodeID
	var carried *shardmap.Map
	cfg.Report = func() fleet.Report {
		mu.Lock()
		defer mu.Unlock()
		limit := k.carried.Load()
		if m := cfg.Watcher.Current(); m != nil && (limit == 0 || m.Epoch() <= limit) {
			carried = m
		}
		return obedient(carried, self)
	}
	m, err := member.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	self = m.ID()
	mu.Unlock()
	m.Kick()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // a change of membership is reported at once
		defer close(done)
		for epoch := uint64(0); ; {
			next, err := cfg.Watcher.Wait(ctx, epoch)
			if err != nil {
				return
			}
			epoch = next.Epoch()
			m.Kick()
		}
	}()
	t.Cleanup(func() { stop(); <-done; m.Close() })
	calls := k.caller(t)
	until(t, name+" has reported", func() bool {
		f, err := calls.Fleet(within(t))
		return err == nil && slices.ContainsFunc(f.Nodes, func(n api.Node) bool { return n.Name == name && n.Alive })
	})
	return &core{m, name}
}

// obedient is the report of a node on which Raft is as the map wants it.
func obedient(m *shardmap.Map, self wire.NodeID) fleet.Report {
	r := fleet.Report{Ready: true}
	if m == nil {
		return r
	}
	r.Epoch = m.Epoch()
	for _, id := range m.ShardsOn(self) {
		s := fleet.ShardReport{Shard: id, Leader: m.Replicas(id)[0], Term: 2, Applied: 100, Bytes: 1 << 20}
		if s.Leads = s.Leader == self; s.Leads {
			s.Voters, s.Learners, s.Config = m.Replicas(id), m.Learners(id), m.Epoch()
		}
		r.Shards = append(r.Shards, s)
	}
	return r
}

// until waits for a condition that something else brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

// problem is what a member answered, without a client that would go on.
type problem struct {
	status int
	code   fault.Code
	leader string
}

func (k *kit) get(t *testing.T, addr, path, secret string) problem {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var p api.Problem
	if resp.StatusCode >= 400 {
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
	}
	return problem{resp.StatusCode, p.Code, p.Leader}
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

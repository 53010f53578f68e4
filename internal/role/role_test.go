package role_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/internal/role"
	"github.com/godwit-im/godwit/internal/testbin"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

const secret = "a join secret of some length"

// running is one process of a fleet, inside the test.
type running struct {
	fleet.Addrs
	cfg  role.Config
	run  func(context.Context, role.Config) error
	stop func() error // waits for Run; again is harmless
	out  *bytes.Buffer
	log  *testbin.Buffer
}

// settings are those of a process that binds ports of its own.
func settings(t *testing.T, r config.Role, name string, control ...string) role.Config {
	c := role.Config{Version: "test"}
	c.Role, c.Name, c.Data, c.Admin = r, name, filepath.Join(t.TempDir(), name), "127.0.0.1:0"
	c.Listen, c.API, c.Raft, c.Link = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.JoinSecret, c.Control, c.Shards, c.Replicas, c.Cores = secret, control, 4, 3, 3
	c.MaxContent, c.Heartbeat = 64<<10, 30*time.Second
	return c
}

// begin runs a process without waiting for it.
func begin(t *testing.T, run func(context.Context, role.Config) error, cfg role.Config) (r *running, started <-chan fleet.Addrs, done <-chan error) {
	t.Helper()
	r = &running{cfg: cfg, run: run, out: &bytes.Buffer{}, log: &testbin.Buffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	up, end := make(chan fleet.Addrs, 1), make(chan error, 1)
	cfg.Out, cfg.Log, cfg.Started = r.out, slog.New(slog.NewTextHandler(r.log, nil)), func(a fleet.Addrs) { up <- a }
	go func() { end <- run(ctx, cfg) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-end })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("%s: %v", cfg.Name, err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", cfg.Name, r.log)
		}
	})
	return r, up, end
}

// wait waits until the process has started.
func (r *running) wait(t *testing.T, started <-chan fleet.Addrs) *running {
	t.Helper()
	select {
	case r.Addrs = <-started:
	case <-time.After(time.Minute):
		t.Fatalf("%s has not started; its log:\n%s", r.cfg.Name, r.log)
	}
	return r
}

// again starts the process on its data, at its addresses.
func (r *running) again(t *testing.T) *running {
	t.Helper()
	cfg := r.cfg
	for to, addr := range map[*string]string{&cfg.Listen: r.Public, &cfg.API: r.API, &cfg.Raft: r.Raft, &cfg.Link: r.Link} {
		if addr != "" {
			*to = addr
		}
	}
	next, up, _ := begin(t, r.run, cfg)
	return next.wait(t, up)
}

// small is a fleet of one control member, three cores and one edge.
type small struct {
	control, edge *running
	cores         []*running
	ask           *api.Client
}

func start(t *testing.T) *small {
	t.Helper()
	c, up, _ := begin(t, role.Control, settings(t, config.Control, "control-1"))
	f := &small{control: c.wait(t, up)}
	f.ask = api.NewClient(api.ClientConfig{Addrs: []string{f.control.API}, Secret: secret})
	t.Cleanup(f.ask.Close)
	// No core starts before all have joined: the first map is of all three.
	var ups []<-chan fleet.Addrs
	for i := range 3 {
		r, up, _ := begin(t, role.Core, settings(t, config.Core, fmt.Sprintf("core-%d", i+1), f.control.API))
		f.cores, ups = append(f.cores, r), append(ups, up)
	}
	for i, r := range f.cores {
		r.wait(t, ups[i])
	}
	e, up, _ := begin(t, role.Edge, settings(t, config.Edge, "edge-1", f.control.API))
	f.edge = e.wait(t, up)
	f.ready(t, f.edge)
	return f
}

// ready waits until processes say on their admin addresses that they are.
func (f *small) ready(t *testing.T, all ...*running) {
	t.Helper()
	for _, r := range all {
		until(t, r.cfg.Name+" is ready", func() bool {
			resp, err := http.Get("http://" + r.Admin + "/readyz")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode == http.StatusOK
		})
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func (f *small) connect(t *testing.T, user client.UserID) *client.Client {
	t.Helper()
	url := "http://" + f.edge.Public
	token, _, err := client.DevToken(t.Context(), url, user, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Connect(t.Context(), client.Config{URL: url, Token: token, BackoffMax: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c *client.Client, to client.UserID, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, text := range texts {
		if _, err := c.Send(ctx, client.ToUser(to), []byte(text)); err != nil {
			t.Fatalf("sending %s: %v", text, err)
		}
	}
}

func hear(t *testing.T, c *client.Client, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	for ev := range c.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			if got = append(got, string(m.Content)); len(got) == len(strings.Fields(want)) {
				break
			}
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// leader returns the core that leads the most shards, as it reports.
func (f *small) leader(t *testing.T) *running {
	t.Helper()
	var most *running
	until(t, "a core leads", func() bool {
		v, err := f.ask.Fleet(t.Context())
		if err != nil {
			return false
		}
		leads := 0
		for _, n := range v.Nodes {
			if n.Role == fleet.Core && n.Alive && n.Report != nil && n.Report.Leads > leads {
				leads = n.Report.Leads
				for _, c := range f.cores {
					if c.cfg.Name == n.Name {
						most = c
					}
				}
			}
		}
		return most != nil
	})
	return most
}

// Two users chat through a fleet while it loses its busiest core, while control
// is away, and after everything has started again.
func TestFleetServesWhileItLosesMembers(t *testing.T) {
	f := start(t)
	alice, bob := f.connect(t, "alice"), f.connect(t, "bob")
	say(t, alice, "bob", "a1", "a2")
	hear(t, bob, "a1 a2")

	lost := f.leader(t)
	if err := lost.stop(); err != nil {
		t.Fatal(err)
	}
	say(t, alice, "bob", "b1", "b2")
	hear(t, bob, "b1 b2")
	back := lost.again(t)
	f.ready(t, back)

	if err := f.control.stop(); err != nil {
		t.Fatal(err)
	}
	say(t, alice, "bob", "c1")
	hear(t, bob, "c1")
	// A node that has joined before starts without control.
	if err := f.edge.stop(); err != nil {
		t.Fatal(err)
	}
	f.edge = f.edge.again(t)
	f.ready(t, f.edge)
	say(t, alice, "bob", "d1")
	hear(t, bob, "d1")
	f.control = f.control.again(t)
	f.ready(t, f.control)
	until(t, "every node reports again", func() bool {
		v, err := f.ask.Fleet(t.Context())
		if err != nil {
			return false
		}
		alive := 0
		for _, n := range v.Nodes {
			if n.Alive && n.Report != nil && n.Report.Ready {
				alive++
			}
		}
		return alive == 4
	})
}

// A process whose data directory another one has, or that lacks the secret, does
// not start.
func TestWhatIsRefused(t *testing.T) {
	c, up, _ := begin(t, role.Control, settings(t, config.Control, "control-1"))
	c.wait(t, up)
	refused := func(name string, run func(context.Context, role.Config) error, cfg role.Config, want fault.Code) {
		t.Helper()
		cfg.Log = slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := run(ctx, cfg); !errors.Is(err, &fault.Error{Code: want}) {
			t.Errorf("%s: %v, want E%d", name, err, want)
		}
	}
	refused("the same directory", role.Control, c.cfg, fault.DataInUse)
	taken := settings(t, config.Control, "control-1")
	taken.API = c.API
	refused("the same address", role.Control, taken, fault.PortTaken)
	wrong := settings(t, config.Core, "core-1", c.API)
	wrong.JoinSecret = hex.EncodeToString([]byte(secret))
	refused("another secret", role.Core, wrong, fault.JoinSecret)
	elsewhere := settings(t, config.Control, "control-1")
	elsewhere.Peers = []config.Peer{{Name: "control-1", Raft: "127.0.0.1:1", API: "127.0.0.1:2"}}
	refused("peers with another address", role.Control, elsewhere, fault.BadValue)
	uncertain := settings(t, config.Edge, "edge-1", c.API)
	uncertain.PKI = filepath.Join(t.TempDir(), "none")
	if err := role.Edge(t.Context(), uncertain); err == nil {
		t.Error("an edge without its certificates started")
	}
}

// A core that waits for control says so, and ends when it is asked to.
func TestWaitingIsSaidAndEnds(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := nobody.Addr().String()
	nobody.Close()
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := settings(t, config.Core, "core-1", addr)
	cfg.Admin = admin.Addr().String()
	admin.Close()
	cfg.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- role.Core(ctx, cfg) }()
	until(t, "it says what it waits for", func() bool {
		resp, err := http.Get("http://" + cfg.Admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(b), "waiting for control")
	})
	cancel()
	if err := <-done; !errors.Is(err, &fault.Error{Code: fault.Interrupted}) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "core")); err == nil {
		t.Error("a core that never joined has opened its data")
	}
}

// With certificates every connection between roles is mutual TLS: a fleet of one
// of each serves, and a node without a certificate of the authority does not get
// in.
func TestFleetWithCertificates(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca")
	if err := pki.Init(ca); err != nil {
		t.Fatal(err)
	}
	secure := func(cfg role.Config, authority string) role.Config {
		cfg.PKI, cfg.Replicas, cfg.Cores = filepath.Join(t.TempDir(), cfg.Name), 1, 1
		if err := pki.Issue(pki.Request{CADir: authority, OutDir: cfg.PKI, Role: string(cfg.Role), Name: cfg.Name, Hosts: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	f := &small{}
	run := func(run func(context.Context, role.Config) error, cfg role.Config) *running {
		r, up, _ := begin(t, run, cfg)
		return r.wait(t, up)
	}
	f.control = run(role.Control, secure(settings(t, config.Control, "control-1"), ca))
	f.cores = append(f.cores, run(role.Core, secure(settings(t, config.Core, "core-1", f.control.API), ca)))
	f.edge = run(role.Edge, secure(settings(t, config.Edge, "edge-1", f.control.API), ca))
	f.ready(t, f.control, f.cores[0], f.edge)
	alice, bob := f.connect(t, "alice"), f.connect(t, "bob")
	say(t, alice, "bob", "hello")
	hear(t, bob, "hello")

	other := filepath.Join(t.TempDir(), "ca")
	if err := pki.Init(other); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]role.Config{
		"no certificate":    settings(t, config.Edge, "edge-2", f.control.API),
		"another authority": secure(settings(t, config.Edge, "edge-3", f.control.API), other),
	} {
		cfg.Log = slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		if err := role.Edge(ctx, cfg); err == nil {
			t.Errorf("an edge with %s got in", name)
		}
		cancel()
	}
	v, err := api.NewClient(api.ClientConfig{Addrs: []string{f.control.API}, Secret: secret}).Fleet(timeout(t, time.Second))
	if err == nil {
		t.Errorf("control answers without TLS: %+v", v)
	}
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

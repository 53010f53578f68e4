package member_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/member"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds every wait; a test that needs it all has failed.
const soon = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	return ctx
}

const cluster = "00000000000000000000000000000001"

// control is a control member that does as it is told: it seats everybody as
// node 9 unless refuse says otherwise. It can go away and come back.
type control struct {
	addr    string
	maps    watch.Watcher
	reports chan fleet.Report // the newest waits

	mu struct {
		sync.Mutex
		server *http.Server
		refuse map[string]*api.Problem // by path
		wish   fleet.Wish
		joins  []api.JoinRequest
		left   []api.LeaveRequest
	}
}

func newControl(t *testing.T) *control {
	t.Helper()
	c := &control{addr: "127.0.0.1:0", reports: make(chan fleet.Report, 1)}
	c.mu.refuse, c.mu.wish = map[string]*api.Problem{}, fleet.Serve
	c.start(t)
	t.Cleanup(c.stop)
	return c
}

func (c *control) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.addr = l.Addr().String()
	s := &http.Server{Handler: c, ReadHeaderTimeout: soon}
	c.mu.Lock()
	c.mu.server = s
	c.mu.Unlock()
	go func() { _ = s.Serve(l) }()
}

func (c *control) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.server.Close()
}

func (c *control) refuse(path string, p *api.Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.refuse[path] = p
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	refuse, wish := c.mu.refuse[r.URL.Path], c.mu.wish
	c.mu.Unlock()
	if refuse != nil {
		refuse.Write(w)
		return
	}
	switch r.URL.Path {
	case api.PathJoin:
		var q api.JoinRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		c.mu.Lock()
		c.mu.joins = append(c.mu.joins, q)
		c.mu.Unlock()
		_ = json.NewEncoder(w).Encode(api.JoinAnswer{Cluster: cluster, ID: 9, Control: []string{c.addr}, Settings: fleet.Settings{Shards: 2}})
	case api.PathReport:
		var rep fleet.Report
		_ = json.NewDecoder(r.Body).Decode(&rep)
		select {
		case <-c.reports:
		default:
		}
		c.reports <- rep
		a := api.ReportAnswer{Wish: wish}
		if m := c.maps.Current(); m != nil {
			a.Epoch = m.Epoch()
		}
		_ = json.NewEncoder(w).Encode(a)
	case api.PathLeave:
		var q api.LeaveRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		c.mu.Lock()
		c.mu.left = append(c.mu.left, q)
		c.mu.Unlock()
	case api.PathMap:
		after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
		if m, err := c.maps.Wait(r.Context(), after); err == nil {
			_, _ = w.Write(m.Encode())
		}
	}
}

func mapOf(t *testing.T, epoch uint64) *shardmap.Map {
	t.Helper()
	m, err := shardmap.New(shardmap.Draft{
		Epoch: epoch, Slots: shardmap.SpreadSlots(2), Replicas: [][]wire.NodeID{{1}, {1}}, Nodes: []shardmap.Node{{ID: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// config is that of core-1 in dir.
func config(dir string, c *control) member.Config {
	return member.Config{Dir: dir, Role: fleet.Core, Name: "core-1", Control: []string{c.addr}, Secret: "sesame",
		Addrs: func() fleet.Addrs { return fleet.Addrs{Link: "10.0.0.1:1", Raft: "10.0.0.1:2"} }}
}

func open(t *testing.T, cfg member.Config) *member.Member {
	t.Helper()
	m, err := member.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// refused opens and returns the error, which must come with code.
func refused(t *testing.T, cfg member.Config, code fault.Code) error {
	t.Helper()
	m, err := member.Open(within(t), cfg)
	if err == nil {
		m.Close()
	}
	if !errors.Is(err, &fault.Error{Code: code}) {
		t.Fatalf("want E%d, got %v", code, err)
	}
	return err
}

func TestIdentityStays(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	m := open(t, config(dir, c))
	if m.ID() != 9 || m.Cluster() != cluster || m.Settings().Shards != 2 {
		t.Fatalf("node %d of %s with %+v", m.ID(), m.Cluster(), m.Settings())
	}
	m.Close()
	info, err := os.Stat(filepath.Join(dir, "node.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("node.json: %v, %v", info, err)
	}
	m = open(t, config(dir, c))
	m.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	first, second := c.mu.joins[0], c.mu.joins[1]
	if first.ID != 0 || first.Cluster != "" || len(first.Identity) != 32 || second.ID != 9 || second.Cluster != cluster || second.Identity != first.Identity {
		t.Errorf("joined as %+v, then as %+v", first, second)
	}
	if first.Instance == second.Instance || len(first.Instance) != 32 {
		t.Errorf("instances %q and %q", first.Instance, second.Instance)
	}
	if len(c.mu.left) != 2 || c.mu.left[0].Instance != first.Instance || c.mu.left[0].ID != 9 {
		t.Errorf("it left with %+v", c.mu.left)
	}
}

// A crash between the join and what is written after it must not make two nodes
// of one.
func TestIdentityIsOnTheDiskBeforeControlHearsOfIt(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	c.refuse(api.PathJoin, api.ProblemOf(fault.New(fault.JoinSecret, "")))
	refused(t, config(dir, c), fault.JoinSecret)
	b, err := os.ReadFile(filepath.Join(dir, "node.json"))
	if err != nil {
		t.Fatal(err)
	}
	c.refuse(api.PathJoin, nil)
	open(t, config(dir, c)).Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(string(b), c.mu.joins[0].Identity) {
		t.Errorf("the disk held %s, and it joined as %s", b, c.mu.joins[0].Identity)
	}
}

func TestDirectoryOfAnother(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	open(t, config(dir, c)).Close()

	edge := config(dir, c)
	edge.Role = fleet.Edge
	err := refused(t, edge, fault.OtherRole)
	if !strings.Contains(err.Error(), `core "core-1"`) || fault.Exit(err) != fault.ExitData {
		t.Errorf("%v", err)
	}
	renamed := config(dir, c)
	renamed.Name = "core-2"
	refused(t, renamed, fault.OtherRole)

	path := filepath.Join(dir, "node.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"other fleet":  strings.Replace(string(b), cluster, strings.Repeat("f", 32), 1),
		"other number": strings.Replace(string(b), `"id": 9`, `"id": 8`, 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil || text == string(b) {
			t.Fatal(name, err)
		}
		refused(t, config(dir, c), fault.OtherCluster)
	}
	for _, text := range []string{"", "{", "{}", string(b[:len(b)/2]), strings.Replace(string(b), `"id": 9`, `"id": 0`, 1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, config(dir, c), fault.NodeFileBroken)
	}
}

func TestWorksThroughAnOutage(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	c.maps.Publish(mapOf(t, 3))
	m := open(t, config(dir, c))
	if got, err := m.Watcher().Wait(within(t), 0); err != nil || got.Epoch() != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	// That it is on the disk shows in the file.
	kept := watch.File{Path: filepath.Join(dir, "shardmap.bin")}
	until(t, "the map is kept", func() bool { got, err := kept.Load(); return err == nil && got != nil && got.Epoch() == 3 })
	c.stop()
	m.Close()

	m = open(t, config(dir, c)) // nobody is there
	if m.ID() != 9 || m.Cluster() != cluster || m.Watcher().Current().Epoch() != 3 {
		t.Fatalf("without control it is node %d of %q with %v", m.ID(), m.Cluster(), m.Watcher().Current())
	}
	c.maps.Publish(mapOf(t, 4))
	c.start(t)
	m.Kick()
	if got, err := m.Watcher().Wait(within(t), 3); err != nil || got.Epoch() != 4 {
		t.Fatalf("after the outage: %v, %v", got, err)
	}
	until(t, "it reports again with the new map", func() bool { return (<-c.reports).Epoch == 4 })
	if m.Settings().Shards != 2 {
		t.Fatal("it reports and has not joined")
	}
}

// until waits for a condition that something else brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

func TestANodeWithoutAMapWaitsForControl(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	open(t, config(dir, c)).Close() // joined, no map yet
	c.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if m, err := member.Open(ctx, config(dir, c)); !errors.Is(err, &fault.Error{Code: fault.NoControl}) {
		t.Fatalf("%v, %v", m, err)
	}
}

func TestADamagedMapIsFetchedAgain(t *testing.T) {
	c, dir := newControl(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shardmap.bin"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.maps.Publish(mapOf(t, 2))
	m := open(t, config(dir, c))
	if got, err := m.Watcher().Wait(within(t), 0); err != nil || got.Epoch() != 2 {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestReportsAndHearsWishes(t *testing.T) {
	c := newControl(t)
	cfg := config(t.TempDir(), c)
	cfg.Report = func() fleet.Report { return fleet.Report{Ready: true, Sessions: 42, ID: 77, Instance: "mine"} }
	m := open(t, cfg)
	r := <-c.reports
	if r.ID != 9 || len(r.Identity) != 32 || len(r.Instance) != 32 || r.Sessions != 42 || !r.Ready || r.ClockMS == 0 {
		t.Fatalf("reported %+v", r)
	}
	c.mu.Lock()
	c.mu.wish = fleet.Drain
	c.mu.Unlock()
	m.Kick()
	until(t, "it knows the wish", func() bool { return m.Wish() == fleet.Drain })
}

func TestAKickDoesNotWaitForTheSecond(t *testing.T) {
	c := newControl(t)
	m := open(t, config(t.TempDir(), c))
	start := time.Now()
	for range 20 {
		<-c.reports
		m.Kick()
	}
	<-c.reports
	// Twenty reports take twenty seconds when the pace is the ticker's.
	if took := time.Since(start); took > 10*time.Second {
		t.Fatalf("20 kicks took %v", took)
	}
}

func TestRefusedForGoodEndsTheNode(t *testing.T) {
	for _, code := range []fault.Code{fault.TwoInstances, fault.UnknownNode, fault.NameTaken} {
		c := newControl(t)
		m := open(t, config(t.TempDir(), c))
		c.refuse(api.PathReport, api.ProblemOf(fault.New(code, "node 9")))
		m.Kick()
		select {
		case err := <-m.Failed():
			if !errors.Is(err, &fault.Error{Code: code}) {
				t.Fatalf("failed with %v", err)
			}
		case <-within(t).Done():
			t.Fatalf("E%d does not end the node", code)
		}
		m.Close()
	}
}

// What somebody mends while the node serves must not end it.
func TestOtherRefusalsDoNot(t *testing.T) {
	c := newControl(t)
	m := open(t, config(t.TempDir(), c))
	for _, p := range []*api.Problem{
		api.ProblemOf(fault.New(fault.JoinSecret, "")), api.ProblemOf(fault.New(fault.OldMap, "")), api.ProblemOf(fault.New(fault.ClockOff, "")),
		api.ProblemOf(fault.New(fault.TwoInstances, "waiting")).Again(),
	} {
		c.refuse(api.PathReport, p)
		m.Kick()
		m.Kick()
	}
	c.refuse(api.PathReport, nil)
	<-c.reports // the one from before
	m.Kick()
	<-c.reports
	select {
	case err := <-m.Failed():
		t.Fatal(err)
	default:
	}
}

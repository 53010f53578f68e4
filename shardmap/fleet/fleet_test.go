package fleet_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// three is a fleet of three cores with a map, whose nodes 1, 2 and 3 are "a",
// "b" and "c".
func three(t *testing.T) *world {
	w := newWorld(fleet.Settings{Shards: 2, Replicas: 3, Cores: 3}, func(string, int) bool { return true })
	for _, name := range []string{"a", "b", "c"} {
		if _, err := w.join(name, "", false); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		w.tick()
		w.control(3)
	}
	if w.state.Map == nil || len(w.broken) > 0 {
		t.Fatalf("no map: %v", w.broken)
	}
	return w
}

func newcomer(name string) *fleet.Node {
	return &fleet.Node{Name: name, Role: fleet.Core, Identity: hex("f", 1), Versions: fleet.Versions{Wire: 1, Store: 1}}
}

func TestApplyRefuses(t *testing.T) {
	w := three(t)
	edit := func(n *fleet.Node, change func(*fleet.Node)) *fleet.Node { change(n); return n }
	old := w.state.Map.Encode()
	ahead := w.state.Map.Draft()
	ahead.Epoch += 5
	future, err := shardmap.New(ahead)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		command fleet.Command
		kind    error
		says    string
	}{
		"another fleet":        {fleet.Command{Kind: fleet.Create, Cluster: hex("d", 9)}, fleet.ErrCreated, "join it instead"},
		"bad name":             {fleet.Command{Kind: fleet.Join, Node: newcomer("A b")}, fleet.ErrInvalid, "want 1 to 64 of a-z"},
		"bad role":             {fleet.Command{Kind: fleet.Join, Node: edit(newcomer("x"), func(n *fleet.Node) { n.Role = "boss" })}, fleet.ErrInvalid, "role"},
		"no node":              {fleet.Command{Kind: fleet.Join}, fleet.ErrInvalid, "no node"},
		"name taken":           {fleet.Command{Kind: fleet.Join, Node: newcomer("a")}, fleet.ErrNameTaken, "--replace"},
		"name of another role": {fleet.Command{Kind: fleet.Join, Replace: true, Node: edit(newcomer("a"), func(n *fleet.Node) { n.Role = fleet.Edge })}, fleet.ErrNameTaken, "another name"},
		"renamed":              {fleet.Command{Kind: fleet.Join, Node: edit(newcomer("z"), func(n *fleet.Node) { n.Identity = hex("d", 1) })}, fleet.ErrIdentity, `start it as "a"`},
		"forgotten":            {fleet.Command{Kind: fleet.Join, Node: edit(newcomer("z"), func(n *fleet.Node) { n.ID = 77 })}, fleet.ErrLeft, "empty data directory"},
		"two versions ahead":   {fleet.Command{Kind: fleet.Join, Node: edit(newcomer("z"), func(n *fleet.Node) { n.Versions.Wire = 3 })}, fleet.ErrVersions, "one version at a time"},
		"two versions behind":  {fleet.Command{Kind: fleet.UpdateNode, Node: &fleet.Node{ID: 1, Versions: fleet.Versions{Wire: 1, Store: 9}}}, fleet.ErrVersions, "of data"},
		"wish of nobody":       {fleet.Command{Kind: fleet.SetWish, Node: &fleet.Node{ID: 9, Wish: fleet.Drain}}, fleet.ErrUnknownNode, "node 9"},
		"unknown wish":         {fleet.Command{Kind: fleet.SetWish, Node: &fleet.Node{ID: 1, Wish: "sleep"}}, fleet.ErrInvalid, "want serve, drain or leave"},
		"too few stay":         {fleet.Command{Kind: fleet.SetWish, Node: &fleet.Node{ID: 1, Wish: fleet.Leave}}, fleet.ErrTooFew, "shard 1, 2"},
		"forget a holder":      {fleet.Command{Kind: fleet.Forget, Node: &fleet.Node{ID: 1}}, fleet.ErrHolds, "shard 1, 2"},
		"map from the past":    {fleet.Command{Kind: fleet.SetMap, Map: old}, fleet.ErrEpoch, "the current map has"},
		"map from the future":  {fleet.Command{Kind: fleet.SetMap, Map: future.Encode()}, fleet.ErrEpoch, "plan again"},
		"no map":               {fleet.Command{Kind: fleet.SetMap, Map: []byte("map")}, fleet.ErrInvalid, ""},
		"nothing to plan":      {fleet.Command{Kind: fleet.StartPlan}, fleet.ErrInvalid, "without moves"},
		"plan to nobody":       {fleet.Command{Kind: fleet.StartPlan, Moves: []place.Move{{Shard: 1, From: 1, To: 9}}}, fleet.ErrStalePlan, "node 9"},
		"plan from elsewhere":  {fleet.Command{Kind: fleet.StartPlan, Moves: []place.Move{{Shard: 1, From: 1, To: 2}}}, fleet.ErrStalePlan, "the replicas are"},
		"plan of no shard":     {fleet.Command{Kind: fleet.StartPlan, Moves: []place.Move{{Shard: 7, From: 1}}}, fleet.ErrStalePlan, "no such shard"},
		"plan for the last":    {fleet.Command{Kind: fleet.StartPlan, Moves: []place.Move{{Shard: 1, From: 1}, {Shard: 1, From: 2}, {Shard: 1, From: 3}}}, fleet.ErrStalePlan, "0 replicas"},
		"pause nothing":        {fleet.Command{Kind: fleet.Pause}, fleet.ErrNoPlan, "see"},
		"finish nothing":       {fleet.Command{Kind: fleet.FinishMove, Move: &place.Move{Shard: 1}}, fleet.ErrNoPlan, ""},
	} {
		before := w.state.Encode()
		_, err := fleet.Apply(w.state, tt.command)
		if !errors.Is(err, tt.kind) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: %v; want %v that says %q", name, err, tt.kind, tt.says)
		}
		if !bytes.Equal(before, w.state.Encode()) {
			t.Errorf("%s: was refused and changed the state", name)
		}
	}
	if _, err := fleet.Apply(new(fleet.State), fleet.Command{Kind: fleet.Pause}); !errors.Is(err, fleet.ErrNotCreated) {
		t.Errorf("before Create: %v", err)
	}
}

// A node that joins again is itself, wherever it listens now; the map follows.
func TestRejoin(t *testing.T) {
	w := three(t)
	n, _ := w.state.Node(2)
	n.Addrs.Link, n.Wish = "elsewhere:9", ""
	a, err := w.do(fleet.Command{Kind: fleet.Join, Node: &n})
	if err != nil || a.ID != 2 {
		t.Fatalf("node %d, %v", a.ID, err)
	}
	w.control(5)
	if m, _ := w.state.Map.Node(2); m.LinkAddr != "elsewhere:9" {
		t.Errorf("the map has node 2 at %q", m.LinkAddr)
	}
	if n, _ := w.state.Node(2); n.Wish != fleet.Serve {
		t.Errorf("wish %q", n.Wish)
	}
}

func TestJudge(t *testing.T) {
	w := three(t)
	good := w.report(w.core("a"))
	for name, tt := range map[string]struct {
		change func(*fleet.Report)
		after  wire.Millis // of silence
		kind   error
	}{
		"fine":                        {func(*fleet.Report) {}, 0, nil},
		"nobody":                      {func(r *fleet.Report) { r.ID = 9 }, 0, fleet.ErrUnknownNode},
		"another's identity":          {func(r *fleet.Report) { r.Identity = hex("a", 9) }, 0, fleet.ErrIdentity},
		"5 s ahead":                   {func(r *fleet.Report) { r.ClockMS += 5000 }, 0, nil},
		"more ahead":                  {func(r *fleet.Report) { r.ClockMS += 5001 }, 0, fleet.ErrClock},
		"behind":                      {func(r *fleet.Report) { r.ClockMS -= 5001 }, 0, fleet.ErrClock},
		"a second process":            {func(r *fleet.Report) { r.Instance = hex("b", 1) }, 1000, fleet.ErrTwoInstances},
		"a process after the first":   {func(r *fleet.Report) { r.Instance = hex("b", 1) }, fleet.TakeOver, nil},
		"a map that control lost":     {func(r *fleet.Report) { r.Epoch = 99 }, 0, fleet.ErrEpoch},
		"a map that is a little late": {func(r *fleet.Report) { r.Epoch = 1 }, 0, nil},
	} {
		rep := good
		rep.ClockMS += tt.after
		tt.change(&rep)
		err := fleet.Judge(rep, w.state, w.reports, w.now+tt.after)
		if !errors.Is(err, tt.kind) || tt.kind == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.kind)
		}
	}
}

// Of two processes with one identity the one that came last goes on.
func TestTakeOver(t *testing.T) {
	w := three(t)
	first := w.report(w.core("a"))
	second := first
	second.Instance = hex("b", 2)
	take := func(r fleet.Report) error { r.ClockMS = w.now; return w.reports.Take(w.state, r, w.now) }
	var refused *fleet.Refusal
	w.now += 500
	if err := take(second); !errors.As(err, &refused) || refused.Retry <= 0 {
		t.Fatalf("beside a live process: %v, want a refusal that is worth another try", err)
	}
	w.now += fleet.TakeOver
	if err := take(second); err != nil {
		t.Fatalf("after its silence: %v", err)
	}
	if err := take(first); !errors.As(err, &refused) || refused.Retry != 0 {
		t.Fatalf("the process that was silent: %v, want a refusal for good", err)
	}
	w.reports.Leave(1, second.Instance)
	third := first
	third.Instance = hex("b", 3)
	if w.reports.Alive(1, w.now) {
		t.Error("alive after it left")
	}
	if err := take(third); err != nil || !w.reports.Alive(1, w.now) {
		t.Errorf("after one that ended in good order: %v", err)
	}
}

func TestJudgeJoin(t *testing.T) {
	w := three(t)
	n := newcomer("d")
	judge := func(clock wire.Millis) error {
		return fleet.JudgeJoin(fleet.Command{Kind: fleet.Join, Node: n}, hex("e", 7), clock, w.state, w.reports, w.now)
	}
	if err := judge(w.now); err != nil {
		t.Error(err)
	}
	if err := judge(w.now - 6000); !errors.Is(err, fleet.ErrClock) {
		t.Errorf("6 s behind: %v", err)
	}
	n.Addrs.Raft = "b:2" // where b's link is
	if err := judge(w.now); !errors.Is(err, fleet.ErrAddressTaken) || !strings.Contains(err.Error(), "--advertise") {
		t.Errorf("at an address that is in use: %v", err)
	}
	w.core("b").alive = false
	for range 12 {
		w.tick()
	}
	if err := judge(w.now); err != nil {
		t.Errorf("at the address of a dead node: %v", err)
	}
	if w.state.NextID != 4 {
		t.Error("a judgement gave out an id")
	}
}

// A new leader has heard of nobody. That is no reason to give anything up.
func TestNewLeaderWaitsALease(t *testing.T) {
	w := three(t)
	if _, err := w.join("d", "", false); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.tick()
		w.control(3)
	}
	if _, err := w.apply(0); err != nil {
		t.Fatal(err)
	}
	w.control(1) // fills d
	w.failover()
	for s := range fleet.Lease / 1000 {
		w.now += 1000
		if cmd, ok := fleet.Step(w.state, w.reports, w.now); ok {
			t.Fatalf("%d s without a report: %s", s+1, line(cmd, w.state))
		}
	}
	w.now++
	if cmd, ok := fleet.Step(w.state, w.reports, w.now); !ok || !strings.Contains(cmd.Why, "given up") {
		t.Errorf("after a lease without a report: %s", cmd.Why)
	}
}

func TestDecode(t *testing.T) {
	w := three(t)
	b := w.state.Encode()
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x20
		if _, err := fleet.Decode(bad); err == nil {
			t.Fatalf("byte %d damaged, and nobody noticed", i)
		}
		if _, err := fleet.Decode(b[:i]); err == nil {
			t.Fatalf("cut to %d bytes, and nobody noticed", i)
		}
	}
	newer := bytes.Clone(b)
	newer[4]++
	if _, err := fleet.Decode(newer); !errors.Is(err, fleet.ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
	clone := w.state.Clone()
	clone.Nodes[0].Wish = fleet.Drain
	if !bytes.Equal(b, w.state.Encode()) {
		t.Error("a clone shares its nodes")
	}
}

func TestDecodeCommand(t *testing.T) {
	good := fleet.Command{Kind: fleet.SetWish, AtMS: 5, Node: &fleet.Node{ID: 3, Wish: fleet.Leave}}
	c, err := fleet.DecodeCommand(good.Encode())
	if err != nil || c.Kind != good.Kind || *c.Node != *good.Node {
		t.Errorf("%+v, %v", c, err)
	}
	for text, kind := range map[string]error{
		"":                                 fleet.ErrCommand,
		"\x01":                             fleet.ErrCommand,
		"\x00{}":                           fleet.ErrCommand,
		"\x01{":                            fleet.ErrCommand,
		"\x02{}":                           fleet.ErrNewer,
		"\x01{\"kind\":\"dance\"}":         fleet.ErrNewer,
		"\x01{\"kind\":\"pause\"}x":        fleet.ErrCommand,
		"\x01{\"kind\":\"pause\",\"b\":1}": fleet.ErrCommand,
	} {
		if _, err := fleet.DecodeCommand([]byte(text)); !errors.Is(err, kind) {
			t.Errorf("%q: %v, want %v", text, err, kind)
		}
	}
}

func FuzzDecode(f *testing.F) {
	w := newWorld(fleet.Settings{Shards: 2, Replicas: 1, Cores: 1}, nil)
	f.Add(w.state.Encode())
	f.Add([]byte("gwfl\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := fleet.Decode(b); err == nil {
			if again, err := fleet.Decode(s.Encode()); err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
				t.Fatalf("does not decode to itself: %v", err)
			}
		}
	})
}

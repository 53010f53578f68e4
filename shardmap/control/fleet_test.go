package control_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/testbin"
	"github.com/godwit-im/godwit/shardmap/control"
	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/member"
	"github.com/godwit-im/godwit/wire"
)

func TestNodesJoinAtOnceAndGetAMap(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secured), func(t *testing.T) {
			k := newKit(t, 3, 3, secured)
			cores := k.cores(t, 3)
			ids := map[wire.NodeID]string{1: "control", 2: "control", 3: "control"}
			for _, c := range cores {
				if other := ids[c.ID()]; other != "" || c.ID() == 0 {
					t.Fatalf("%s and %s are both node %d", c.name, other, c.ID())
				}
				ids[c.ID()] = c.name
				if _, err := c.Watcher().Wait(within(t), 0); err != nil {
					t.Fatal(err)
				}
				if c.Cluster() != cores[0].Cluster() {
					t.Fatal("they are in two fleets")
				}
			}
			k.settled(t, 3)
		})
	}
}

// cores starts core-1 to core-n side by side.
func (k *kit) cores(t *testing.T, n int) []*core {
	t.Helper()
	list := make([]*core, n)
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { list[i] = k.core(t, fmt.Sprintf("core-%d", i+1)) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return list
}

// settled waits until there is no plan, all shards are well, and every one of n
// nodes holds some.
func (k *kit) settled(t *testing.T, n int) *api.Fleet {
	t.Helper()
	c := k.caller(t)
	var f *api.Fleet
	until(t, "the fleet is settled", func() bool {
		var err error
		if f, err = c.Fleet(within(t)); err != nil {
			t.Fatal(err)
		}
		if f.Map == nil || f.Plan != nil || f.Leader == "" {
			return false
		}
		on := map[wire.NodeID]bool{}
		for _, s := range f.Map.Shards {
			for _, id := range s.Replicas {
				on[id] = true
			}
			if s.State != api.ShardOK {
				return false
			}
		}
		return len(on) == n
	})
	return f
}

// Whoever leads the control group is killed at every step of the moves that a
// fourth node brings; they end all the same.
func TestMovesGoOnWhenTheLeaderIsKilledAtEachStep(t *testing.T) {
	k := newKit(t, 3, 3, false)
	k.cores(t, 3)
	first := k.settled(t, 3)
	k.core(t, "core-4")
	c := k.caller(t)
	k.carried.Store(first.Map.Epoch) // from here on a step waits until it is allowed
	spread, err := c.Plan(within(t), api.PlanRequest{Action: api.Apply})
	if err != nil || len(spread.Moves) == 0 || spread.ID == 0 {
		t.Fatalf("%+v, %v", spread, err)
	}
	kills := 0
	for epoch, ended := first.Map.Epoch, false; !ended; kills++ {
		id := k.leader(t)
		k.kill(t, id)
		k.start(t, id)
		until(t, "the next step is taken", func() bool {
			f, err := c.Fleet(within(t))
			if err != nil || f.Leader == "" {
				return false
			}
			if ended = f.Plan == nil; f.Map.Epoch > epoch {
				epoch = f.Map.Epoch
				k.carried.Store(epoch)
				return true
			}
			return ended
		})
	}
	k.carried.Store(0)
	last := k.settled(t, 4)
	t.Logf("epoch %d to %d, %d leaders killed", first.Map.Epoch, last.Map.Epoch, kills)
	// Two moves go side by side, and each has three maps.
	if kills < 4 {
		t.Errorf("only %d kills for %d moves", kills, len(spread.Moves))
	}
	if last.Last == nil || last.Last.Done != len(spread.Moves) {
		t.Errorf("the plan ended as %+v, want %d moves done", last.Last, len(spread.Moves))
	}
	if last.Cluster != first.Cluster {
		t.Errorf("another fleet")
	}
}

func TestOutageOfAllControl(t *testing.T) {
	k := newKit(t, 3, 1, false)
	one := k.core(t, "core-1")
	first, err := one.Watcher().Wait(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	for id := range k.peers {
		k.kill(t, wire.NodeID(id+1))
	}
	if got := one.Watcher().Current(); got == nil || got.Epoch() < first.Epoch() {
		t.Fatalf("without control it has %v", got)
	}
	for id := range k.peers {
		k.start(t, wire.NodeID(id+1))
	}
	two := k.core(t, "core-2")
	until(t, "the node's map names the one that joined", func() bool {
		_, ok := one.Watcher().Current().Node(two.ID())
		return ok
	})
	select {
	case err := <-one.Failed():
		t.Fatal(err)
	default:
	}
}

func TestAPollWakesAtOnce(t *testing.T) {
	k := newKit(t, 1, 1, false)
	k.core(t, "core-1")
	c := k.caller(t)
	m, err := c.Map(within(t), 0, api.MaxWait)
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	k.settled(t, 1)
	lead := k.members[1]
	until(t, "the driver has nothing more to say", func() bool {
		m = lead.Watcher().Current()
		return !slices.ContainsFunc(m.Shards(), func(s wire.ShardID) bool { return len(m.Founders(s)) > 0 })
	})
	type answer struct {
		epoch uint64
		at    time.Time
	}
	got := make(chan answer, 1)
	go func() {
		next, err := c.Map(within(t), m.Epoch(), api.MaxWait)
		if err != nil {
			t.Error(err)
			next = m
		}
		got <- answer{next.Epoch(), time.Now()}
	}()
	until(t, "the poll waits", func() bool { return control.Waiting(lead.api) >= 2 }) // core-1's and ours
	published := make(chan time.Time, 1)                                              // the disk's share is not the poll's
	go func() { _, _ = lead.Watcher().Wait(within(t), m.Epoch()); published <- time.Now() }()
	if err := lead.Propose(within(t), next(m)); err != nil {
		t.Fatal(err)
	}
	a := <-got
	if took := a.at.Sub(<-published); a.epoch <= m.Epoch() || took > 100*time.Millisecond {
		t.Fatalf("epoch %d after %v, want a newer one within 100 ms", a.epoch, took)
	}
}

func TestTooManyPolls(t *testing.T) {
	k := newKit(t, 1, 3, false)
	k.members[1].api.Close()
	l := listen(t, "127.0.0.1:0")
	a, err := k.members[1].Serve(control.APIConfig{Listener: l, Secret: secret, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	k.peers[0].API = l.Addr().String()
	k.awaitLead(t, 1)
	done := make(chan struct{})
	ctx, stop := contextFor(t, soon)
	defer stop()
	go func() { defer close(done); _, _ = k.caller(t).Map(ctx, 0, api.MaxWait) }()
	until(t, "one waits", func() bool { return control.Waiting(a) == 1 })
	resp := k.get(t, l.Addr().String(), api.PathMap+"?after=0&wait=1s", secret)
	if resp.code != fault.TooManyWaiting || resp.status != http.StatusServiceUnavailable {
		t.Fatalf("%+v", resp)
	}
	start := time.Now()
	a.Close() // answers who waits
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("Close waited %v for the polls", took)
	}
	stop() // the client would look for another member
	<-done
}

// awaitLead waits until member id has taken over.
func (k *kit) awaitLead(t *testing.T, id wire.NodeID) {
	t.Helper()
	until(t, "it leads", func() bool { return control.Leading(k.members[id].Control) })
}

func TestFollowersNameTheLeader(t *testing.T) {
	k := newKit(t, 3, 3, false)
	lead := k.leader(t)
	for _, p := range k.peers {
		if p.ID == lead {
			continue
		}
		var got problem
		until(t, "the follower knows who leads", func() bool {
			got = k.get(t, p.API, api.PathMap+"?after=0&wait=0s", secret)
			return got.status == http.StatusMisdirectedRequest
		})
		if got.leader != k.peers[lead-1].API || got.code != fault.NotControlLeader {
			t.Errorf("%+v", got)
		}
	}
}

func TestWrongSecret(t *testing.T) {
	k := newKit(t, 1, 1, false)
	cfg := k.coreConfig(t, "core-1")
	cfg.Secret = secret + "!"
	if _, err := member.Open(within(t), cfg); !errors.Is(err, &fault.Error{Code: fault.JoinSecret}) {
		t.Fatalf("%v", err)
	}
	for _, s := range []string{"", "x", secret[:4]} {
		if got := k.get(t, k.peers[0].API, api.PathFleet, s); got.status != http.StatusUnauthorized {
			t.Errorf("secret %q: %+v", s, got)
		}
	}
}

func TestARefusalIsLoggedOnce(t *testing.T) {
	var out testbin.Buffer
	k := newKit(t, 1, 1, false)
	k.kill(t, 1)
	k.log = slog.New(slog.NewTextHandler(&out, nil))
	k.start(t, 1)
	for range 5 {
		k.get(t, k.peers[0].API, api.PathFleet, "guess")
	}
	if n := strings.Count(out.String(), "E3301"); n != 1 {
		t.Errorf("five calls with a wrong secret are %d lines:\n%s", n, out.String())
	}
	if strings.Contains(out.String(), "guess") || strings.Contains(out.String(), secret) {
		t.Errorf("a secret is in the log:\n%s", out.String())
	}
}

func TestWithoutACertificateNobodyIsHeard(t *testing.T) {
	k := newKit(t, 1, 1, true)
	k.leader(t)
	bare := k.client.Clone()
	bare.Certificates = nil
	c := api.NewClient(api.ClientConfig{Addrs: k.addrs(), Secret: secret, TLS: bare})
	defer c.Close()
	ctx, cancel := contextFor(t, 500*time.Millisecond)
	defer cancel()
	if _, err := c.Fleet(ctx); !errors.Is(err, &fault.Error{Code: fault.NoControl}) {
		t.Fatalf("%v", err)
	}
}

func TestJoinsThatAreRefused(t *testing.T) {
	k := newKit(t, 1, 3, false)
	k.awaitLead(t, 1)
	c := k.caller(t)
	ask := func(change func(*api.JoinRequest)) error {
		q := api.JoinRequest{Name: "core-1", Role: fleet.Core, Identity: strings.Repeat("1", 32), Instance: strings.Repeat("a", 32),
			Addrs: fleet.Addrs{Link: "10.0.0.1:1", Raft: "10.0.0.1:2"}, Versions: fleet.Versions{Program: "x", Wire: 7, Store: 3},
			ClockMS: wire.Millis(time.Now().UnixMilli())}
		change(&q)
		_, err := c.Join(within(t), q)
		return err
	}
	if err := ask(func(*api.JoinRequest) {}); err != nil {
		t.Fatal(err)
	}
	alive := fleet.Report{ID: 2, Identity: strings.Repeat("1", 32), Instance: strings.Repeat("a", 32), ClockMS: wire.Millis(time.Now().UnixMilli())}
	if _, err := c.Report(within(t), alive); err != nil {
		t.Fatal(err)
	}
	two := func(q *api.JoinRequest) {
		q.Name, q.Identity, q.Addrs = "core-2", strings.Repeat("2", 32), fleet.Addrs{Link: "10.0.0.2:1", Raft: "10.0.0.2:2"}
	}
	for name, x := range map[string]struct {
		code   fault.Code
		change func(*api.JoinRequest)
	}{
		"again":          {0, func(*api.JoinRequest) {}},
		"clock":          {fault.ClockOff, func(q *api.JoinRequest) { two(q); q.ClockMS += 6_000 }},
		"clock behind":   {fault.ClockOff, func(q *api.JoinRequest) { two(q); q.ClockMS -= 6_000 }},
		"wiped disk":     {fault.NameTaken, func(q *api.JoinRequest) { two(q); q.Name = "core-1" }},
		"same address":   {fault.AddressInUse, func(q *api.JoinRequest) { two(q); q.Addrs.Link = "10.0.0.1:1" }},
		"other fleet":    {fault.OtherCluster, func(q *api.JoinRequest) { q.Cluster = strings.Repeat("9", 32) }},
		"forgotten":      {fault.UnknownNode, func(q *api.JoinRequest) { two(q); q.ID = 77 }},
		"no role":        {fault.BadControlCall, func(q *api.JoinRequest) { two(q); q.Role = "cook" }},
		"far version":    {fault.VersionGap, func(q *api.JoinRequest) { two(q); q.Versions.Store = 9 }},
		"copied, name 2": {fault.IdentityTaken, func(q *api.JoinRequest) { two(q); q.Identity = strings.Repeat("1", 32) }},
	} {
		err := ask(x.change)
		if x.code == 0 && err == nil {
			continue
		}
		if !errors.Is(err, &fault.Error{Code: x.code}) {
			t.Errorf("%s: want E%d, got %v", name, x.code, err)
		}
	}
}

func TestASecondProcessOfANode(t *testing.T) {
	k := newKit(t, 1, 3, false)
	one := k.core(t, "core-1")
	cfg := k.coreConfig(t, "core-1") // the same directory, as a copy of it would be
	if m, err := member.Open(within(t), cfg); !errors.Is(err, &fault.Error{Code: fault.TwoInstances}) {
		if err == nil {
			m.Close()
		}
		t.Fatalf("%v", err)
	}
	select {
	case err := <-one.Failed():
		t.Fatalf("the first process was stopped: %v", err)
	default:
	}
	one.Close() // and after its goodbye the second is let in
	m, err := member.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID() != one.ID() {
		t.Errorf("node %d came back as %d", one.ID(), m.ID())
	}
	m.Close()
}

func TestOldMapsAreNotTaken(t *testing.T) {
	k := newKit(t, 1, 1, false)
	k.core(t, "core-1")
	epoch := k.settled(t, 1).Map.Epoch
	_, err := k.caller(t).Map(within(t), epoch+100, time.Second)
	if !errors.Is(err, &fault.Error{Code: fault.OldMap}) {
		t.Fatalf("%v", err)
	}
}

func TestDrainDecommissionForget(t *testing.T) {
	k := newKit(t, 1, 4, false)
	cores := k.cores(t, 4)
	k.settled(t, len(cores))
	c := k.caller(t)
	dry, err := c.Wish(within(t), "core-4", api.WishRequest{Wish: fleet.Leave, DryRun: true})
	if err != nil || len(dry.Moves) == 0 || dry.ID != cores[3].ID() {
		t.Fatalf("%+v, %v", dry, err)
	}
	if err := c.Forget(within(t), "core-4"); !errors.Is(err, &fault.Error{Code: fault.NodeHolds}) {
		t.Fatalf("forget a node that serves: %v", err)
	}
	if _, err := c.Wish(within(t), "core-9", api.WishRequest{Wish: fleet.Leave}); !errors.Is(err, &fault.Error{Code: fault.UnknownNode}) {
		t.Fatalf("%v", err)
	}
	if _, err := c.Wish(within(t), fmt.Sprint(cores[3].ID()), api.WishRequest{Wish: fleet.Leave}); err != nil {
		t.Fatal(err)
	}
	k.settled(t, 3)
	select { // it is forgotten when it holds nothing, and its process ends
	case err := <-cores[3].Failed():
		if !errors.Is(err, &fault.Error{Code: fault.UnknownNode}) || cores[3].Wish() != fleet.Leave {
			t.Errorf("it ended with %v, wished to %s", err, cores[3].Wish())
		}
	case <-within(t).Done():
		t.Fatal("a node that was removed goes on")
	}
	if _, err := c.Wish(within(t), "core-3", api.WishRequest{Wish: fleet.Leave}); !errors.Is(err, &fault.Error{Code: fault.TooFewNodes}) {
		t.Fatalf("two nodes for three replicas: %v", err)
	}
	if _, err := c.Plan(within(t), api.PlanRequest{Action: api.Preview}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Plan(within(t), api.PlanRequest{Action: "dance"}); !errors.Is(err, &fault.Error{Code: fault.BadControlCall}) {
		t.Fatalf("%v", err)
	}
	if _, err := c.Plan(within(t), api.PlanRequest{Action: api.Pause}); !errors.Is(err, &fault.Error{Code: fault.PlanState}) {
		t.Fatalf("%v", err)
	}
}

package swarm_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/serve"
	"github.com/godwit-im/godwit/loadgen/swarm"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// startServer runs a server inside the test and returns its public address.
func startServer(t *testing.T) string {
	t.Helper()
	started, done := make(chan serve.Addresses, 1), make(chan error, 1)
	cfg := serve.Config{
		Server: config.Server{Data: t.TempDir(), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Shards: 2,
			MaxContent: 64 << 10, Heartbeat: 30 * time.Second},
		Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Out: io.Discard, Started: func(a serve.Addresses) { started <- a },
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- serve.Run(ctx, cfg) }()
	select {
	case a := <-started:
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return a.Public
	case err := <-done:
		cancel()
		t.Fatalf("the server did not start: %v", err)
		return ""
	}
}

// options of a short run whose tokens come from server and whose connections
// go to addr.
func options(server, addr string) swarm.Options {
	return swarm.Options{
		URL: "ws://" + addr + "/ws",
		Token: func(ctx context.Context, u wire.UserID) (string, error) {
			token, _, err := client.DevToken(ctx, "http://"+server, u, "")
			return token, err
		},
		Work: workload.Plan{Run: "t", Pairs: 4, Rate: 400, Size: 64},
		For:  500 * time.Millisecond,
	}
}

// connect opens a swarm that the test closes.
func connect(t *testing.T, opt swarm.Options) *swarm.Swarm {
	t.Helper()
	s := swarm.New(opt)
	t.Cleanup(s.Close)
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCleanRun(t *testing.T) {
	addr := startServer(t)
	for name, change := range map[string]func(*swarm.Options){
		"open loop":   func(o *swarm.Options) { o.Work.Run = "open"; o.Idle = 3 },
		"closed loop": func(o *swarm.Options) { o.Work.Run = "closed"; o.Work.Rate = 0 },
		"groups":      func(o *swarm.Options) { o.Work.Run = "groups"; o.Work.Groups, o.Work.GroupSize = 3, 5 },
		"groups, closed loop": func(o *swarm.Options) {
			o.Work.Run, o.Work.Rate, o.Work.Pairs = "closedgroups", 0, 0
			o.Work.Groups, o.Work.GroupSize = 2, 3
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt := options(addr, addr)
			change(&opt)
			s := connect(t, opt)
			if n := s.Count.Online.Load(); n != int64(opt.Work.Users()+opt.Idle) {
				t.Errorf("%d users are online", n)
			}
			s.Send(t.Context())
			v, c := s.Check.Finish(), &s.Count
			if !v.OK() || v.Unanswered != 0 || v.Seen != v.Acked || v.Acked == 0 {
				t.Errorf("verdict: %+v", v)
			}
			if want := uint64(opt.Work.Rate * opt.For.Seconds()); want != 0 && v.Acked != want {
				t.Errorf("%d messages were sent, %d were due", v.Acked, want)
			}
			if c.Sent.Load() != v.Acked || c.Acked.Load() != v.Acked || c.Resent.Load()+c.Disconnects.Load()+c.Errors.Load() != 0 {
				t.Errorf("sent %d, acked %d, resent %d, disconnects %d, errors %d; verdict %+v", c.Sent.Load(), c.Acked.Load(),
					c.Resent.Load(), c.Disconnects.Load(), c.Errors.Load(), s.Errs.Counts())
			}
			arrivals := v.Seen + v.GroupSeen*uint64(max(opt.Work.GroupSize-2, 0))
			if opt.Work.Groups > 0 && v.GroupAcked == 0 || c.GroupAcked.Load() != v.GroupAcked {
				t.Errorf("%d messages acknowledged in groups, counted %d", v.GroupAcked, c.GroupAcked.Load())
			}
			if q := s.Lat.Receive.Quantiles(); uint64(q.Count) != arrivals || q.P50 <= 0 || q.Max < q.P50 {
				t.Errorf("%d messages seen, latency %+v", v.Seen, q)
			}
		})
	}
}

// What is due in the warm-up counts and is checked, but leaves no latency.
func TestWarmup(t *testing.T) {
	addr := startServer(t)
	opt := options(addr, addr)
	opt.Warmup = opt.For / 2
	s := connect(t, opt)
	s.Send(t.Context())
	v := s.Check.Finish()
	if got := uint64(s.Lat.Ack.Quantiles().Count); !v.OK() || v.Acked != 200 || got != 100 {
		t.Errorf("%d of %d messages left a latency, want half of 200", got, v.Acked)
	}
}

// An operator who stops a run early gets a verdict on it, not a false alarm
// about what was on its way.
func TestEarlyEndIsClean(t *testing.T) {
	addr := startServer(t)
	opt := options(addr, addr)
	opt.For = time.Hour
	s := connect(t, opt)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	go func() { defer close(over); s.Send(ctx) }()
	waitFor(t, "the first messages", func() bool { return s.Count.Sent.Load() >= 50 })
	cancel()
	<-over
	if v := s.Check.Finish(); !v.OK() || v.Unanswered != 0 || v.Seen < 50 {
		t.Errorf("verdict: %+v", v)
	}
}

func TestSideBOffline(t *testing.T) {
	addr := startServer(t)
	opt := options(addr, addr)
	opt.OfflineB, opt.Work.OneWay, opt.Work.Pairs = true, true, 1
	s := connect(t, opt)
	s.SendOnly(t.Context())
	if n := s.Count.Received.Load(); n != 0 {
		t.Errorf("%d messages arrived while the receiver was offline", n)
	}
	online := time.Now()
	s.GoOnline()
	s.Settle(t.Context())
	if v := s.Check.Finish(); !v.OK() || v.Seen != 200 {
		t.Errorf("verdict: %+v", v)
	}
	if last := s.LastReceived(); last.Before(online) || last.After(time.Now()) {
		t.Errorf("the last message was seen at %v, the receiver came at %v", last, online)
	}
}

// Connections that are cut in the middle are made again and nothing is lost:
// the careful client that the package doc promises.
func TestCutConnections(t *testing.T) {
	addr := startServer(t)
	p := startProxy(t, addr)
	opt := options(addr, p.addr)
	opt.Work.Groups, opt.Work.GroupSize = 2, 4
	opt.Settle = 30 * time.Second
	s := connect(t, opt)
	sent := make(chan struct{})
	go func() { defer close(sent); s.Send(t.Context()) }()
	for cuts := uint64(1); cuts <= 3; cuts++ {
		waitFor(t, "traffic to cut", func() bool { return s.Count.Sent.Load() >= 40*cuts })
		p.cut()
	}
	<-sent
	v, c := s.Check.Finish(), &s.Count
	if !v.OK() || v.Unanswered != 0 || v.Seen != 200 {
		t.Errorf("verdict: %+v", v)
	}
	if c.Disconnects.Load() < 8 || c.Connects.Load() < 16 {
		t.Errorf("%d disconnects, %d connects: nothing was cut", c.Disconnects.Load(), c.Connects.Load())
	}
	if len(s.Errs.Counts()) == 0 {
		t.Error("the cuts are not in the report")
	}
}

// What retrying does not mend ends Connect at once, with the reason.
func TestConnectGivesUp(t *testing.T) {
	addr := startServer(t)
	errSignIn := errors.New("no sign-in here")
	for name, tt := range map[string]struct {
		token string
		err   error
		want  error
	}{
		"no token":  {"", errSignIn, errSignIn},
		"bad token": {"bad", nil, wire.CodeTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			opt := options(addr, addr)
			opt.Token = func(context.Context, wire.UserID) (string, error) { return tt.token, tt.err }
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			s := swarm.New(opt)
			defer s.Close()
			if err := s.Connect(ctx); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "user t-") {
				t.Errorf("got %v, want %v and the user", err, tt.want)
			}
		})
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	end, tick := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

// proxy passes bytes on to a server until it is told to cut.
type proxy struct {
	addr string

	mu struct {
		sync.Mutex
		conns []net.Conn
	}
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); p.cut(); all.Wait() })
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		to.Close()
	}
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.mu.conns = append(p.mu.conns, in, out)
			p.mu.Unlock()
			all.Go(func() { pass(out, in) })
			all.Go(func() { pass(in, out) })
		}
	})
	return p
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.mu.conns {
		c.Close()
	}
	p.mu.conns = nil
}

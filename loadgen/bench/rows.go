package bench

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/swarm"
	"github.com/godwit-im/godwit/loadgen/workload"
)

// pick returns the short value when the run is a short one.
func pick[T any](opt *Options, full, short T) T {
	if opt.Short {
		return short
	}
	return full
}

// runID makes user names of one run differ from those of another.
func runID() string { return "b" + strconv.FormatInt(time.Now().UnixNano(), 36) }

// errBroken fails a row whose promises did not hold, or whose messages were
// not all answered: its figures mean nothing.
func errBroken(v *check.Verdict) error {
	switch {
	case v.OK() && v.Unanswered > 0, v.Acked == 0:
		return fmt.Errorf("%d messages acknowledged, %d never answered", v.Acked, v.Unanswered)
	case v.OK():
		return nil
	}
	return fmt.Errorf("%d promises broken, first: %+v", v.Broken(), v.Violations[0])
}

// idleBytes opens idle connections and compares the server's heap and stacks,
// after a collection, with those before.
func idleBytes(ctx context.Context, opt *Options) (string, map[string]float64, error) {
	n := pick(opt, 16_000, 500)
	srv, err := startServer(ctx, opt)
	if err != nil {
		return "", nil, err
	}
	defer srv.close()
	// The users come once before a restart: their devices are known then, and
	// what is counted is connections alone, not rows written on first sight.
	users := swarm.Options{URL: srv.ws(), Token: srv.token, Work: workload.Plan{Run: runID(), Size: workload.MinSize}, Idle: n}
	before := swarm.New(users)
	err = before.Connect(ctx)
	before.Close()
	srv.stop()
	if err == nil {
		err = srv.start(ctx, opt.Binary)
	}
	if err != nil {
		return "", nil, err
	}
	heap0, rss0, err := srv.memory(ctx)
	if err != nil {
		return "", nil, err
	}
	s := swarm.New(users)
	defer s.Close()
	start := time.Now()
	if err := s.Connect(ctx); err != nil {
		return "", nil, err
	}
	took := time.Since(start)
	srv.signIn.Close() // its connections are not those that are counted
	select {           // nor is what the logins leave behind: idle is what is measured
	case <-time.After(pick(opt, 5*time.Second, 0)):
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	heap1, rss1, err := srv.memory(ctx)
	if err != nil {
		return "", nil, err
	}
	heap, rss := (heap1-heap0)/float64(n), (rss1-rss0)/float64(n)
	value := fmt.Sprintf("%.0f B of heap and stacks (resident %+.0f B), %d connections", heap, rss, n)
	return value, map[string]float64{"heap_bytes": heap, "resident_bytes": rss, "connections": float64(n), "logins_per_s": float64(n) / took.Seconds()}, nil
}

// memory returns live heap plus stacks, both as they were right after a
// collection, and the resident set.
func (s *server) memory(ctx context.Context) (heap, rss float64, err error) {
	var report []byte
	for range 2 { // the second collection frees what finalizers and pools held
		if report, err = s.get(ctx, "/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return 0, 0, err
		}
	}
	// The report ends with runtime.MemStats, read before it was written: a
	// metric read afterwards would count the garbage of writing it.
	for _, name := range []string{"# HeapAlloc = ", "# Stack = "} {
		_, rest, _ := strings.Cut(string(report), name)
		var v float64
		if _, err := fmt.Sscan(rest, &v); err != nil {
			return 0, 0, fmt.Errorf("the server's heap profile does not tell %q: %w", name, err)
		}
		heap += v
	}
	rss, err = s.resident()
	return heap, rss, err
}

// measured runs a workload against a fresh server and returns the swarm, the
// verdict, how long it sent and the server's processor time meanwhile.
func measured(ctx context.Context, opt *Options, o swarm.Options) (*swarm.Swarm, check.Verdict, time.Duration, time.Duration, error) {
	srv, err := startServer(ctx, opt)
	if err != nil {
		return nil, check.Verdict{}, 0, 0, err
	}
	defer srv.close()
	o.URL, o.Token = srv.ws(), srv.token
	s := swarm.New(o)
	defer s.Close()
	if err := s.Connect(ctx); err != nil {
		return nil, check.Verdict{}, 0, 0, err
	}
	before, err := srv.cpu()
	if err != nil {
		return nil, check.Verdict{}, 0, 0, err
	}
	took := s.Send(ctx)
	after, err := srv.cpu()
	if err != nil {
		return nil, check.Verdict{}, 0, 0, fmt.Errorf("the server died during the run: %w: %s", err, srv.log.String())
	}
	v := s.Check.Finish()
	return s, v, took, after - before, errBroken(&v)
}

// closedLoop runs three passes and reports the one with the median processor
// time: a machine that is shared disturbs one now and then.
func closedLoop(ctx context.Context, opt *Options) (string, map[string]float64, error) {
	type pass struct {
		perMsg, rate float64
		q            swarm.Quantiles
	}
	var passes []pass
	for range pick(opt, 3, 1) {
		s, v, took, cpu, err := measured(ctx, opt, swarm.Options{
			Work: workload.Plan{Run: runID(), Pairs: 200, Size: 100},
			For:  pick(opt, 10*time.Second, time.Second), Warmup: pick(opt, 2*time.Second, 0),
		})
		if err != nil {
			return "", nil, err
		}
		passes = append(passes, pass{micros(cpu) / float64(v.Acked), float64(v.Acked) / took.Seconds(), s.Lat.Receive.Quantiles()})
	}
	slices.SortFunc(passes, func(a, b pass) int { return cmp.Compare(a.perMsg, b.perMsg) })
	p, best, worst := passes[len(passes)/2], passes[0], passes[len(passes)-1]
	value := fmt.Sprintf("%.1f µs (%.1f-%.1f), %.0f/s (p50 %.1f ms, p99 %.1f ms)", p.perMsg, best.perMsg, worst.perMsg, p.rate, p.q.P50, p.q.P99)
	return value, map[string]float64{"cpu_us": p.perMsg, "best_cpu_us": best.perMsg, "worst_cpu_us": worst.perMsg, "per_s": p.rate, "p50_ms": p.q.P50, "p99_ms": p.q.P99}, nil
}

func openLoop(ctx context.Context, opt *Options, rate float64) (string, map[string]float64, error) {
	s, v, took, cpu, err := measured(ctx, opt, swarm.Options{
		Work: workload.Plan{Run: runID(), Pairs: 200, Size: 100, Rate: rate},
		For:  pick(opt, 15*time.Second, time.Second), Warmup: pick(opt, 3*time.Second, 0),
	})
	if err != nil {
		return "", nil, err
	}
	q := s.Lat.Receive.Quantiles()
	perMsg := micros(cpu) / float64(v.Acked)
	value := fmt.Sprintf("p50 %.2f, p99 %.2f, p99.9 %.2f ms; %.0f of %.0f/s; %.0f µs/msg", q.P50, q.P99, q.P999, float64(v.Acked)/took.Seconds(), rate, perMsg)
	return value, map[string]float64{"p50_ms": q.P50, "p99_ms": q.P99, "p999_ms": q.P999, "achieved_per_s": float64(v.Acked) / took.Seconds(), "cpu_us": perMsg}, nil
}

// diskBytes sends many messages, has the server compact its store and adds up
// the tables: message log, dedupe rows, inbox, conversations. What does not
// grow with the messages is told apart: Raft log and store keep log files of a
// fixed size to write into.
func diskBytes(ctx context.Context, opt *Options) (string, map[string]float64, error) {
	srv, err := startServer(ctx, opt)
	if err != nil {
		return "", nil, err
	}
	defer srv.close()
	s := swarm.New(swarm.Options{URL: srv.ws(), Token: srv.token,
		Work: workload.Plan{Run: runID(), Pairs: 200, Size: 124},
		For:  pick(opt, 20*time.Second, time.Second)})
	defer s.Close()
	if err := s.Connect(ctx); err != nil {
		return "", nil, err
	}
	s.Send(ctx)
	v := s.Check.Finish()
	if err := errBroken(&v); err != nil {
		return "", nil, err
	}
	if _, err := srv.do(ctx, "POST", "http://"+srv.admin+"/debug/compact", nil); err != nil {
		return "", nil, err
	}
	data := filepath.Join(srv.dir, "data")
	total, err := diskUsage(data, "")
	if err != nil {
		return "", nil, err
	}
	tables, err := diskUsage(filepath.Join(data, "core", "store"), ".sst")
	if err != nil {
		return "", nil, err
	}
	perMsg, rest := float64(tables)/float64(v.Acked), float64(total-tables)/(1<<20)
	value := fmt.Sprintf("%.0f B, %d messages; logs of fixed size: %.0f MiB", perMsg, v.Acked, rest)
	return value, map[string]float64{"bytes": perMsg, "messages": float64(v.Acked), "fixed_mib": rest}, nil
}

// backlog lets 1,000 messages wait for a user and measures from the start of
// the connection to the last of them, several times.
func backlog(ctx context.Context, opt *Options) (string, map[string]float64, error) {
	const messages = 1000
	srv, err := startServer(ctx, opt)
	if err != nil {
		return "", nil, err
	}
	defer srv.close()
	var took []time.Duration
	for range pick(opt, 9, 2) {
		d, err := oneBacklog(ctx, srv, messages)
		if err != nil {
			return "", nil, err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	value := fmt.Sprintf("%.0f ms (worst of %d: %.0f ms)", millis(median), len(took), millis(worst))
	return value, map[string]float64{"median_ms": millis(median), "worst_ms": millis(worst)}, nil
}

func oneBacklog(ctx context.Context, srv *server, messages int) (time.Duration, error) {
	const rate = 2000
	s := swarm.New(swarm.Options{URL: srv.ws(), Token: srv.token, OfflineB: true, MaxUnacked: messages,
		Work: workload.Plan{Run: runID(), Pairs: 1, Size: 100, Rate: rate, OneWay: true},
		For:  time.Duration(messages) * time.Second / rate, Settle: 10 * time.Second})
	defer s.Close()
	if err := s.Connect(ctx); err != nil {
		return 0, err
	}
	s.SendOnly(ctx)
	start := time.Now()
	s.GoOnline()
	s.Settle(ctx)
	last := s.LastReceived().Sub(start)
	v := s.Check.Finish()
	if err := errBroken(&v); err != nil {
		return 0, err
	}
	if int(v.Seen) != messages {
		return 0, fmt.Errorf("%d of %d messages arrived", v.Seen, messages)
	}
	return last, nil
}

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/loadgen/report"
	"github.com/godwit-im/godwit/loadgen/swarm"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// loadFlags are the flags of `godwit load`.
type loadFlags struct {
	server    string
	servers   []string // what server names, with their schemes
	secret    string   // of the environment
	ca        string
	pairs     int
	groups    int
	groupSize int
	rate      float64
	size      int
	idle      int
	run       time.Duration
	warmup    time.Duration
	settle    time.Duration
	failIf    []string
	json      bool
	output    string
}

func newLoadCmd() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Load a server and check every guarantee while doing so",
		Long: "load opens pairs of users who write to each other, and groups, measures from the moment each\n" +
			"message was due, and at the end says whether anything acknowledged was lost,\n" +
			"duplicated or out of order, with the ids. The server may be killed and started\n" +
			"again meanwhile: users reconnect and resume, and the verdict must still be clean.\n\n" +
			"Users sign in with tokens made with GODWIT_AUTH_HS256_SECRET, which has no flag because command lines\n" +
			"can be seen by others; without it by the server's development sign-in.",
		Example: "  godwit load --pairs 200 --rate 1000 --for 30s\n" +
			"  godwit load --pairs 100 --groups 20 --group-size 8 --rate 500\n" +
			"  godwit load --pairs 200 --rate 0             # closed loop: as fast as it goes\n" +
			"  godwit load --pairs 50 --rate 500 --fail-if 'broken>0' --fail-if 'p99>5'",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoad(cmd, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.server, "server", "", "public address of the server, or several separated by commas, over which users are spread (GODWIT_SERVER; default "+defaultServer+")")
	caFlag(cmd, &f.ca)
	fl.IntVar(&f.pairs, "pairs", 100, "pairs of users")
	fl.IntVar(&f.groups, "groups", 0, "groups beside the pairs, whose members write in turn")
	fl.IntVar(&f.groupSize, "group-size", 5, "members of a group")
	fl.Float64Var(&f.rate, "rate", 1000, "messages a second over all pairs and groups, sent when they are due whatever happens; 0: closed loop")
	fl.IntVar(&f.size, "size", 100, "bytes of content")
	fl.IntVar(&f.idle, "idle", 0, "more users who only stay connected")
	fl.DurationVar(&f.run, "for", 30*time.Second, "how long to send")
	fl.DurationVar(&f.warmup, "warmup", 0, "how long at the start not to measure latency")
	fl.DurationVar(&f.settle, "settle", 30*time.Second, "how long to wait at the end for what is on its way")
	fl.StringArrayVar(&f.failIf, "fail-if", nil, "exit with 99 when NAME>NUMBER or NAME<NUMBER holds, such as p99>5 (ms); may be repeated")
	fl.BoolVar(&f.json, "json", false, "the same as -o json")
	outputFlag(cmd, &f.output)
	return cmd
}

func (f *loadFlags) check(cmd *cobra.Command) ([]report.Condition, error) {
	switch {
	case f.pairs < 0 || f.groups < 0 || f.idle < 0 || f.pairs+f.groups+f.idle == 0:
		return nil, usage(cmd, "--pairs %d, --groups %d and --idle %d: there must be at least one user", f.pairs, f.groups, f.idle)
	case f.groups > 0 && (f.groupSize < 2 || f.groupSize > workload.MaxGroupSize):
		return nil, usage(cmd, "--group-size %d: want 2 to %d members", f.groupSize, workload.MaxGroupSize)
	case f.size < workload.MinSize || f.size > wire.MaxContent:
		return nil, usage(cmd, "--size %d: want %d to %d bytes", f.size, workload.MinSize, wire.MaxContent)
	case !(f.rate >= 0) || math.IsInf(f.rate, 0) || f.run <= 0:
		return nil, usage(cmd, "--rate %g and --for %v: want no negative rate and a positive time", f.rate, f.run)
	case f.warmup < 0 || f.warmup >= f.run:
		return nil, usage(cmd, "--warmup %v: want less than --for %v, or no latency is measured", f.warmup, f.run)
	}
	if err := enoughFiles(2*f.pairs + f.groups*f.groupSize + f.idle); err != nil {
		return nil, err
	}
	var conds []report.Condition
	for _, s := range f.failIf {
		c, err := report.ParseCondition(s)
		if err != nil {
			return nil, usage(cmd, "%w", err)
		}
		conds = append(conds, c)
	}
	return conds, nil
}

// reservedFiles are descriptors of this process that are not connections.
const reservedFiles = 100

// enoughFiles refuses a run that this process could not open.
func enoughFiles(connections int) error {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil || uint64(connections+reservedFiles) <= lim.Max {
		return nil
	}
	return fault.New(fault.TooFewFiles, "%d connections, but this process may open %d files", connections, lim.Max).
		Advise("use fewer connections, or raise the limit with: ulimit -n %d", connections+reservedFiles)
}

func runLoad(cmd *cobra.Command, f *loadFlags) error {
	for part := range strings.SplitSeq(first(f.server, os.Getenv("GODWIT_SERVER"), defaultServer), ",") {
		f.servers = append(f.servers, httpAddress(strings.TrimSpace(part)))
	}
	f.server = f.servers[0]
	f.secret = os.Getenv("GODWIT_AUTH_HS256_SECRET")
	if err := checkOutput(cmd, f.output); err != nil {
		return err
	}
	conds, err := f.check(cmd)
	if err != nil {
		return err
	}
	trusted, err := trust(f.ca)
	if err != nil {
		return err
	}
	opt, err := f.options(trusted)
	if err != nil {
		return err
	}
	signIn, err := client.NewDevSignIn(client.Config{URL: f.server, TLS: trusted})
	if err != nil {
		return badServer(f.server)
	}
	defer signIn.Close()
	if f.secret == "" {
		opt.Token = devTokens(signIn, f.server)
	}
	ctx := cmd.Context()
	for _, server := range f.servers {
		if err := reachable(ctx, server, trusted); err != nil {
			return explain(server, err)
		}
	}
	s := swarm.New(opt)
	defer s.Close()
	stopLine := liveLine(cmd.ErrOrStderr(), s, f.groups > 0)
	res, err := drive(ctx, s, opt)
	stopLine()
	if err != nil {
		return explain(f.server, err)
	}
	if f.json || f.output == "json" {
		err = printJSON(cmd.OutOrStdout(), res)
	} else {
		err = res.WriteTable(cmd.OutOrStdout())
	}
	if err := cmp.Or(err, judge(res, conds)); err != nil {
		return err
	}
	if res.Interrupted {
		return fault.New(fault.Interrupted, "after %.1f s of %v", res.Seconds, f.run)
	}
	return nil
}

// drive connects, sends and judges. When ctx ends early the result covers what
// was sent until then.
func drive(ctx context.Context, s *swarm.Swarm, opt swarm.Options) (*report.Result, error) {
	if err := s.Connect(ctx); err != nil {
		return nil, err
	}
	cpu := processTime()
	took := s.Send(ctx)
	cpu = processTime() - cpu
	early := ctx.Err() != nil
	res := report.Of(s, opt, took, s.Check.Finish())
	res.Interrupted = early
	res.GeneratorCPU = cpu.Seconds() / took.Seconds()
	return &res, nil
}

func processTime() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// judge turns broken promises and conditions that hold into an error.
func judge(res *report.Result, conds []report.Condition) error {
	for _, c := range conds {
		if text, holds := c.Holds(res); holds {
			return fault.New(fault.FailIfHeld, "%s", text)
		}
	}
	if !res.Verdict.OK() {
		return errors.New("the verdict is not clean")
	}
	if res.Verdict.Unanswered > 0 {
		return fmt.Errorf("%d sends were never answered", res.Verdict.Unanswered)
	}
	return nil
}

// options turns the flags into those of a swarm whose users make their tokens
// with the secret.
func (f *loadFlags) options(trusted *tls.Config) (swarm.Options, error) {
	sockets, err := f.sockets()
	if err != nil {
		return swarm.Options{}, err
	}
	token := func(_ context.Context, user wire.UserID) (string, error) {
		return auth.Mint([]byte(f.secret), user, "", time.Now(), 24*time.Hour)
	}
	work := workload.Plan{Run: "load" + strconv.FormatInt(time.Now().UnixNano(), 36), Pairs: f.pairs, Rate: f.rate, Size: f.size}
	if f.groups > 0 {
		work.Groups, work.GroupSize = f.groups, f.groupSize
	}
	return swarm.Options{
		URL: sockets[0], More: sockets[1:], TLS: trusted, Token: token, For: f.run, Warmup: f.warmup, Settle: f.settle, Idle: f.idle,
		Work: work,
	}, nil
}

// sockets returns the WebSocket address of each server.
func (f *loadFlags) sockets() (list []string, err error) {
	for _, server := range f.servers {
		u, err := url.Parse(server)
		if err != nil || u.Host == "" {
			return nil, badServer(server)
		}
		ws := *u
		ws.Path, ws.Scheme = "/ws", map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
		if ws.Scheme == "" {
			return nil, badServer(server)
		}
		list = append(list, ws.String())
	}
	return list, nil
}

func badServer(server string) error {
	return fault.New(fault.Usage, "--server %q must start with http:// or https://", server).Advise("see `godwit load --help`")
}

// httpAddress is server with the scheme of its REST side.
func httpAddress(server string) string {
	scheme, rest, ok := strings.Cut(server, "://")
	switch {
	case !ok:
		return "http://" + server
	case scheme == "ws":
		return "http://" + rest
	case scheme == "wss":
		return "https://" + rest
	}
	return server
}

// reachable tells a server that is not there, or is not godwit's, from one that
// refuses: a swarm would go on trying.
func reachable(ctx context.Context, server string, trusted *tls.Config) error {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(server, "/")+"/v1/server", nil)
	if err != nil {
		return badServer(server)
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: trusted, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &client.ConnectError{URL: server, Err: context.Cause(ctx)}
	case err != nil:
		return &client.ConnectError{URL: server, Err: err}
	}
	defer resp.Body.Close()
	var about struct{ Name string }
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&about) != nil || about.Name != "godwit" {
		return client.ErrNotGodwit
	}
	return nil
}

// devTokens signs users in by the server's development sign-in.
func devTokens(signIn *client.DevSignIn, server string) func(context.Context, wire.UserID) (string, error) {
	return func(ctx context.Context, user wire.UserID) (string, error) {
		token, _, err := signIn.Token(ctx, user, "")
		if errors.Is(err, wire.CodeUnknownResource) {
			return "", fault.New(fault.NoDevSignIn, "%s", server).Advise("set GODWIT_AUTH_HS256_SECRET to the server's")
		}
		return token, err
	}
}

// liveLine prints one line a second on w until the returned function is
// called.
func liveLine(w io.Writer, s *swarm.Swarm, grouped bool) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var last uint64
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			c, acked := &s.Count, s.Count.Acked.Load()
			q := s.Lat.Receive.Quantiles()
			groups := ""
			if grouped {
				groups = fmt.Sprintf(" (%d in groups)", c.GroupAcked.Load())
			}
			fmt.Fprintf(w, "%s  %6d online  %8d sent  %8d acked%s  %6d/s  p50 %.2f  p99 %.2f ms  %d errors  %d reconnects\n",
				time.Now().Format(time.TimeOnly), c.Online.Load(), c.Sent.Load(), acked, groups, acked-last, q.P50, q.P99, c.Errors.Load(), c.Disconnects.Load())
			last = acked
		}
	}()
	return func() { close(done); <-ended }
}

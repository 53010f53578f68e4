package chaos

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The ports are the same on every host: each process has an address of its own.
const (
	portAPI    = "7700"
	portRaft   = "7701"
	portLink   = "7710"
	portAdmin  = "8081"
	portPublic = "8080"
)

// Hosts by role: the last byte of the address of the first of each.
const (
	firstControl = 10
	firstCore    = 30
	firstEdge    = 200
	firstServe   = 240
)

// startTimeout bounds the start of a fleet and of one process.
const startTimeout = 90 * time.Second

// heartbeat is that of clients: half-open connections are noticed after two.
const heartbeat = time.Second

// Spec says what a fleet is made of.
type Spec struct {
	Binary string // the program
	Dir    string // made when missing; data and logs of all processes go there
	// Controls, Cores and Edges are how many there are; without any Controls the
	// fleet is one process that is everything.
	Controls, Cores, Edges int
	Shards                 int
	// Network gives each process a network namespace of its own, which needs
	// root.
	Network bool
	// Disks gives each process that keeps something a file system of its own,
	// which needs a harness that Privately has started.
	Disks bool
}

// Fleet is the processes. Make it with NewFleet; Close ends it.
type Fleet struct {
	Spec   Spec
	secret string // that tokens are signed with
	join   string
	net    *network // nil without namespaces
	prefix string   // of the hosts' addresses, with the dot

	mu struct {
		sync.Mutex
		procs []*Proc
		gone  []*Proc // that have left the fleet; their disks are still there
		added int     // cores, after the first ones
	}
}

// NewFleet makes the fleet's processes and networks; nothing runs before Start.
func NewFleet(spec Spec) (*Fleet, error) {
	for _, path := range []*string{&spec.Binary, &spec.Dir} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, err
	}
	f := &Fleet{Spec: spec, secret: secret(), join: secret()}
	pid := os.Getpid()
	// Two harnesses at a time have different addresses.
	f.prefix = fmt.Sprintf("127.%d.%d.", 1+pid/250%250, 1+pid%250)
	if spec.Network {
		f.prefix = fmt.Sprintf("10.%d.%d.", 1+pid/250%250, 1+pid%250)
		var err error
		if f.net, err = newNetwork(pid, f.prefix); err != nil {
			return nil, err
		}
	}
	for _, kind := range f.kinds() {
		for i := range kind.count {
			if _, err := f.Add(kind.role, i+1); err != nil {
				return nil, errors.Join(err, f.Close())
			}
		}
	}
	return f, nil
}

type kind struct {
	role  string
	count int
}

func (f *Fleet) kinds() []kind {
	if f.Spec.Controls == 0 {
		return []kind{{"serve", 1}}
	}
	return []kind{{"control", f.Spec.Controls}, {"core", f.Spec.Cores}, {"edge", f.Spec.Edges}}
}

func secret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Add makes the n-th process of a role; it does not start it.
func (f *Fleet) Add(role string, n int) (*Proc, error) {
	first := map[string]int{"control": firstControl, "core": firstCore, "edge": firstEdge, "serve": firstServe}[role]
	name := fmt.Sprintf("%s%d", role, n)
	p := &Proc{
		Name: name, Role: role, Host: fmt.Sprintf("%s%d", f.prefix, first+n), Dir: filepath.Join(f.Spec.Dir, name),
		bin: f.Spec.Binary, logs: filepath.Join(f.Spec.Dir, name+".log"),
		env: append(environment(), "GODWIT_AUTH_HS256_SECRET="+f.secret, "GODWIT_JOIN_SECRET="+f.join),
	}
	p.args = f.arguments(p)
	if f.net != nil {
		var err error
		if p.ns, err = f.net.add(p.Host); err != nil {
			return nil, err
		}
	}
	if f.Spec.Disks && role != "edge" {
		var err error
		if p.disk, err = newDisk(p.Dir+".ext4", p.Dir); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.procs = append(f.mu.procs, p)
	return p, nil
}

// arguments are what the program is started with.
func (f *Fleet) arguments(p *Proc) []string {
	args := []string{p.Role, "--data", p.Dir, "--admin", p.addr(portAdmin), "--log-level", "info"}
	if p.Role != "serve" && f.net != nil {
		args = append(args, "--insecure-plaintext")
	}
	public := []string{"--listen", p.addr(portPublic), "--heartbeat", heartbeat.String()}
	shards := []string{"--shards", fmt.Sprint(f.Spec.Shards)}
	var control, peers []string
	for n := 1; n <= f.Spec.Controls; n++ {
		host := fmt.Sprintf("%s%d:", f.prefix, firstControl+n)
		control = append(control, host+portAPI)
		peers = append(peers, fmt.Sprintf("control%d=%s", n, host+portRaft))
	}
	join := []string{"--name", p.Name, "--control", strings.Join(control, ",")}
	switch p.Role {
	case "serve":
		args = append(append(args, public...), shards...)
	case "control":
		args = append(append(args, shards...), "--name", p.Name, "--api", p.addr(portAPI), "--raft", p.addr(portRaft), "--peers", strings.Join(peers, ","),
			"--cores", fmt.Sprint(f.Spec.Cores), "--replicas", fmt.Sprint(min(f.Spec.Cores, 3)))
	case "core":
		args = append(append(args, join...), "--link", p.addr(portLink), "--raft", p.addr(portRaft))
	case "edge":
		args = append(append(args, join...), public...)
	}
	return args
}

func (p *Proc) addr(port string) string { return p.Host + ":" + port }

// environment is the harness's own without settings of godwit.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

// Procs returns the processes of a role, in order; all with the empty role. A
// process that is everything has every role.
func (f *Fleet) Procs(role string) (list []*Proc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.mu.procs {
		if role == "" || p.Role == role || p.Role == "serve" {
			list = append(list, p)
		}
	}
	return list
}

// Start starts what does not run, all at once, and waits until all are ready.
func (f *Fleet) Start(ctx context.Context) error {
	for _, p := range f.Procs("") {
		if !p.Running() {
			if err := p.Start(); err != nil {
				return err
			}
		}
	}
	return f.Ready(ctx)
}

// Ready waits until every process says that it is ready. Otherwise the error
// names one that does not, with the end of its log.
func (f *Fleet) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, p := range f.Procs("") {
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until the process says that it is ready, or has died.
func (p *Proc) ready(ctx context.Context) error {
	said := errors.New("no answer")
	if poll(ctx, func() bool {
		said = get(ctx, "http://"+p.addr(portAdmin)+"/readyz", "", nil)
		return said == nil || p.Died()
	}) && said == nil {
		return nil
	}
	state := "is not ready"
	if p.Died() {
		state = "has died"
	}
	return fmt.Errorf("chaos: %s %s: %w; the end of its log:\n%s", p.Name, state, said, p.Tail())
}

// Close ends every process and removes the networks. The files stay.
func (f *Fleet) Close() error {
	var all sync.WaitGroup
	for _, p := range f.Procs("") {
		all.Go(p.Kill)
	}
	all.Wait()
	var errs []error
	for _, p := range append(f.Procs(""), f.mu.gone...) {
		if p.disk != nil {
			errs = append(errs, p.disk.unmount())
		}
	}
	if f.net != nil {
		errs = append(errs, f.net.close())
	}
	return errors.Join(errs...)
}

// pollEvery is how often the harness looks for what nobody announces.
const pollEvery = 20 * time.Millisecond

// poll asks again and again until ok; false when ctx ended first.
func poll(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// pause waits for d, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

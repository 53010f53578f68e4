package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Fault is one row of the table Faults.
type Fault struct {
	Name string
	// Needs says what a fleet must have for the fault to be possible.
	Needs need
	// Hold is the shortest and the longest time between injecting and healing.
	Hold [2]time.Duration
	// Within bounds how long conversations wait, at the 99th percentile of those
	// that wait, while a majority is there; 0: as the run says.
	Within time.Duration
	// Inject breaks something. What it draws from rng is all that it chooses by
	// chance. After an error the fleet is what it was.
	Inject func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error)
}

// need is a set of what a fault needs.
type need uint8

const (
	needRoles   need = 1 << iota // a process for each role
	needNetwork                  // a namespace for each process
	needDisks                    // a file system for each process
)

// missing says in words what the fleet lacks for the fault, "" when nothing.
func (n need) missing(f *Fleet) string {
	var lacks []string
	if n&needRoles != 0 && f.Spec.Controls == 0 {
		lacks = append(lacks, "a fleet of several processes")
	}
	if n&needNetwork != 0 && f.net == nil {
		lacks = append(lacks, "network namespaces, which need root")
	}
	if n&needDisks != 0 && !f.Spec.Disks {
		lacks = append(lacks, "file systems of its own, which need root")
	}
	return strings.Join(lacks, ", ")
}

// wound is an injected fault.
type wound struct {
	what string // was done to whom
	// served is whether the rest can serve all the while: a majority of every
	// Raft group is there, and an edge.
	served bool
	// heal makes the fleet whole again, as far as commands can; what then still
	// has to recover recovers by itself.
	heal func(ctx context.Context) error
}

// Faults returns the table.
func Faults() []Fault {
	return slices.Concat(processFaults(), networkFaults(), diskFaults(), moveFaults())
}

const second = time.Second

// failover is how long conversations may wait when a leader is killed or
// stopped: twice what a machine that does nothing else is held to, 1.5 s.
const failover = 3 * second

func processFaults() []Fault {
	brief := [2]time.Duration{second, 4 * second}
	return []Fault{
		{"nothing", 0, [2]time.Duration{3 * second, 3 * second}, 0, nothing},
		{"kill the leader of a busy shard", 0, brief, failover, killing(busyLeader)},
		{"kill a core", needRoles, brief, failover, killing(anyOf("core"))},
		{"kill an edge", needRoles, brief, 0, killing(anyOf("edge"))},
		{"kill control's leader", needRoles, brief, 0, killing(controlLeader)},
		{"pause the leader of a busy shard", 0, [2]time.Duration{2 * second, 6 * second}, failover, pausing(busyLeader)},
		{"pause an edge", needRoles, [2]time.Duration{2 * second, 6 * second}, 0, pausing(anyOf("edge"))},
		{"pause control's leader", needRoles, brief, 0, pausing(controlLeader)},
		{"kill a minority of every role", needRoles, brief, 0, killMinorities},
		{"kill all at once", 0, [2]time.Duration{second / 2, 2 * second}, 0, killAll},
		{"restart all, one after the other", 0, [2]time.Duration{}, 0, rollingRestart},
		{"kill while catching up", needRoles, [2]time.Duration{}, 0, killCatchingUp},
	}
}

// nothing is what everything else is compared with.
func nothing(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return &wound{what: "nothing", served: true, heal: func(context.Context) error { return nil }}, nil
}

// chooser picks the victim of a fault.
type chooser func(ctx context.Context, f *Fleet, rng *rand.Rand) (*Proc, error)

func anyOf(role string) chooser {
	return func(_ context.Context, f *Fleet, rng *rand.Rand) (*Proc, error) {
		list := f.Procs(role)
		return list[rng.IntN(len(list))], nil
	}
}

// busyLeader picks the core that leads most shards: conversations are spread
// evenly over them.
func busyLeader(ctx context.Context, f *Fleet, _ *rand.Rand) (*Proc, error) {
	var best *Proc
	most := -1
	for _, p := range f.Procs("core") {
		list, err := p.replicas(ctx)
		if err != nil {
			return nil, err
		}
		leads := 0
		for _, r := range list {
			if r.Leads {
				leads++
			}
		}
		if leads > most {
			best, most = p, leads
		}
	}
	return best, nil
}

// controlLeader picks the control member that leads.
func controlLeader(ctx context.Context, f *Fleet, _ *rand.Rand) (*Proc, error) {
	state, err := f.state(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range f.Procs("control") {
		if strings.HasPrefix(state.Leader, p.Host+":") {
			return p, nil
		}
	}
	return nil, fmt.Errorf("chaos: control's leader is said to be at %q, where no process is", state.Leader)
}

// state is what control says of the fleet, as far as the harness asks.
type state struct {
	Leader string
	Nodes  []struct {
		ID    wire.NodeID
		Name  string
		Alive bool
	}
}

// state asks the control members until one answers.
func (f *Fleet) state(ctx context.Context) (s state, err error) {
	for _, p := range f.Procs("control") {
		if err = get(ctx, "http://"+p.addr(portAPI)+"/v1/fleet", f.join, &s); err == nil {
			return s, nil
		}
	}
	return s, err
}

func killing(choose chooser) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := choose(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		p.Kill()
		return &wound{what: "kill -9 " + p.Name, served: f.survives(p), heal: restarts(p)}, nil
	}
}

func pausing(choose chooser) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := choose(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		w := &wound{what: "SIGSTOP " + p.Name, served: f.survives(p), heal: func(context.Context) error { return p.Resume() }}
		return w, p.Pause()
	}
}

// restarts starts the processes again, all at once.
func restarts(list ...*Proc) func(context.Context) error {
	return func(context.Context) error {
		for _, p := range list {
			if err := p.Start(); err != nil {
				return err
			}
		}
		return nil
	}
}

// survives reports whether a majority of cores and of control and an edge are
// there without the victims.
func (f *Fleet) survives(victims ...*Proc) bool {
	for role, enough := range map[string]func(left, all int) bool{
		"control": func(left, all int) bool { return 2*left > all },
		"core":    func(left, all int) bool { return 2*left > all },
		"edge":    func(left, _ int) bool { return left > 0 },
	} {
		all := f.Procs(role)
		left := 0
		for _, p := range all {
			if !slices.Contains(victims, p) {
				left++
			}
		}
		if !enough(left, len(all)) {
			return false
		}
	}
	return true
}

// killMinorities kills as many of each role as may be missing.
func killMinorities(_ context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	var victims []*Proc
	for _, role := range []string{"control", "core", "edge"} {
		list := f.Procs(role)
		for _, i := range rng.Perm(len(list))[:(len(list)-1)/2] {
			victims = append(victims, list[i])
		}
	}
	for _, p := range victims {
		p.Kill()
	}
	return &wound{what: "kill -9 " + names(victims), served: f.survives(victims...), heal: restarts(victims...)}, nil
}

func killAll(_ context.Context, f *Fleet, _ *rand.Rand) (*wound, error) {
	all := f.Procs("")
	done := make(chan struct{})
	for _, p := range all {
		go func() {
			p.Kill()
			done <- struct{}{}
		}()
	}
	for range all {
		<-done
	}
	return &wound{what: "kill -9 of all", heal: restarts(all...)}, nil
}

// rollingRestart stops and starts every process, one after the other, the roles
// in an order by chance.
func rollingRestart(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	var order []*Proc
	kinds := f.kinds()
	for _, i := range rng.Perm(len(kinds)) {
		list := f.Procs(kinds[i].role)
		for _, j := range rng.Perm(len(list)) {
			order = append(order, list[j])
		}
	}
	for _, p := range order {
		if err := p.Stop(); err != nil {
			return nil, err
		}
		if err := p.Start(); err != nil {
			return nil, err
		}
		start, cancel := context.WithTimeout(ctx, startTimeout)
		err := p.ready(start)
		cancel()
		if err != nil {
			return nil, err
		}
	}
	return &wound{what: "restart " + names(order), heal: func(context.Context) error { return nil }}, nil
}

// killCatchingUp stops a core until the others have thrown away the log that it
// lacks, so that it has to be sent a snapshot, and kills it some moments after
// it starts.
func killCatchingUp(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	list := f.Procs("core")
	victim := list[rng.IntN(len(list))]
	victim.Kill()
	pause(ctx, second)
	for _, p := range list {
		if p != victim {
			if err := p.compact(ctx); err != nil {
				return nil, err
			}
		}
	}
	for range 3 {
		if err := victim.Start(); err != nil {
			return nil, err
		}
		pause(ctx, between(rng, 200*time.Millisecond, second))
		victim.Kill()
	}
	return &wound{what: "kill -9 " + victim.Name + ", the logs of the others cut, then kill -9 three times while it catches up",
		served: f.survives(victim), heal: restarts(victim)}, nil
}

func names(list []*Proc) string {
	var text []string
	for _, p := range list {
		text = append(text, p.Name)
	}
	return strings.Join(text, ", ")
}

// between returns a time from low up to high by chance.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

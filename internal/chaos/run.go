package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Config says what a run does.
type Config struct {
	Spec Spec
	Seed uint64
	// For is how long trials begin; the last may end after it. Every fault is
	// tried once in an order by chance, then again in another.
	For time.Duration
	// Most bounds the number of trials; 0 means that only For does.
	Most int
	// Only, if any, are words that a fault's name has to contain one of.
	Only []string
	Rate float64 // messages a second
	// Slow is how long a conversation may wait, at the 99th percentile of those
	// that a fault stalled, while a majority is there and the fault says nothing
	// stricter.
	Slow time.Duration
	// Known are checks that are known to fail, with the reason: they are counted
	// and shown, and the run is fine all the same.
	Known map[string]string
	// Settle is how long a trial waits in the end for what is on its way; 0 is a
	// minute.
	Settle time.Duration
	// Say is told what happens, a line at a time; must not be nil.
	Say func(line string)
}

// Report is the outcome of a run.
type Report struct {
	Seed    uint64
	Trials  []Trial
	LeftOut []string // a fault and why
	Known   map[string]string
}

// OK reports whether every check of every trial held, but for the known ones.
func (r *Report) OK() bool {
	for i := range r.Trials {
		for check := range r.Trials[i].Broken {
			if _, known := r.Known[check]; !known {
				return false
			}
		}
	}
	return true
}

// before and after are how long users write before a fault and after it was
// healed.
const (
	before = 1500 * time.Millisecond
	after  = 2 * time.Second
)

// Run makes a fleet, tries faults on it until cfg.For is over or ctx ends, and
// ends the fleet. An error means that the fleet or the harness failed; what the
// trials found is in the report, which is never nil.
func Run(ctx context.Context, cfg Config) (rep *Report, err error) {
	rep = &Report{Seed: cfg.Seed, Known: cfg.Known}
	f, err := NewFleet(cfg.Spec)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	cfg.Say(fmt.Sprintf("seed %d; %d processes in %s", cfg.Seed, len(f.Procs("")), cfg.Spec.Dir))
	if err := f.Start(ctx); err != nil {
		return rep, err
	}
	faults := rep.possible(f, cfg.Only)
	if len(faults) == 0 {
		return rep, errors.New("chaos: no fault to try")
	}
	end := time.Now().Add(cfg.For)
	for n := 0; (cfg.Most == 0 || n < cfg.Most) && time.Now().Before(end) && ctx.Err() == nil; n++ {
		t, err := trial(ctx, f, &cfg, faults, n)
		if ctx.Err() != nil {
			return rep, ctx.Err() // what was cut off says nothing
		}
		rep.Trials = append(rep.Trials, *t)
		cfg.Say(t.line())
		if err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// possible returns the faults that can be tried on f, and notes the others.
func (r *Report) possible(f *Fleet, only []string) (list []Fault) {
	for _, fault := range Faults() {
		if len(only) > 0 && !slices.ContainsFunc(only, func(word string) bool { return strings.Contains(fault.Name, word) }) {
			continue
		}
		if lacks := fault.Needs.missing(f); lacks != "" {
			r.LeftOut = append(r.LeftOut, fault.Name+": needs "+lacks)
			continue
		}
		list = append(list, fault)
	}
	return list
}

// draw returns what is tried as the n-th, and the chance that it takes its
// choices from: every fault once in an order by chance, then again in another.
func draw(seed uint64, faults []Fault, n int) (*Fault, *rand.Rand) {
	round, at := uint64(n/len(faults)), n%len(faults)
	order := rand.New(rand.NewPCG(seed, round)).Perm(len(faults))
	return &faults[order[at]], rand.New(rand.NewPCG(seed, 1<<32+uint64(n)))
}

// trial is the n-th trial. Its choices follow from the seed and n alone. The
// error says that the fleet is not whole again.
func trial(ctx context.Context, f *Fleet, cfg *Config, faults []Fault, n int) (t *Trial, err error) {
	fault, rng := draw(cfg.Seed, faults, n)
	t = &Trial{Number: n, Fault: fault.Name}
	began := time.Now()
	defer func() { t.Took = time.Since(began) }()
	l, err := newLoad(ctx, f, fmt.Sprintf("x%x-%d", cfg.Seed, n), cfg)
	if err != nil {
		t.broke(checkHarness, 1, "%v", err)
		return t, err
	}
	defer l.close()
	pause(ctx, before)
	if err := t.breakAndHeal(ctx, f, l, fault, rng); err != nil {
		t.broke(checkHarness, 1, "%v", err)
	}
	if err := f.Ready(ctx); err != nil {
		t.broke(checkHarness, 1, "%v", err)
		return t, err
	}
	pause(ctx, after)
	l.finish()
	t.Recovery = l.waits.recovery()
	t.judge(ctx, l)
	most := cmp.Or(fault.Within, cfg.Slow)
	if r := t.Recovery; t.bounded && r.P99 > most {
		t.broke(checkSlow, 1, "%s, at most %s was wanted", r, most)
	}
	return t, nil
}

// breakAndHeal injects the fault, holds it and heals it.
func (t *Trial) breakAndHeal(ctx context.Context, f *Fleet, l *load, fault *Fault, rng *rand.Rand) error {
	l.waits.injected(l.swarm.Clock())
	w, err := fault.Inject(ctx, f, rng)
	if err != nil {
		return fmt.Errorf("injecting: %w", errors.Join(err, f.Start(ctx)))
	}
	hold := between(rng, fault.Hold[0], fault.Hold[1])
	t.What, t.bounded = w.what, w.served
	if hold > 0 {
		t.What += fmt.Sprintf(", healed after %.1f s", hold.Seconds())
	}
	pause(ctx, hold)
	if err := w.heal(ctx); err != nil {
		return fmt.Errorf("healing: %w", err)
	}
	if !w.served {
		l.waits.begin(l.swarm.Clock()) // nobody could answer before
	}
	return nil
}

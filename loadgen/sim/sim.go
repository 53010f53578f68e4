// Package sim runs a whole fleet in one loop, on a time, a network and disks of
// its own, out of one seed: cores, edges and the devices of users, with faults
// that the seed draws, the workload of the load generator and its checkers.
//
// What it promises: a run is a function of its Config. The same seed leads to
// the same events, down to the last byte that was delivered (Report.Trace), so
// a failure can be looked at as often as one likes.
//
// The machines are the real ones: client.Machine, edge/session, core/shard,
// core/live, core/fanout, shardmap and its planner. What drives them is retold
// without goroutines: package core's replica, package edge's loop, dragonboat
// (a Raft of our own) and sockets. ARCHITECTURE.md, "Simulation", says what
// that can show and what it cannot.
//
// A run belongs to one goroutine. It never reads a clock, a file or a socket.
package sim

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
)

// Config says what is simulated. The zero value of a field takes its default.
type Config struct {
	Seed       uint64
	For        time.Duration // how long users write, in simulated time; default 1 h
	Cores      int           // default 3
	Edges      int           // default 2
	Shards     int           // default 4
	Replicas   int           // default 3
	Users      int           // default 50
	Devices    int           // of each user, default 2, at most 9
	GroupSize  int           // default 5
	Rate       float64       // messages a second of all users together; default 1
	FaultEvery time.Duration // between two faults, on average; default 20 s
	CalmEvery  time.Duration // how long faults come before the fleet is healed and judged; default 10 min
	NoFaults   bool
	// StrictStatus makes it a failure when a device is told of a receipt again
	// after a newer one. Otherwise it is counted: Report.StatusBack.
	StrictStatus bool
}

func (c *Config) defaults() {
	def(&c.For, time.Hour)
	def(&c.Cores, 3)
	def(&c.Edges, 2)
	def(&c.Shards, 4)
	def(&c.Replicas, 3)
	def(&c.Users, 50)
	def(&c.Devices, 2)
	def(&c.GroupSize, 5)
	def(&c.Rate, 1)
	def(&c.FaultEvery, 20*time.Second)
	def(&c.CalmEvery, 10*time.Minute)
}

func def[T int | float64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// ErrConfig is in the chain of errors about a Config.
var ErrConfig = errors.New("sim: the fleet cannot be simulated")

func (c *Config) check() error {
	switch {
	case c.For < 0 || c.Rate < 0 || c.FaultEvery < 0 || c.CalmEvery < 0:
		return fmt.Errorf("%w: a time or rate is negative", ErrConfig)
	case c.Cores < 1 || c.Cores > 100 || c.Edges < 1 || c.Edges > 100:
		return fmt.Errorf("%w: want 1 to 100 cores and edges", ErrConfig)
	case c.Users < 2 || c.Users > 10_000:
		return fmt.Errorf("%w: want 2 to 10000 users", ErrConfig)
	case c.Devices < 1 || c.Devices > 9:
		return fmt.Errorf("%w: want 1 to 9 devices a user", ErrConfig)
	case c.GroupSize < 2 || c.GroupSize > 64:
		return fmt.Errorf("%w: want 2 to 64 members in a group", ErrConfig)
	}
	return nil
}

// Failure is the first broken promise of a run.
type Failure struct {
	Kind      string           `json:"kind"`
	At        time.Duration    `json:"at_ns"` // simulated
	Detail    string           `json:"detail"`
	Violation *check.Violation `json:"violation,omitempty"`
	Story     []string         `json:"story,omitempty"` // what befell that message, oldest first
}

// Report is a finished run.
type Report struct {
	Seed      uint64            `json:"seed"`
	Simulated time.Duration     `json:"simulated_ns"`
	Events    uint64            `json:"events"`
	Trace     string            `json:"trace"` // hash of everything that happened
	Acked     uint64            `json:"acked"`
	Messages  uint64            `json:"messages"`
	Moves     uint64            `json:"moves"` // of replicas, when there are more cores than replicas
	Calms     int               `json:"calms"` // times that the fleet was healed and found in order
	Elections uint64            `json:"elections"`
	Faults    map[string]uint64 `json:"faults"`
	// StatusBack counts status_updates that told less than an earlier one had.
	StatusBack uint64 `json:"status_back"`
	// PushGaps counts entries that were not pushed because a link lost the
	// batch. The client fetches them.
	PushGaps uint64          `json:"push_gaps"`
	Verdicts []check.Verdict `json:"verdicts"` // by device number
	Failure  *Failure        `json:"failure,omitempty"`
}

// OK reports whether every promise held.
func (r *Report) OK() bool { return r.Failure == nil }

// Run simulates a fleet until Config.For is over or a promise is broken; then
// it goes through it once more for the story of what broke. stop, which may be
// nil, is asked now and then whether to end early.
func Run(cfg Config, stop func() bool) (*Report, error) {
	return run(cfg, sound, stop)
}

func run(cfg Config, pl plant, stop func() bool) (*Report, error) {
	cfg.defaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	w, err := simulate(cfg, pl, nil, stop)
	if err != nil {
		return nil, err
	}
	rep := w.report()
	if f := rep.Failure; f != nil && f.Violation != nil {
		f.Story = w.tell(f)
	}
	return rep, nil
}

// settleFor is how long a healed fleet may take until it is in order.
const settleFor = 3 * time.Minute

func simulate(cfg Config, pl plant, w8 *watch, stop func() bool) (*world, error) {
	w, err := newWorld(cfg, pl, w8)
	if err != nil {
		return nil, err
	}
	defer w.caught()
	w.begin()
	ended := func() bool {
		return w.stopped() || stop != nil && w.e.events%4096 == 0 && stop()
	}
	w.e.run(10*time.Second, ended)
	for w.e.now < w.end && !ended() {
		w.talk()
		if !cfg.NoFaults {
			w.nemesis.start()
		}
		w.e.run(min(w.end, w.e.now+cfg.CalmEvery), ended)
		w.sending = false
		w.nemesis.stop()
		w.calm(ended)
	}
	for _, c := range w.checks {
		if w.broken == nil {
			w.verdict(c.Finish())
		}
	}
	return w, nil
}

// caught makes a panic of a machine, or of the model, the failure of the run.
func (w *world) caught() {
	if p := recover(); p != nil {
		w.fault("panic: %v\n%s", p, debug.Stack())
	}
}

// calm waits until the healed fleet is in order, and says what is not when that
// takes too long.
func (w *world) calm(ended func() bool) {
	give := w.e.now + settleFor
	why := ""
	for w.e.now < give && !ended() {
		w.e.run(w.e.now+time.Second, ended)
		if why = w.unrest(); why == "" {
			w.audit.settleSkips()
			w.figures.calms++
			return
		}
	}
	if !ended() {
		w.fault("stuck: %v after everything was healed, %s", settleFor, why)
	}
}

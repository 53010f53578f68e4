package sim

import (
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/wire"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// birth is what the wall clocks show when a run begins, in milliseconds since
// 1970. Any time would do.
const birth = 1_700_000_000_000

// engine is the loop: it knows the time, what happens next, and the one random
// source. Everything in a run hangs on it, so a run is a function of its seed.
type engine struct {
	now    time.Duration // since the run began
	rnd    *rand.Rand
	heap   []event // by (at, n)
	n      uint64  // events scheduled so far
	events uint64  // events carried out
	sum    uint64  // of everything that has happened
}

// event is something that happens at a time. One of a process does not happen
// when that process has died meanwhile, and waits while it is paused.
type event struct {
	at   time.Duration
	n    uint64
	fn   func()
	p    *proc
	life uint32
}

func newEngine(seed uint64) *engine {
	return &engine{rnd: rand.New(rand.NewPCG(seed, 0x73696d))}
}

// proc is a process: a core node or an edge.
type proc struct {
	e      *engine
	id     wire.NodeID
	life   uint32 // rises with every crash
	up     bool
	paused bool
	held   []event       // what is due since the pause began
	skew   time.Duration // of its wall clock
}

// after has fn carried out in d, if the process still lives then.
func (p *proc) after(d time.Duration, fn func()) {
	p.e.push(event{at: p.e.now + d, fn: fn, p: p, life: p.life})
}

// wall is the process's clock.
func (p *proc) wall() wire.Millis { return wire.Millis(birth + (p.e.now+p.skew)/ms) }

// mono is a clock for timeouts, in milliseconds; never zero.
func (p *proc) mono() int64 { return int64(p.e.now/ms) + 1 }

// die ends the process: nothing that it planned happens.
func (p *proc) die() {
	p.life++
	p.up, p.paused, p.held = false, false, nil
}

// resume ends a pause: what was due meanwhile happens now, in order.
func (p *proc) resume() {
	if !p.paused {
		return
	}
	p.paused = false
	held := p.held
	p.held = nil
	for _, ev := range held {
		ev.at = p.e.now
		p.e.push(ev)
	}
}

// after has fn carried out in d.
func (e *engine) after(d time.Duration, fn func()) { e.push(event{at: e.now + d, fn: fn}) }

// between draws a time from [lo, hi).
func (e *engine) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(e.rnd.Int64N(int64(hi-lo)))
}

// chance is true with probability p.
func (e *engine) chance(p float64) bool { return p > 0 && e.rnd.Float64() < p }

// mix notes that x happened.
func (e *engine) mix(x uint64) {
	e.sum = bits.RotateLeft64((e.sum^x)*0x9e3779b97f4a7c15, 29)
}

// mixBytes notes bytes that were delivered.
func (e *engine) mixBytes(b []byte) { e.mix(xxh3.Hash(b)) }

// run carries out events until the time is at least end, or stop says so.
func (e *engine) run(end time.Duration, stop func() bool) {
	for len(e.heap) > 0 && e.heap[0].at <= end && !stop() {
		ev := e.pop()
		e.now = ev.at
		if p := ev.p; p != nil {
			if ev.life != p.life {
				continue
			}
			if p.paused {
				p.held = append(p.held, ev)
				continue
			}
		}
		e.events++
		e.mix(uint64(ev.at))
		ev.fn()
	}
	if len(e.heap) == 0 || e.heap[0].at > end {
		e.now = max(e.now, end)
	}
}

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.n < b.n }

func (e *engine) push(ev event) {
	e.n++
	ev.n = e.n
	e.heap = append(e.heap, ev)
	i := len(e.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.heap[i].before(&e.heap[up]) {
			return
		}
		e.heap[i], e.heap[up] = e.heap[up], e.heap[i]
		i = up
	}
}

func (e *engine) pop() event {
	top := e.heap[0]
	last := len(e.heap) - 1
	e.heap[0] = e.heap[last]
	e.heap[last] = event{}
	e.heap = e.heap[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if e.heap[c].before(&e.heap[least]) {
				least = c
			}
		}
		if least == i {
			return top
		}
		e.heap[i], e.heap[least] = e.heap[least], e.heap[i]
		i = least
	}
}

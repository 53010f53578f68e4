package sim

import (
	"time"
)

// nemesis draws what goes wrong, and mends it.
type nemesis struct {
	w      *world
	on     bool
	round  uint64
	counts [len(faultNames)]uint64
	mend   []func() // what undoes the faults that last
}

// The kinds of fault.
const (
	faultKill = iota
	faultPowerOne
	faultPowerAll
	faultPause
	faultOneWay
	faultTwoWay
	faultIsolate
	faultCutLink
	faultLossy
	faultSlowNet
	faultSlowDisk
	faultEdge
	faultDropDevice
	faultSilent
	faultStall
	faultApp
)

var faultNames = [...]string{"kill", "power_loss_one", "power_loss_all", "pause", "partition_one_way", "partition_two_way",
	"isolate", "link_cut", "lossy", "slow_network", "slow_disk", "edge_restart", "disconnect", "half_open", "stalled_reader", "app_restart"}

// weights are how often each kind comes, of their sum.
var weights = [...]int{10, 6, 3, 8, 6, 6, 8, 6, 5, 4, 6, 6, 12, 8, 4, 6}

// start lets faults come until stop.
func (n *nemesis) start() {
	n.on = true
	n.round++
	n.plan()
}

func (n *nemesis) plan() {
	round := n.round
	gap := time.Duration(n.w.e.rnd.ExpFloat64() * float64(n.w.cfg.FaultEvery))
	n.w.e.after(gap, func() {
		if n.on && n.round == round {
			n.strike()
			n.plan()
		}
	})
}

// stop ends the faults and mends what is broken.
func (n *nemesis) stop() {
	n.on = false
	n.round++
	mend := n.mend
	n.mend = nil
	for _, fn := range mend {
		fn()
	}
}

// during undoes a fault after d, or when the faults stop.
func (n *nemesis) during(d time.Duration, undo func()) {
	done := false
	once := func() {
		if !done {
			done = true
			undo()
		}
	}
	n.mend = append(n.mend, once)
	n.w.e.after(d, once)
	if len(n.mend) > 200 {
		n.mend = n.mend[100:] // long over
	}
}

// span draws how long a fault lasts: mostly seconds, sometimes a minute.
func (n *nemesis) span() time.Duration {
	e := n.w.e
	if e.chance(0.2) {
		return e.between(10*time.Second, 60*time.Second)
	}
	return e.between(50*ms, 8*time.Second)
}

func (n *nemesis) draw() int {
	sum := 0
	for _, x := range weights {
		sum += x
	}
	at := n.w.e.rnd.IntN(sum)
	for i, x := range weights {
		if at -= x; at < 0 {
			return i
		}
	}
	return 0
}

func (n *nemesis) strike() {
	kind := n.draw()
	n.counts[kind]++
	if kind >= faultEdge {
		n.strikeEdge(kind)
		return
	}
	w, e := n.w, n.w.e
	c := w.cores[e.rnd.IntN(len(w.cores))]
	switch kind {
	case faultKill, faultPowerOne:
		n.crash(c, kind == faultPowerOne, n.span())
	case faultPowerAll:
		n.blackout()
	case faultPause:
		n.pause(c.p)
	case faultOneWay, faultTwoWay:
		n.partition(c, kind == faultTwoWay)
	case faultIsolate:
		n.isolate(c)
	case faultCutLink:
		w.net.linksOf(c.p.id, func(l *link) {
			if e.chance(0.5) {
				l.lose(e.between(0, 100*ms))
				l.dial(e.between(50*ms, 2*time.Second))
			}
		})
	case faultLossy:
		was, dup, drop := w.net.loss, w.net.dup, w.net.drop
		w.net.loss, w.net.dup, w.net.drop = 0.1, 0.05, 0.01
		n.during(n.span(), func() { w.net.loss, w.net.dup, w.net.drop = min(was, 0.001), min(dup, 0.001), min(drop, 0.00002) })
	case faultSlowNet:
		w.net.slow = e.between(5*ms, 200*ms)
		n.during(n.span(), func() { w.net.slow = 0 })
	case faultSlowDisk:
		c.disk.slow = e.between(5*ms, 500*ms)
		n.during(n.span(), func() { c.disk.slow = 0 })
	}
}

// blackout takes the power from all cores at once, half of the time after
// their disks have been slow for a while: then much is written and not synced.
func (n *nemesis) blackout() {
	w, after := n.w, time.Duration(0)
	if w.e.chance(0.5) {
		after = w.e.between(500*ms, 3*time.Second)
		for _, c := range w.cores {
			c.disk.slow = w.e.between(50*ms, 800*ms)
		}
	}
	round := n.round
	w.e.after(after, func() {
		for _, c := range w.cores {
			c.disk.slow = 0
			if n.round == round {
				n.crash(c, true, w.e.between(500*ms, 5*time.Second))
			}
		}
	})
}

// crash ends a core node and starts it again later, with another clock.
func (n *nemesis) crash(c *coreNode, power bool, back time.Duration) {
	if !c.p.up {
		return
	}
	w := n.w
	w.note(record{kind: "crashes", node: c.p.id})
	c.p.die()
	c.reps = nil
	c.disk.crash(w.shardIDs(), power)
	heard := w.e.between(0, 5*ms)
	if power {
		heard = w.e.between(0, linkTimeout)
	}
	w.net.died(c.p.id, heard)
	n.during(back, func() {
		w.note(record{kind: "starts", node: c.p.id})
		c.p.skew = w.e.between(-2*time.Second, 2*time.Second)
		c.start()
	})
}

// pause stops a process without its knowing.
func (n *nemesis) pause(p *proc) {
	if !p.up || p.paused {
		return
	}
	w := n.w
	w.note(record{kind: "pauses", node: p.id})
	p.paused = true
	life := p.life
	n.w.net.linksOf(p.id, func(l *link) {
		gen := l.gen
		w.e.after(linkTimeout, func() {
			if p.paused && p.life == life && l.gen == gen {
				l.lose(0)
			}
		})
	})
	n.during(n.span(), func() {
		if p.life == life {
			w.note(record{kind: "resumes", node: p.id})
			p.resume()
			w.net.linksOf(p.id, func(l *link) { l.dial(w.e.between(10*ms, 300*ms)) })
		}
	})
}

// partition cuts c off from one other node.
func (n *nemesis) partition(c *coreNode, both bool) {
	w := n.w
	other := w.net.ids[w.e.rnd.IntN(len(w.net.ids))]
	if other == c.p.id {
		return
	}
	from, to := c.p.id, other
	if w.e.chance(0.5) {
		from, to = to, from
	}
	w.note(record{kind: "cannot send to another", node: from})
	w.net.block(from, to)
	if both {
		w.net.block(to, from)
	}
	n.during(n.span(), func() {
		w.net.unblock(from, to)
		if both {
			w.net.unblock(to, from)
		}
	})
}

// isolate cuts c off from the other cores, and perhaps from the edges, or only
// from these.
func (n *nemesis) isolate(c *coreNode) {
	w := n.w
	cores, edges := w.e.chance(0.8), w.e.chance(0.4)
	w.note(record{kind: "is isolated", node: c.p.id})
	for _, id := range w.net.ids {
		if id == c.p.id || id < firstEdge && !cores || id >= firstEdge && !edges {
			continue
		}
		w.net.block(c.p.id, id)
		w.net.block(id, c.p.id)
	}
	n.during(n.span(), func() {
		w.note(record{kind: "is joined again", node: c.p.id})
		for _, id := range w.net.ids {
			if id != c.p.id {
				w.net.unblock(c.p.id, id)
				w.net.unblock(id, c.p.id)
			}
		}
	})
}

func (n *nemesis) strikeEdge(kind int) {
	w, e := n.w, n.w.e
	d := w.devices[e.rnd.IntN(len(w.devices))]
	s := d.sock
	switch {
	case kind == faultEdge:
		n.crashEdge(w.edges[e.rnd.IntN(len(w.edges))], e.chance(0.3))
	case kind == faultApp && d.m != nil:
		d.crash(n.span())
	case s == nil:
	case kind == faultDropDevice:
		s.cut()
	case kind == faultSilent:
		way := e.rnd.IntN(3)
		s.silent[toEdge] = way != toClient
		s.silent[toClient] = way != toEdge
		// Whoever writes into it learns of it at last.
		n.during(e.between(time.Second, 90*time.Second), func() {
			if d.sock == s {
				d.lost(s, errCut)
			}
			if s.c != nil && s.g.p.up {
				s.g.p.after(0, func() {
					if s.c != nil {
						s.c.gone()
					}
				})
			}
		})
	case kind == faultStall:
		s.stall(true)
		n.during(n.span(), func() { s.stall(false) })
	}
}

// crashEdge ends an edge. Its clients learn of it at once, or, when the host
// has gone, as they write.
func (n *nemesis) crashEdge(g *edgeNode, host bool) {
	if !g.p.up {
		return
	}
	w := n.w
	w.note(record{kind: "crashes", node: g.p.id})
	for _, id := range g.order {
		c := g.conns[id]
		s := c.s
		s.c = nil
		d := w.e.between(0, 50*ms)
		if host {
			d = w.e.between(time.Second, 20*time.Second)
		}
		w.e.after(d, func() { s.d.lost(s, errCut) })
	}
	g.p.die()
	w.net.died(g.p.id, w.e.between(0, 5*ms))
	n.during(w.e.between(100*ms, 10*time.Second), func() {
		w.note(record{kind: "starts", node: g.p.id})
		g.p.skew = w.e.between(-2*time.Second, 2*time.Second)
		g.start()
	})
}

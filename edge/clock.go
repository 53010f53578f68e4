package edge

import (
	"context"
	"time"
)

// schedule puts c where its wish to be woken is met: on the fine wheel for the
// next few seconds, on the coarse one otherwise. A connection has at most one
// valid entry on each; an entry that fires early is put back.
func (l *loop) schedule(c *conn) {
	if c.wake-l.tick < wheelSize-1 {
		l.addFine(c, c.wake)
		return
	}
	if at := c.wake/coarseTicks + 1; c.coarse == 0 || at < c.coarse {
		c.coarse = at
		l.seconds.add(c.h, at)
	}
}

// addFine asks for c to be looked at in fine tick at.
func (l *loop) addFine(c *conn, at uint32) {
	if l.fineLen == 0 {
		l.ticks.now = l.tick // the wheel stood still
	}
	at = min(max(at, l.ticks.now+1), l.ticks.now+wheelSize-1)
	if c.fine != 0 && c.fine <= at {
		return
	}
	c.fine = at
	l.ticks.add(c.h, at)
	l.fineLen++
	if !l.wantsFine.Load() {
		l.wantsFine.Store(true)
		l.srv.clock.kick()
	}
}

// advance is the loop's part of the clock: whoever is due is woken.
func (l *loop) advance() {
	if l.fineLen == 0 {
		l.ticks.now = l.tick // nothing waits: skip the empty buckets
	}
	l.ticks.advance(l.tick, l.lookFine)
	l.seconds.advance(l.tick/coarseTicks, l.lookCoarse)
	if l.tick/coarseTicks != l.second {
		l.second = l.tick / coarseTicks
		l.pending.Expire(l.shared.Now, l.lost)
	}
	l.flushLate()
	more := l.reopenSome()
	if l.fineLen == 0 && !more {
		l.wantsFine.Store(false)
	}
}

// lookFine is called for each entry of the fine wheel whose tick has come.
func (l *loop) lookFine(h handle) uint32 {
	l.fineLen--
	c := l.table.get(h)
	if c == nil || c.fine == 0 || c.fine > l.ticks.now {
		return 0 // gone, or an entry that an earlier one replaced
	}
	c.fine = 0
	l.wakeDue(c)
	return 0
}

// lookCoarse is lookFine for the coarse wheel.
func (l *loop) lookCoarse(h handle) uint32 {
	c := l.table.get(h)
	if c == nil || c.coarse == 0 || c.coarse > l.seconds.now {
		return 0
	}
	c.coarse = 0
	l.wakeDue(c)
	return 0
}

// wakeDue wakes c if it is time, and otherwise puts its wish back.
func (l *loop) wakeDue(c *conn) {
	h := c.h
	c.due()
	if c.open && c.h == h && c.wake != 0 {
		l.schedule(c)
	}
	if len(l.dirty) >= dirtyMax {
		l.flushSockets()
	}
}

// clock ticks the loops of a server: every second, and every fine tick for as
// long as a loop wants that.
type clock struct {
	wanted chan struct{}
}

// kick wakes the clock for a fine tick. It does not block.
func (k *clock) kick() {
	select {
	case k.wanted <- struct{}{}:
	default:
	}
}

// run ticks until ctx ends.
func (k *clock) run(ctx context.Context, loops []*loop) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	fine := time.NewTicker(fineTick)
	fine.Stop()
	defer fine.Stop()
	running := false
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-k.wanted:
			if !running {
				running = true
				fine.Reset(fineTick)
			}
			continue
		case <-fine.C:
		case <-second.C:
			all = true
		}
		wanted := false
		for _, l := range loops {
			fineToo := l.wantsFine.Load()
			wanted = wanted || fineToo
			if all || fineToo {
				l.post(work{kind: workTick})
			}
		}
		if running && !wanted {
			running = false
			fine.Stop()
		}
	}
}

package edge

// What a turn leads to for a socket is gathered and leaves in one write at the
// turn's end: a write to a loopback socket costs some 10 µs of processor time
// whatever it carries.
//
// A status update does not even lead to a write of its own. It waits, at most
// a fine tick, for something else to the same socket to ride along with: an
// acknowledgement was coalesced for as long on its way in, and nobody watches a
// tick that closely. At most dirtyMax may wait; more leave at once.

// output is what waits for one socket.
type output struct {
	h   handle // zero: taken away
	buf []byte
}

// outputs is what a loop has for its sockets. It belongs to the loop.
type outputs struct {
	dirty  []output // leaves at the end of the turn
	late   []output // leaves with something else, or at the next fine tick
	lately bool     // what is sent now is late
}

// lateKeep is how many bytes may be late for one socket; more leave at once.
const lateKeep = 1 << 10

// grow makes room for one more socket in list, reusing what an earlier turn
// left behind, and returns its place.
func grow(list *[]output, h handle) int {
	n := len(*list)
	if n < cap(*list) {
		*list = (*list)[:n+1]
	} else {
		*list = append(*list, output{})
	}
	(*list)[n].h = h
	return n
}

// buffer returns where the turn's output for c is gathered, behind what was
// late. It is valid until the next call.
func (l *loop) buffer(c *conn) *[]byte {
	if c.dirty == 0 {
		c.dirty = int32(grow(&l.dirty, c.h) + 1)
	}
	b := &l.dirty[c.dirty-1].buf
	if c.late != 0 {
		o := &l.late[c.late-1]
		*b = append(*b, o.buf...)
		o.h, o.buf, c.late = handle{}, o.buf[:0], 0
	}
	return b
}

// frameBuffer is buffer for a frame, which may be late.
func (l *loop) frameBuffer(c *conn) *[]byte {
	if !l.lately || c.dirty != 0 {
		return l.buffer(c)
	}
	if c.late == 0 {
		if len(l.late) >= dirtyMax {
			return l.buffer(c)
		}
		if len(l.late) == 0 && !l.wantsFine.Load() {
			l.wantsFine.Store(true)
			l.srv.clock.kick()
		}
		c.late = int32(grow(&l.late, c.h) + 1)
	}
	if b := &l.late[c.late-1].buf; len(*b) < lateKeep {
		return b
	}
	return l.buffer(c)
}

// flushLate makes what is late part of this turn.
func (l *loop) flushLate() {
	for i := range l.late {
		o := &l.late[i]
		if c := l.table.get(o.h); c != nil && c.late == int32(i+1) {
			l.buffer(c)
			if len(l.dirty) >= dirtyMax {
				l.flushSockets()
			}
		}
		o.buf = o.buf[:0] // also what was for a socket that is gone
	}
	l.late = l.late[:0]
}

// flushSockets writes what the turn has for sockets, each in one write. What
// the sessions answer to that is written too.
func (l *loop) flushSockets() {
	for i := 0; i < len(l.dirty); i++ {
		h, buf := l.dirty[i].h, l.dirty[i].buf
		l.dirty[i].buf = nil
		if c := l.table.get(h); c != nil {
			c.dirty = 0
			c.write(buf)
		}
		if cap(buf) <= bufferKeep {
			l.dirty[i].buf = buf[:0]
		}
	}
	l.dirty = l.dirty[:0]
}

// hold notes that the socket of c has not taken held bytes, and whether the
// loop is now above its part of outboundBudget.
func (l *loop) hold(c *conn, held int) {
	now := uint32(min(held, 1<<32-1))
	total := l.n.held.Add(int64(now) - int64(c.held))
	c.held = now
	l.shared.Tight = total > l.share
}

package edge

import (
	"bytes"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// conn is one WebSocket: the session machine, the socket it speaks through and
// what the loop keeps about both. It belongs to its loop. TestConnSize holds
// its budget: a million of them are a million times its size.
//
// It is the session's Actions.
type conn struct {
	loop *loop
	gc   gnet.Conn
	side *side // nil: plain, and nothing kept
	sess session.Session

	h handle
	// When the session wants its next Tick, and in which ticks the wheels
	// have a valid entry for this connection; 0 for none. In fine ticks,
	// coarse in coarse ones.
	wake, fine, coarse uint32
	// dirty is one more than the place in loop.dirty with bytes to write.
	dirty int32
	late  int32     // the same for loop.late
	held  uint32    // bytes that the socket did not take
	slot  wire.Slot // of the user; valid when known

	open    bool // the slot of the table is in use
	known   bool // the user is known
	closing bool // a close frame was written or is about to be
	doomed  bool // the wheel will end the socket whatever the peer does
	cut     bool // our side of the socket is shut; waiting for the peer
}

// side is what a connection has beside its socket's buffers: all of TLS, or
// bytes that came together with the upgrade.
type side struct {
	shim         // shim.conn is nil on a plain connection
	plain []byte // received and decrypted, and not yet enough for the session
}

var _ session.Actions = (*conn)(nil)

// Send implements session.Actions: the bytes leave at the end of the turn.
func (c *conn) Send(payload []byte) {
	if c.closing {
		return
	}
	b := c.loop.frameBuffer(c)
	*b = session.AppendHeader(*b, c.sess.Format(), len(payload))
	*b = append(*b, payload...)
	c.loop.n.framesOut.Add(1)
}

// Pong implements session.Actions.
func (c *conn) Pong(payload []byte) {
	if c.closing {
		return
	}
	b := c.loop.buffer(c)
	*b = session.AppendPong(*b, payload)
}

// Close implements session.Actions.
func (c *conn) Close(status uint16, why wire.Code) {
	if c.closing {
		return
	}
	b := c.loop.buffer(c)
	*b = session.AppendClose(*b, status, why)
	c.closing = true
}

// Authenticate implements session.Actions. When too many wait already, the
// session learns so in the next turn.
func (c *conn) Authenticate(token []byte) {
	job := verifyJob{loop: c.loop, h: c.h, token: bytes.Clone(token)}
	if !c.loop.srv.verify.submit(job) {
		c.loop.post(work{kind: workVerdict, h: c.h, code: wire.CodeTooFast})
	}
}

// Core implements session.Actions.
func (c *conn) Core(it *peer.Item, tag uint32) bool {
	slot := it.Chat.Slot()
	if ofUser(it.Op) {
		if !c.known {
			c.known, c.slot = true, wire.UserID(it.User).Slot()
		}
		slot = c.slot
	}
	return c.loop.ask(sessionID(c.loop.idx, c.h), slot, it, tag)
}

// Parted implements session.Actions.
func (c *conn) Parted(p *session.Parting) { c.loop.keep(p) }

// Wake implements session.Actions.
func (c *conn) Wake(at wire.Millis) {
	if c.doomed {
		return
	}
	if t := c.loop.tickOf(at); c.wake == 0 || t < c.wake {
		c.wake = t
		c.loop.schedule(c)
	}
}

// receive gives the session what the socket has. It is called when bytes have
// come.
func (c *conn) receive() {
	if c.side != nil && !c.closing {
		c.receiveBeside()
		return
	}
	for c.open && !c.closing {
		n := c.gc.InboundBuffered()
		if n == 0 || n < c.sess.Need() {
			return
		}
		window, err := c.gc.Peek(n)
		if err != nil {
			return
		}
		used := c.sess.Receive(c.loop.shared, c, window)
		if used > 0 {
			_, _ = c.gc.Discard(used)
		}
		if used == 0 || used == n {
			return
		}
	}
	if c.open {
		_, _ = c.gc.Discard(0) // all of it: nothing behind our close matters
	}
}

// receiveBeside is receive for a connection with a side: the socket's bytes
// are decrypted, or put behind those that were kept.
func (c *conn) receiveBeside() {
	var raw []byte
	if n := c.gc.InboundBuffered(); n > 0 {
		raw, _ = c.gc.Peek(n)
	}
	var err error
	if c.side.conn != nil {
		err = c.side.read(raw, c.loop.scratch, func(plain []byte) bool {
			c.offer(plain)
			return !c.closing
		})
	} else if c.offer(raw); c.side.plain == nil {
		c.side = nil
	}
	if len(raw) > 0 {
		_, _ = c.gc.Discard(0) // all of it
	}
	if c.side != nil && len(c.side.out) > 0 {
		c.loop.buffer(c) // answers of TLS itself, such as a key update
	}
	if err != nil && !c.closing {
		c.closing = true // the end of the stream, or a broken one
		c.loop.buffer(c)
	}
}

// offer gives the session plain bytes behind those that were not enough.
func (c *conn) offer(plain []byte) {
	window := plain
	if kept := c.side.plain; len(kept) > 0 {
		window = append(kept, plain...)
	}
	for len(window) >= c.sess.Need() && !c.closing {
		used := c.sess.Receive(c.loop.shared, c, window)
		if window = window[used:]; used == 0 {
			break
		}
	}
	if len(window) == 0 || c.closing {
		c.side.plain = nil
		return
	}
	c.side.plain = append(c.side.plain[:0], window...)
}

// write sends b, the output of a turn, and tells the session how much of it
// the socket has not taken. The connection may be gone afterwards.
func (c *conn) write(b []byte) {
	if c.cut {
		return
	}
	if c.side != nil && c.side.conn != nil {
		b = c.side.seal(b, c.closing)
	}
	if len(b) > 0 {
		c.loop.n.writes.Add(1)
		c.loop.n.bytesOut.Add(uint64(len(b)))
		h := c.h
		if _, err := c.gc.Write(b); err != nil || !c.open || c.h != h {
			return // gnet has closed the socket and called OnClose
		}
	}
	c.settle()
}

// settle acts on how much the socket holds back: it tells the session, watches
// a socket that is behind, and ends one that was to be closed.
func (c *conn) settle() {
	held := c.gc.OutboundBuffered()
	c.loop.hold(c, held)
	c.sess.OutboundBuffered(c.loop.shared, c, held)
	if held > 0 {
		c.loop.addFine(c, c.loop.tick+1)
	}
	if !c.closing {
		return
	}
	if held == 0 && !c.cut {
		c.shut()
	}
	if !c.doomed {
		c.doomed = true
		c.wake = c.loop.tick + uint32(lingerFor/fineTick)
		c.loop.schedule(c)
	}
}

// shut ends our side of the socket. The peer reads the close frame, which a
// plain close with unread bytes could destroy, and closes its side; the wheel
// ends a peer that does not.
func (c *conn) shut() {
	c.cut = true
	_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR)
}

// end closes the socket now; OnClose follows within the call.
func (c *conn) end() { _ = c.gc.EventLoop().Close(c.gc) }

// due is called when a wheel reaches the connection.
func (c *conn) due() {
	if c.held > 0 {
		c.settle()
	}
	if c.wake == 0 || c.wake > c.loop.tick {
		return
	}
	c.wake = 0
	if c.doomed {
		c.end()
		return
	}
	c.sess.Tick(c.loop.shared, c)
}

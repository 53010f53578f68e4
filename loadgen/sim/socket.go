package sim

import (
	"slices"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// socket is the TCP connection of a device to an edge: bytes each way, in
// order, cut into segments anywhere. It may be cut, go silent in one direction
// (half-open) or stall, when the client does not read.
type socket struct {
	w       *world
	d       *device
	g       *edgeNode
	c       *conn // nil once the edge has let go of it
	last    [2]time.Duration
	silent  [2]bool // nothing comes through, and nobody is told
	stalled bool    // the client does not read
}

const (
	toEdge   = 0
	toClient = 1
)

// conn is the edge's end, and the session's Actions.
type conn struct {
	g    *edgeNode
	s    *socket
	sess session.Session
	id   wire.SessionID
	slot wire.Slot
	wake wire.Millis
	in   []byte
	out  []byte
	held int // bytes that a stalled socket has not taken

	known, closing, waits bool

	// The newest entry that was pushed, and by whom, for the audit.
	pushFrom wire.NodeID
	pushSeq  wire.Seq
}

// arrive schedules fn behind what was sent before in the same direction.
func (s *socket) arrive(way int, fn func()) {
	e := s.w.e
	s.last[way] = max(s.last[way], e.now+e.between(200*us, 4*ms)) + 1
	d := s.last[way] - e.now
	if way == toEdge {
		s.g.p.after(d, fn)
		return
	}
	e.after(d, fn)
}

// write sends bytes, in one segment or two.
func (s *socket) write(way int, b []byte) {
	if s.silent[way] {
		return
	}
	if len(b) > 1 && s.w.e.chance(0.05) {
		at := 1 + s.w.e.rnd.IntN(len(b)-1)
		s.segment(way, b[:at])
		b = b[at:]
	}
	s.segment(way, b)
}

func (s *socket) segment(way int, b []byte) {
	b = slices.Clone(b)
	s.arrive(way, func() {
		if s.silent[way] {
			return
		}
		s.w.e.mixBytes(b)
		if way == toClient {
			s.d.receive(s, b)
		} else if s.c != nil {
			s.c.receive(b)
		}
	})
}

// hangUp is the client closing its end.
func (s *socket) hangUp() {
	s.arrive(toEdge, func() {
		if c := s.c; c != nil && !s.silent[toEdge] {
			c.gone()
		}
	})
}

// cut ends the connection for both sides.
func (s *socket) cut() {
	s.hangUp()
	s.arrive(toClient, func() { s.d.lost(s, errCut) })
}

// stall stops or resumes the client's reading.
func (s *socket) stall(on bool) {
	s.stalled = on
	if c := s.c; !on && c != nil && s.g.p.up {
		s.g.p.after(0, func() {
			s.g.begin()
			c.touch()
			s.g.finish()
		})
	}
}

// accept makes a session of a socket that was opened.
func (g *edgeNode) accept(s *socket) {
	g.begin()
	g.last++
	c := &conn{g: g, s: s, id: wire.SessionID(uint64(g.last)<<32 | uint64(g.salt))}
	s.c = c
	g.conns[c.id] = c
	g.order = append(g.order, c.id)
	c.sess.Start(g.loop, c, c.id, wire.Msgpack, nil)
	g.finish()
}

func (c *conn) receive(b []byte) {
	if c.closing {
		return
	}
	c.g.begin()
	c.in = append(c.in, b...)
	used := c.sess.Receive(c.g.loop, c, c.in)
	c.in = slices.Clone(c.in[used:])
	c.g.finish()
}

// gone says that the client's end is closed.
func (c *conn) gone() {
	c.g.begin()
	c.sess.Gone(c.g.loop, c)
	c.drop()
	c.g.finish()
}

func (c *conn) drop() {
	delete(c.g.conns, c.id)
	c.g.order = slices.DeleteFunc(c.g.order, func(id wire.SessionID) bool { return id == c.id })
	c.s.c, c.closing = nil, true
}

// touch has the end of the turn look at c.
func (c *conn) touch() {
	if !c.waits {
		c.waits = true
		c.g.dirty = append(c.g.dirty, c)
	}
}

// flush writes what the session had to say.
func (c *conn) flush() {
	c.waits = false
	if c.s.c != c {
		return
	}
	if c.s.stalled && !c.closing {
		c.held = len(c.out)
		c.sess.OutboundBuffered(c.g.loop, c, c.held)
		return
	}
	if len(c.out) > 0 {
		c.s.write(toClient, c.out)
		c.out = nil
	}
	if c.closing {
		s := c.s
		c.drop()
		s.arrive(toClient, func() { s.d.lost(s, errCut) })
		return
	}
	c.held = 0
	c.sess.OutboundBuffered(c.g.loop, c, 0)
}

// Send implements session.Actions.
func (c *conn) Send(payload []byte) {
	if !c.closing {
		c.out = append(session.AppendHeader(c.out, wire.Msgpack, len(payload)), payload...)
		c.touch()
	}
}

// Pong implements session.Actions.
func (c *conn) Pong(payload []byte) {
	if !c.closing {
		c.out = session.AppendPong(c.out, payload)
		c.touch()
	}
}

// Close implements session.Actions.
func (c *conn) Close(status uint16, why wire.Code) {
	if !c.closing {
		c.out = session.AppendClose(c.out, status, why)
		c.closing = true
		c.touch()
	}
}

// Authenticate implements session.Actions: a token is the user's id.
func (c *conn) Authenticate(token []byte) {
	user := wire.UserID(token)
	c.g.p.after(c.g.w.e.between(50*us, 500*us), func() {
		if c.s.c != c {
			return
		}
		c.g.begin()
		c.sess.Authenticated(c.g.loop, c, &session.Identity{User: user}, wire.OK)
		c.g.finish()
	})
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
	return c.g.ask(c.id, slot, it, tag)
}

// Parted implements session.Actions.
func (c *conn) Parted(p *session.Parting) {
	c.g.leavers[p.Session()] = &leaver{g: c.g, parting: p, slot: wire.UserID(p.User()).Slot()}
}

// Wake implements session.Actions.
func (c *conn) Wake(at wire.Millis) {
	if c.wake != 0 && c.wake <= at {
		return
	}
	c.wake = at
	d := fineTick
	if now := c.g.p.wall(); at > now {
		d = (time.Duration(at-now)*ms + fineTick - 1) / fineTick * fineTick
	}
	c.g.p.after(d, func() {
		if c.wake != at || c.s.c != c {
			return
		}
		c.wake = 0
		c.g.begin()
		c.sess.Tick(c.g.loop, c)
		c.g.finish()
	})
}

// appendFrame appends a client's WebSocket frame.
func appendFrame(b []byte, mask uint32, f *wire.Frame) []byte {
	body := wire.AppendMsgpack(nil, f)
	h := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: int64(len(body)),
		Mask: [4]byte{byte(mask), byte(mask >> 8), byte(mask >> 16), byte(mask >> 24)}}
	w := sliceWriter{b}
	_ = ws.WriteHeader(&w, h) // a slice takes everything
	ws.Cipher(body, h.Mask, 0)
	return append(w.b, body...)
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// nextFrame takes a frame from what an edge sent; ok is false when it is not
// all there.
func nextFrame(b []byte) (op ws.OpCode, body, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, b, false
	}
	n, at := uint64(b[1]&0x7f), 2
	size := map[uint64]int{126: 2, 127: 8}[n]
	if size > 0 {
		if len(b) < at+size {
			return 0, nil, b, false
		}
		n = 0
		for _, x := range b[at : at+size] {
			n = n<<8 | uint64(x)
		}
		at += size
	}
	if uint64(len(b)-at) < n {
		return 0, nil, b, false
	}
	end := at + int(n)
	return ws.OpCode(b[0] & 0x0f), b[at:end], b[end:], true
}

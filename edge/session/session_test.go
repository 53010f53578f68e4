package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// TestSessionSize holds the budget of what a million connections have a
// million times. Raise it with a sentence of why in the commit.
func TestSessionSize(t *testing.T) {
	const budget = 160
	if n := unsafe.Sizeof(Session{}); n > budget {
		t.Errorf("a Session takes %d bytes, the budget is %d", n, budget)
	}
	for name, c := range map[string]struct{ got, want uintptr }{
		"ackRow":      {unsafe.Sizeof(ackRow{}), 56},
		"heldPush":    {unsafe.Sizeof(heldPush{}), 32},
		"syncRow":     {unsafe.Sizeof(syncRow{}), 24},
		"pendingSlot": {unsafe.Sizeof(pendingSlot{}), 128},
	} {
		if c.got > c.want {
			t.Errorf("%s takes %d bytes; limits.go says %d", name, c.got, c.want)
		}
	}
}

// nowhere is a driver that does nothing and remembers the last of everything.
type nowhere struct {
	asks   int
	item   peer.Item
	tag    uint32
	sent   int
	frame  []byte
	bytes  int
	closed wire.Code
	status uint16
	wake   wire.Millis
	parted *Parting
}

func (n *nowhere) Send(b []byte)                      { n.sent++; n.bytes += len(b); n.frame = append(n.frame[:0], b...) }
func (n *nowhere) Pong(b []byte)                      { n.sent++; n.bytes += len(b) }
func (n *nowhere) Close(status uint16, why wire.Code) { n.status, n.closed = status, why }
func (n *nowhere) Authenticate([]byte)                {}
func (n *nowhere) Wake(at wire.Millis)                { n.wake = at }
func (n *nowhere) Parted(p *Parting)                  { n.parted = p }

func (n *nowhere) Core(it *peer.Item, tag uint32) bool {
	n.asks++
	n.item, n.tag = *it, tag
	return true
}

// answer is the Ask of the last request.
func (n *nowhere) answer() *Ask {
	return &Ask{Chat: n.item.Chat, Tag: n.tag, Op: n.item.Op, ClientMsgID: []byte("m-1")}
}

func newLoop(t testing.TB, cfg Config) *Loop {
	t.Helper()
	l, err := NewLoop(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Now = storyStart
	return l
}

// unlimited is a configuration in which rates do not get in the way.
func unlimited() Config {
	cfg := Defaults()
	cfg.SendRate, cfg.OpsRate, cfg.InFlight = 0, 0, 1<<16-1
	return cfg
}

// liveSession brings a session to Live with its sync done.
func liveSession(t testing.TB, l *Loop, f wire.Format) (*Session, *nowhere) {
	t.Helper()
	s, out := new(Session), new(nowhere)
	s.Start(l, out, 7, f, &Identity{User: "alice", Device: "phone"})
	s.Message(l, out, wire.Append(nil, &wire.Frame{Op: wire.OpHello}, f))
	s.CoreReply(l, out, out.answer(), &peer.Item{Op: peer.OpReply})
	s.CoreReply(l, out, out.answer(), &peer.Item{Op: peer.OpChangesReply})
	s.OutboundBuffered(l, out, 0)
	if s.State() != Live || s.sync != nil {
		t.Fatalf("state %v, sync %v", s.State(), s.sync)
	}
	return s, out
}

// TestMatrix enumerates every state and operation: what the table decides and
// what the client then sees. testdata/matrix.txt lists it; a forbidden pair
// must be answered and must ask nothing of a core.
func TestMatrix(t *testing.T) {
	var got strings.Builder
	words := map[decision]string{take: "taken", wrongState: "FORBIDDEN", goingAway: "GOING AWAY", ignore: "ignored"}
	for state := Handshake; state < numStates; state++ {
		for i := range wire.Ops {
			op := wire.Ops[i].Op
			d := decide(state, op)
			fmt.Fprintf(&got, "%-15s %-14s %s\n", state, op, words[d])
			checkCell(t, state, op, d)
		}
	}
	story.Golden(t, "testdata/matrix.txt", got.String(), *update)
}

// inState returns a session in state.
func inState(t *testing.T, l *Loop, state State) (*Session, *nowhere) {
	t.Helper()
	s, out := new(Session), new(nowhere)
	switch state {
	case Handshake:
		s.Start(l, out, 7, wire.Msgpack, nil)
	case Authenticating:
		s.Start(l, out, 7, wire.Msgpack, nil)
		s.Message(l, out, wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpHello, Token: []byte("t")}))
	case Live:
		s, out = liveSession(t, l, wire.Msgpack)
	case Draining:
		s, out = liveSession(t, l, wire.Msgpack)
		s.Drain(l, out, 1)
	case Closed:
		s, out = liveSession(t, l, wire.Msgpack)
		s.Gone(l, out)
	}
	if s.State() != state {
		t.Fatalf("state %v, want %v", s.State(), state)
	}
	return s, out
}

// fullFrame returns a frame of op with every field set.
func fullFrame(op wire.Op) *wire.Frame {
	return &wire.Frame{
		Op: op, Chat: storyChat(1), Seq: 1, User: []byte("u"), Device: []byte("d"), Token: []byte("t"), Content: []byte("c"),
		ClientMsgID: []byte("m"), Status: wire.StatusRead, Typing: wire.TypingStart, Code: 1, Message: []byte("m"), At: 1, HeartbeatS: 1, RetryAfter: 1,
	}
}

func checkCell(t *testing.T, state State, op wire.Op, d decision) {
	t.Helper()
	l := newLoop(t, Defaults())
	s, out := inState(t, l, state)
	asks, sent := out.asks, out.sent
	s.Message(l, out, wire.AppendMsgpack(nil, fullFrame(op)))
	var answer wire.Frame
	if out.sent > sent {
		if err := wire.DecodeMsgpack(out.frame, &answer); err != nil {
			t.Fatal(err)
		}
	}
	want := map[decision]wire.Code{wrongState: wire.CodeWrongState, goingAway: wire.CodeGoingAway}[d]
	switch {
	case answer.Code != want:
		t.Errorf("%v in %v: answered with %v, want %v", op, state, answer.Code, want)
	case d != take && (out.asks != asks || s.State() != state):
		t.Errorf("%v in %v: %v, yet it asked a core or changed the state", op, state, d)
	case d == ignore && out.sent != sent:
		t.Errorf("%v in %v was answered", op, state)
	}
}

// TestClosedIsSilent: whatever comes after the end, nothing leaves.
func TestClosedIsSilent(t *testing.T) {
	l := newLoop(t, Defaults())
	s, out := inState(t, l, Closed)
	before := *out
	in := frame(bin, true, string(wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpPing})))
	if n := s.Receive(l, out, in); n != len(in) {
		t.Errorf("consumed %d of %d bytes", n, len(in))
	}
	s.Authenticated(l, out, &Identity{User: "eve"}, wire.OK)
	s.Deliver(l, out, &Push{Op: wire.OpNewMessage, Chat: storyChat(1), Seq: 1, Frame: []byte{1}})
	s.CoreReply(l, out, &Ask{Op: peer.OpAppend}, &peer.Item{Op: peer.OpReply})
	s.Lost(l, out, &Ask{Op: peer.OpOpen})
	s.Resync(l, out)
	s.Reopen(l, out)
	s.OutboundBuffered(l, out, 1<<30)
	l.Now += 1 << 30
	s.Tick(l, out)
	s.Drain(l, out, 1)
	s.Gone(l, out)
	if out.asks != before.asks || out.sent != before.sent || out.closed != before.closed || out.wake != before.wake {
		t.Errorf("something left: %+v, before %+v", out, before)
	}
}

// TestAcksAreBounded: however many conversations a client acknowledges, what
// is remembered has a bound, and the one too many hears so.
func TestAcksAreBounded(t *testing.T) {
	l := newLoop(t, unlimited())
	s, out := liveSession(t, l, wire.Msgpack)
	f := wire.Frame{Op: wire.OpAckDelivered, Seq: 1}
	asks := out.asks
	for i := range MaxAcks {
		f.Chat = wire.ChatID{byte(wire.Direct), byte(i >> 8), byte(i)}
		s.Message(l, out, wire.AppendMsgpack(nil, &f))
		if i+1 == flushAt && out.asks != asks+flushAt {
			t.Errorf("%d conversations wait: %d were sent", flushAt, out.asks-asks)
		}
	}
	if out.sent != 2 || out.asks != asks+MaxAcks {
		t.Errorf("%d frames, %d requests after %d receipts", out.sent, out.asks-asks, MaxAcks)
	}
	f.Chat = wire.ChatID{byte(wire.Direct), 255, 255}
	s.Message(l, out, wire.AppendMsgpack(nil, &f))
	var answer wire.Frame
	if err := wire.DecodeMsgpack(out.frame, &answer); err != nil || answer.Code != wire.CodeTooFast || answer.RetryAfter == 0 {
		t.Errorf("one too many: %v, %v", answer, err)
	}
	if len(s.acks.rows) > MaxAcks {
		t.Errorf("%d rows", len(s.acks.rows))
	}
	for i := range MaxAcks {
		chat := wire.ChatID{byte(wire.Direct), byte(i >> 8), byte(i)}
		s.CoreReply(l, out, &Ask{Op: peer.OpReceipt, Chat: chat}, &peer.Item{})
		s.CoreReply(l, out, &Ask{Op: peer.OpMark, Chat: chat}, &peer.Item{})
	}
	if s.acks != nil {
		t.Errorf("all is confirmed, yet %d rows are kept", len(s.acks.rows))
	}
}

// TestHeldIsBounded: pushes of more conversations than a sync remembers lead
// to another round of changes.
func TestHeldIsBounded(t *testing.T) {
	l := newLoop(t, unlimited())
	s, out := liveSession(t, l, wire.Msgpack)
	s.Resync(l, out)
	for i := range MaxHeld + 1 {
		s.Deliver(l, out, &Push{Op: wire.OpNewMessage, Chat: wire.ChatID{byte(wire.Direct), byte(i)}, Seq: 1, Frame: []byte{1}})
	}
	if len(s.sync.held) != MaxHeld || l.Counters.HeldOverflow.Load() != 1 {
		t.Errorf("%d held, %d overflows", len(s.sync.held), l.Counters.HeldOverflow.Load())
	}
	ranges, changes := 0, 0
	for s.sync != nil {
		it := &peer.Item{Op: peer.OpRangeReply}
		if out.item.Op == peer.OpChanges {
			changes++
			it.Op = peer.OpChangesReply
		} else {
			ranges++
		}
		s.CoreReply(l, out, out.answer(), it)
	}
	if ranges != MaxHeld || changes != 2 {
		t.Errorf("%d ranges, %d rounds of changes; want %d and 2", ranges, changes, MaxHeld)
	}
}

// TestHotFramesAllocateNothing covers the way of a message through an edge: a
// send in, its ack out, a push out, its receipt in.
func TestHotFramesAllocateNothing(t *testing.T) {
	l := newLoop(t, unlimited())
	s, out := liveSession(t, l, wire.Msgpack)
	h := hotFrames(t)
	window := make([]byte, len(h.send)+len(h.ack))
	ask := Ask{Op: peer.OpAppend, Chat: storyChat(1), ClientMsgID: []byte("m-1")}
	receipt := Ask{Op: peer.OpReceipt, Chat: storyChat(1)}
	reply := peer.Item{Op: peer.OpReply, Seq: 9, At: 10}
	step := func() {
		copy(window[copy(window, h.send):], h.ack)
		if n := s.Receive(l, out, window); n != len(window) {
			t.Fatalf("consumed %d of %d", n, len(window))
		}
		s.CoreReply(l, out, &ask, &reply)
		s.Deliver(l, out, &h.push)
		s.OutboundBuffered(l, out, 0)
		l.Now += AckDelay
		s.Tick(l, out)
		s.CoreReply(l, out, &receipt, &reply) // the mark stays out, so the row stays
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.Counters.Sends.Load() < 1000 || l.Counters.Acked.Load() < 1000 || l.Counters.Pushed.Load() < 1000 || out.closed != 0 {
		t.Errorf("not what was meant: %d sends, %d acks, %d pushes, closed %v", l.Counters.Sends.Load(), l.Counters.Acked.Load(), l.Counters.Pushed.Load(), out.closed)
	}
}

type hot struct {
	send, ack []byte // as they come from the socket
	push      Push
}

func hotFrames(t testing.TB) hot {
	t.Helper()
	mask := func(f *wire.Frame) []byte { return frame(bin, true, string(wire.AppendMsgpack(nil, f))) }
	return hot{
		send: mask(&wire.Frame{Op: wire.OpSendMessage, Chat: storyChat(1), ClientMsgID: []byte("0123456789abcdef0123456789abcdef"), Content: bytes.Repeat([]byte("x"), 100)}),
		ack:  mask(&wire.Frame{Op: wire.OpAckDelivered, Chat: storyChat(1), Seq: 1 << 40}),
		push: Push{Op: wire.OpNewMessage, Chat: storyChat(1), Seq: 5, Frame: storyMessage(storyChat(1), 5, 100)},
	}
}

// FuzzReceive feeds a session anything, in any cuts: it must not panic, must
// not hold more than was sent, and must answer no stranger with a core's work.
func FuzzReceive(f *testing.F) {
	for _, v := range vectors() {
		if s := bytes.Join(v.frames, nil); len(s) < 1<<12 {
			f.Add(s, uint8(3), v.format == wire.JSON, true)
		}
	}
	for i := range wire.Ops {
		fr := fullFrame(wire.Ops[i].Op)
		f.Add(frame(bin, true, string(wire.AppendMsgpack(nil, fr))), uint8(0), false, true)
		f.Add(frame(text, true, string(wire.AppendJSON(nil, fr))), uint8(0), true, false)
	}
	f.Fuzz(func(t *testing.T, stream []byte, chunk uint8, js, live bool) {
		format := wire.Msgpack
		if js {
			format = wire.JSON
		}
		l := newLoop(t, unlimited())
		s, out := new(Session), new(nowhere)
		if live {
			s, out = liveSession(t, l, format)
		} else {
			s.Start(l, out, 7, format, nil)
		}
		asks := out.asks
		window := bytes.Clone(stream)
		for from, upto := 0, 0; upto < len(window); {
			upto = min(upto+int(chunk)+1, len(window))
			from += s.Receive(l, out, window[from:upto])
			if from > upto || s.State() != Closed && s.Need() <= upto-from {
				t.Fatalf("consumed %d of %d, needs %d", from, upto, s.Need())
			}
			if g := s.reader.gathered; g != nil && len(g.data) > upto {
				t.Fatalf("holds %d bytes of %d", len(g.data), upto)
			}
			l.Now += 10
			s.Tick(l, out)
		}
		if !live && out.asks != asks {
			t.Fatal("a stranger made a core work")
		}
		if s.State() == Closed && out.closed.SpecOf() == nil && out.closed != wire.OK {
			t.Fatalf("closed for %v", out.closed)
		}
	})
}

// TestSizesBeforeAndAfterWelcome: a stranger may send a hello and no more; a
// live session the largest content.
func TestSizesBeforeAndAfterWelcome(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte("t"), n) }
	for n, want := range map[int]wire.Code{
		wire.MaxToken: wire.OK, wire.MaxToken + 1: wire.CodeTokenTooLong, preAuthMax: wire.CodeFrameTooBig,
	} {
		l, s, out := newLoop(t, Defaults()), new(Session), new(nowhere)
		s.Start(l, out, 7, wire.JSON, nil)
		s.Receive(l, out, frame(text, true, string(wire.AppendJSON(nil, &wire.Frame{Op: wire.OpHello, Token: long(n)}))))
		if out.closed != want {
			t.Errorf("token of %d bytes: closed for %v, want %v", n, out.closed, want)
		}
	}
	for _, f := range []wire.Format{wire.JSON, wire.Msgpack} {
		l := newLoop(t, Defaults())
		s, out := liveSession(t, l, f)
		in := &wire.Frame{Op: wire.OpSendMessage, Chat: storyChat(1), ClientMsgID: []byte("m"), Content: bytes.Repeat([]byte{1}, wire.MaxContent)}
		op := bin
		if f == wire.JSON {
			op = text
		}
		s.Receive(l, out, frame(op, true, string(wire.Append(nil, in, f))))
		if out.item.Op != peer.OpAppend || len(out.item.Body) != wire.MaxContent {
			t.Errorf("format %d: the largest content led to %v, closed for %v", f, out.item.Op, out.closed)
		}
	}
}

package session

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// State is how far a connection has come.
type State uint8

// The states. A session moves down this list, but for one step back: a hello
// that names another device than its token is refused and may be repeated.
const (
	Handshake      State = iota // the socket is open; hello has not come
	Authenticating              // hello came; the token or the user's shard is being asked
	Live                        // welcome was sent
	Draining                    // going_away was sent
	Closed                      // a close was asked for, or the socket is gone
	numStates
)

// Identity is who a verified token names.
type Identity struct {
	User    wire.UserID
	Device  wire.DeviceID // empty when the token names none
	Expires wire.Millis   // when the token expires; 0: never
}

// Push is a frame that a core pushed, encoded in the session's format.
type Push struct {
	Op    wire.Op // OpNewMessage, OpStatusUpdate or OpTyping
	Chat  wire.ChatID
	Seq   wire.Seq
	Frame []byte

	// Of a status update: whose cursor, and which. Seq is where it is.
	User   []byte
	Status wire.Status
}

// Ask is what is known about a request when its answer comes.
type Ask struct {
	Session     wire.SessionID
	Chat        wire.ChatID
	Tag         uint32
	Node        wire.NodeID // who was asked
	Op          peer.Op
	ClientMsgID []byte // view of the table
}

// flags are the session's bits.
type flags uint8

const (
	flagNamed  flags = 1 << iota // the token named the device
	flagBearer                   // the upgrade carried the token
	flagOpened                   // OpOpen was sent: the core is owed an OpClose
	flagStale                    // pushes were shed: sync once the socket has drained
	flagHeld                     // the socket has not taken all that was written
	flagTyping                   // typing start was forwarded and no stop since
)

// Session is one connection. It is made by Start, belongs to one loop and is
// not copied. When nothing is under way it is these bytes, the two ids and
// nothing else; a test asserts how many.
type Session struct {
	reader Reader

	// Set by Start and sign-in.
	id      wire.SessionID
	ids     []byte // user, then device
	expires wire.Millis

	cursor wire.Cursor // what has been sent of the user's changes; the next sync starts here
	sync   *syncer     // nil: nothing to sync
	acks   *acks       // nil: no receipts under way

	// Times.
	heard  wire.Millis // when the client was last heard
	due    wire.Millis // when the state ends; 0: it does not
	wake   wire.Millis // the Wake that was asked for; 0: none
	slowAt wire.Millis // since when the socket holds more than the low-water mark; 0: it does not
	typed  wire.Millis // when typing start was last forwarded
	sends  gcra
	ops    gcra

	tag      uint32 // of the sync request that is out
	outbound uint32 // bytes that the socket has not taken
	inFlight uint16 // sends that are not answered
	strikes  uint16 // pings refused since the client last paused
	userLen  uint8  // of ids; 0: nobody has signed in
	state    State
	flags    flags
}

// preAuthMax bounds messages until welcome: hello with the longest token and
// device. It is what a stranger can make an edge hold.
const preAuthMax = wire.FrameOverhead

// Start begins a session in state Handshake. who is nil unless the upgrade
// carried a valid token; then a token in hello is not looked at.
func (s *Session) Start(l *Loop, out Actions, id wire.SessionID, f wire.Format, who *Identity) {
	l.out = out
	*s = Session{reader: NewReader(f, preAuthMax), id: id, heard: l.Now, due: l.Now + HelloTimeout}
	if who != nil {
		s.identify(who)
		s.flags |= flagBearer
	}
	s.plan(l)
}

func (s *Session) identify(who *Identity) {
	s.ids = append(append(make([]byte, 0, len(who.User)+max(len(who.Device), len(defaultDevice))), who.User...), who.Device...)
	s.userLen = uint8(len(who.User))
	s.expires = who.Expires
	if who.Device != "" {
		s.flags |= flagNamed
	}
}

// Receive handles the bytes that a socket has received and not yet consumed,
// as many complete frames as there are. It returns how many bytes it consumed:
// the driver discards them. window is changed in place.
func (s *Session) Receive(l *Loop, out Actions, window []byte) (consumed int) {
	l.out = out
	if len(window) > 0 {
		s.heard = l.Now
	}
	for s.state != Closed {
		ev, payload, n := s.reader.Next(window[consumed:])
		consumed += n
		switch ev {
		case NeedMore:
			return consumed
		case GotMessage:
			s.message(l, payload)
		case GotPing:
			s.pong(l, payload)
		case GotEmpty:
			s.empty(l)
		case GotClose:
			s.end(l, statusOf(payload), wire.OK)
		case Broken:
			s.fatal(l, s.reader.Err())
		}
	}
	return len(window)
}

// Need returns how many bytes the window must have before Receive can get
// any further, so that the driver need not offer fewer.
func (s *Session) Need() int { return s.reader.Need() }

// Message handles one message whose framing somebody else took off.
func (s *Session) Message(l *Loop, out Actions, payload []byte) {
	l.out = out
	s.heard = l.Now
	if s.state != Closed {
		s.message(l, payload)
	}
}

// message decodes, limits, looks the decision up and acts.
func (s *Session) message(l *Loop, payload []byte) {
	l.Counters.Messages.Add(1)
	err := wire.Decode(payload, &l.in, s.reader.format)
	if wait := s.limit(l, l.in.Op); wait > 0 {
		if l.in.Op != wire.OpPing || !s.strike(l) {
			s.refuseIn(l, wire.CodeTooFast, wait)
		}
		return
	}
	if err != nil {
		s.undecodable(l, err, len(payload))
		return
	}
	switch decide(s.state, l.in.Op) {
	case wrongState:
		s.refuseIn(l, wire.CodeWrongState, 0)
	case goingAway:
		s.refuseIn(l, wire.CodeGoingAway, SendRetryAfter)
	case take:
		s.handle(l)
	}
}

func (s *Session) limit(l *Loop, op wire.Op) wire.Millis {
	if op == wire.OpSendMessage {
		return s.sends.allow(l.Now, l.cfg.SendRate, l.cfg.SendBurst)
	}
	if s.ops.empty(l.Now) {
		s.strikes = 0
	}
	return s.ops.allow(l.Now, l.cfg.OpsRate, l.cfg.OpsBurst)
}

// strike counts a ping that was refused and ends a client that goes on and on:
// no client needs one more often than the heartbeat. It reports whether it did.
func (s *Session) strike(l *Loop) bool {
	if s.strikes++; s.strikes < MaxStrikes {
		return false
	}
	l.Counters.TooFast.Add(1)
	s.fatal(l, wire.CodeTooFast)
	return true
}

// handle acts on l.in, which fits the state.
func (s *Session) handle(l *Loop) {
	switch l.in.Op {
	case wire.OpHello:
		s.hello(l)
	case wire.OpSendMessage:
		s.sendMessage(l)
	case wire.OpAckDelivered:
		s.ack(l, l.in.Chat, l.in.Seq, 0)
	case wire.OpAckRead:
		s.ack(l, l.in.Chat, l.in.Seq, l.in.Seq) // who has read it has it
	case wire.OpTyping:
		s.typing(l)
	case wire.OpPing:
		l.frame = wire.Frame{Op: wire.OpPong}
		s.send(l)
	}
}

// pong answers a WebSocket ping. Of too many, some stay without an answer, as
// RFC 6455 allows.
func (s *Session) pong(l *Loop, payload []byte) {
	if s.limit(l, wire.OpPing) > 0 {
		if !s.strike(l) {
			l.Counters.TooFast.Add(1)
		}
		return
	}
	if s.admit(l, dear, len(payload)) {
		l.out.Pong(payload)
	}
}

// empty charges for a fragment that brings nothing: no limit of bytes ends a
// message that goes on and on so.
func (s *Session) empty(l *Loop) {
	if s.limit(l, wire.OpPing) > 0 && !s.strike(l) {
		l.Counters.TooFast.Add(1)
	}
}

// CoreReply brings the answer to a request.
func (s *Session) CoreReply(l *Loop, out Actions, ask *Ask, it *peer.Item) {
	l.out = out
	if s.state == Closed {
		l.Counters.StaleReplies.Add(1)
		return
	}
	switch ask.Op {
	case peer.OpAppend:
		s.sendAnswered(l, ask, it)
	case peer.OpReceipt, peer.OpMark:
		s.ackAnswered(l, ask, it)
	case peer.OpOpen, peer.OpChanges, peer.OpRange:
		s.syncAnswered(l, ask, it)
	}
	s.plan(l)
}

// Lost says that no answer to a request will come.
func (s *Session) Lost(l *Loop, out Actions, ask *Ask) {
	s.CoreReply(l, out, ask, &peer.Item{Op: peer.OpReply, Code: wire.CodeUnavailable})
}

// Gone says that the socket is gone. The cores are told and receipts under way
// are handed over with Parted; no other action follows.
func (s *Session) Gone(l *Loop, out Actions) {
	l.out = out
	s.leave(l)
}

// State returns how far the connection has come.
func (s *Session) State() State { return s.state }

// ID returns what Start was given.
func (s *Session) ID() wire.SessionID { return s.id }

// Format returns what Start was given.
func (s *Session) Format() wire.Format { return s.reader.format }

// User returns who signed in, empty before that. It must not be changed.
func (s *Session) User() []byte { return s.ids[:s.userLen:s.userLen] }

// Device returns the session's device, empty before sign-in. It must not be
// changed.
func (s *Session) Device() []byte { return s.ids[s.userLen:] }

// statusOf returns the status of a checked close body, 0 when it is empty.
func statusOf(body []byte) uint16 {
	if len(body) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(body)
}

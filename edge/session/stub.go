package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

const closeKinds = 16

// Session is one connection. Its zero value is to be started with Start.
type Session struct{ state State }

// Start begins a session in state Handshake. who is nil unless the upgrade
// carried a valid token. It asks for a Wake.
func (s *Session) Start(l *Loop, out Actions, id wire.SessionID, f wire.Format, who *Identity) {}

// Receive handles the bytes that a socket has received and not yet consumed,
// as many complete frames as there are. It returns how many bytes it consumed:
// the driver discards them. window is changed in place.
func (s *Session) Receive(l *Loop, out Actions, window []byte) (consumed int) { return 0 }

// Need returns how many bytes the window must have before Receive can get
// any further, so that the driver need not offer fewer.
func (s *Session) Need() int { return 2 }

// Authenticated brings the outcome of Actions.Authenticate: who, or why not.
// An outcome that comes late is ignored.
func (s *Session) Authenticated(l *Loop, out Actions, who *Identity, code wire.Code) {}

// Tick does what is due at l.Now. Calling it early or twice does no harm.
func (s *Session) Tick(l *Loop, out Actions) {}

// CoreReply brings the answer to a request.
func (s *Session) CoreReply(l *Loop, out Actions, ask *Ask, it *peer.Item) {}

// Lost says that no answer to a request will come.
func (s *Session) Lost(l *Loop, out Actions, ask *Ask) {}

// Deliver brings a push.
func (s *Session) Deliver(l *Loop, out Actions, p *Push) {}

// Resync syncs again from the last cursor, as OpResync asks.
func (s *Session) Resync(l *Loop, out Actions) {}

// Reopen opens the session again at the leader of the user's shard, as
// OpReopen asks and after a lost link to that leader, and syncs.
func (s *Session) Reopen(l *Loop, out Actions) {}

// OutboundBuffered tells how many bytes the socket has not taken yet. The
// driver calls it after every write of the connection's output and when the
// buffer has drained.
func (s *Session) OutboundBuffered(l *Loop, out Actions, n int) {}

// Drain says farewell: going_away{reconnect_after_ms: after}, and a close after
// Config.DrainGrace.
func (s *Session) Drain(l *Loop, out Actions, after wire.Millis) {}

// Gone says that the socket is gone. The cores are told.
func (s *Session) Gone(l *Loop, out Actions) {}

// State returns how far the connection has come.
func (s *Session) State() State { return s.state }

// ID returns what Start was given.
func (s *Session) ID() wire.SessionID { return 0 }

// Format returns what Start was given.
func (s *Session) Format() wire.Format { return 0 }

// User returns who signed in, empty before that. It must not be changed.
func (s *Session) User() []byte { return nil }

// Pending is the table of requests without an answer of one loop. It is
// bounded, holds no pointers and belongs to the loop. Its zero value holds
// nothing; use NewPending.
type Pending struct{}

// NewPending returns a table for at most limit requests. It grows as needed,
// at 144 bytes each.
func NewPending(limit int) *Pending { return &Pending{} }

// Add notes that session asks node for it and sets it.Req to a number that no
// other request in the table has had or will soon have. False when the table
// is full.
func (p *Pending) Add(now wire.Millis, session wire.SessionID, node wire.NodeID, it *peer.Item, tag uint32) bool {
	return false
}

// Take removes request req. ok is false when it is not in the table: answered
// before, expired, or never asked. ask.ClientMsgID is valid until the next Add.
func (p *Pending) Take(req uint64) (ask Ask, ok bool) { return Ask{}, false }

// Expire removes the requests that are older than RequestTimeout and calls
// lost for each; lost may call Add.
func (p *Pending) Expire(now wire.Millis, lost func(*Ask)) {}

// FailNode removes the requests to node, whose link is down, and calls lost
// for each; lost may call Add.
func (p *Pending) FailNode(node wire.NodeID, lost func(*Ask)) {}

// Len returns how many requests are in the table.
func (p *Pending) Len() int { return 0 }

// AppendHeader appends the header of an unfragmented data message with n bytes
// of payload.
func AppendHeader(b []byte, f wire.Format, n int) []byte { return b }

// AppendPong appends a whole pong frame; payload has at most 125 bytes.
func AppendPong(b, payload []byte) []byte { return b }

// AppendClose appends a whole close frame for Actions.Close.
func AppendClose(b []byte, status uint16, why wire.Code) []byte { return b }

// HeaderMax is the most bytes that AppendHeader appends.
const HeaderMax = 10

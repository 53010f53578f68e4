package session

import (
	"sync/atomic"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Actions is what a session may ask of the driver: one implementation per
// connection. Slices and the item are valid until the call returns. None of
// the calls may block or call back into the session.
type Actions interface {
	Asker

	// Send writes one message in the session's format; AppendHeader makes its
	// WebSocket header.
	Send(payload []byte)

	// Pong answers a WebSocket ping; see AppendPong.
	Pong(payload []byte)

	// Close writes a close frame behind what was sent (AppendClose; status 0
	// is an empty one) and ends the connection once it is written. why is OK
	// when the client asked for it. Nothing follows it.
	Close(status uint16, why wire.Code)

	// Authenticate verifies a token outside the loop's time and brings the
	// outcome to Authenticated. The driver copies the token.
	Authenticate(token []byte)

	// Parted hands over the receipts under way of a session that ends. From
	// now on what is asked with its id and OpReceipt or OpMark is answered to
	// p, until it is done.
	Parted(p *Parting)

	// Wake asks for a Tick at time at, or a little later. It replaces an
	// earlier wish for a later time; the driver keeps one per session.
	Wake(at wire.Millis)
}

// Asker asks the cores.
type Asker interface {
	// Core sends a request or hint to the leader of the shard concerned (see
	// the package comment). tag comes back in the Ask. False: not sent.
	Core(it *peer.Item, tag uint32) bool
}

// Loop is what the sessions of one event loop share: configuration, scratch
// memory and counters. It belongs to that loop.
type Loop struct {
	// Now is the time in milliseconds since 1970. The driver sets it at the
	// start of every turn; it must not go backwards.
	Now wire.Millis

	// Tight says that the connections of the loop hold more unwritten bytes than
	// its part of the process's budget. The driver keeps it up to date.
	Tight bool

	// Counters may be read from anywhere.
	Counters Counters

	cfg   Config
	out   Actions
	in    wire.Frame // the frame being handled
	frame wire.Frame // the frame being built
	item  peer.Item  // the request being built
	buf   []byte     // the encoded frame
	text  []byte     // the texts of an error
	told  forward    // cursors that sessions know
}

// NewLoop returns a loop for sessions with cfg, or what is wrong with cfg.
func NewLoop(cfg Config) (*Loop, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Loop{cfg: cfg}, nil
}

// Config returns what NewLoop was given.
func (l *Loop) Config() Config { return l.cfg }

// Counters counts what happened in the sessions of one loop, most of all every
// kind of drop.
type Counters struct {
	Messages      atomic.Uint64 // complete messages from clients
	Sends         atomic.Uint64 // send_message passed to a core
	Acked         atomic.Uint64 // ack_sent
	Pushed        atomic.Uint64 // pushes written
	Refused       atomic.Uint64 // error frames
	TooFast       atomic.Uint64 // of these, for going too fast
	Syncs         atomic.Uint64 // syncs that ended
	Resyncs       atomic.Uint64 // syncs that were started again
	HeldOverflow  atomic.Uint64 // syncs that took another round for want of room
	OldStatuses   atomic.Uint64 // status updates that would have gone back, or told nothing new
	ShedTyping    atomic.Uint64 // typing to a slow reader
	ShedPush      atomic.Uint64 // pushes to a slow reader; a sync follows
	ShedTight     atomic.Uint64 // pushes and typing that only a tight loop sheds; also in ShedPush or ShedTyping
	ShedEarly     atomic.Uint64 // pushes before the session was live
	TypingTooFast atomic.Uint64 // typing from a client more often than it may
	AckRetries    atomic.Uint64 // receipts and marks asked again
	AcksGivenUp   atomic.Uint64 // receipts of ended sessions that were not stored
	StaleReplies  atomic.Uint64 // answers nobody waits for any more
	// Closes counts ended connections: first those that the client closed, then
	// by why a session ended them, in the order of wire.Codes.
	Closes [closeKinds]atomic.Uint64
}

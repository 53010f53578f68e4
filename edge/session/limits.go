package session

import (
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/wire"
)

// The times of a connection, in milliseconds.
const (
	// HelloTimeout is how long a connection may take to say hello, and after
	// that how long signing in may take. It frees what strangers hold.
	HelloTimeout wire.Millis = 10_000

	// AckDelay is how long a receipt waits for others of its conversation.
	// A reader of a busy chat costs 33 receipts a second instead of one a
	// message; nobody sees a tick come 30 ms later.
	AckDelay wire.Millis = 30

	// RetryEvery is how long a request that failed waits. An election takes
	// about a second; a session asks five times meanwhile.
	RetryEvery wire.Millis = 200

	// SendRetryAfter is what a client is told when a send was not taken.
	SendRetryAfter wire.Millis = 200

	// StorageRetryAfter is the same when a core cannot write.
	StorageRetryAfter wire.Millis = 1000

	// SlowFor is how long a socket may hold more than the low-water mark
	// without a pause before the session ends: it frees OutboundSoft bytes.
	SlowFor wire.Millis = 30_000

	// RequestTimeout is how long a request may stay unanswered. It is longer
	// than an election.
	RequestTimeout wire.Millis = 10_000
)

// The sizes of what a session remembers. All of it is allocated when needed
// and freed when done; an idle session has none of it.
const (
	// MaxAcks is how many conversations may have receipts under way, at 56
	// bytes each; a quarter of it is sent without waiting for AckDelay. When all are taken, a receipt for another conversation is
	// answered with wire.CodeTooFast.
	MaxAcks = 256

	// ChangesPage is how many conversations a sync asks for at a time, at 40
	// bytes each.
	ChangesPage = 64

	// MaxHeld is how many conversations with live pushes a sync remembers, at
	// 32 bytes each. When one more comes, the sync takes another round. It is
	// also how many pulled ones it remembers, so as not to send twice what was
	// pulled and is pushed later.
	MaxHeld = 64

	// FirstRangePage is how many messages of a conversation are asked for
	// first, for a quick first frame. The next page is twice as long, up to
	// MaxRangePage, as long as the socket takes all of it; one that it did not
	// take is followed by one of what it took.
	FirstRangePage = 50
	MaxRangePage   = wire.MaxHistoryPage

	// MaxStatuses is how many members' cursors of one conversation a sync
	// tells. Ticks in larger groups come from the history's cursors.
	MaxStatuses = 64

	// MaxStrikes is how many refused pings end a connection whose bucket has not
	// run empty meanwhile: a flood costs the edge as much as messages do.
	MaxStrikes = 1000

	// ReasonMax bounds the reason of a close frame: 125 less the code.
	ReasonMax = 123
)

// Config is what the sessions of an edge share. It is immutable once a Loop
// was made with it. A rate of zero is no limit.
type Config struct {
	Heartbeat  wire.Millis // how often a client pings; silence for twice as long ends it
	MaxContent int         // bytes of content
	InFlight   int         // sends of one session that a core has not answered

	SendRate, SendBurst int // send_message per second and session
	OpsRate, OpsBurst   int // every other frame, pings and malformed ones included

	// The socket's outbound bytes: below Low a sync pulls another page, above
	// Soft pushes are shed, above Hard the session ends. Hard - Soft must hold
	// the largest frame.
	OutboundLow, OutboundSoft, OutboundHard int

	DrainGrace wire.Millis // between going_away and the close
}

// Defaults returns the configuration of an edge that was told nothing.
func Defaults() Config {
	return Config{
		Heartbeat:  wire.Millis(wire.Heartbeat.Milliseconds()),
		MaxContent: wire.MaxContent,
		InFlight:   256,
		SendRate:   200, SendBurst: 1000,
		OpsRate: 2000, OpsBurst: 10_000,
		OutboundLow: 64 << 10, OutboundSoft: 256 << 10, OutboundHard: 1 << 20,
		DrainGrace: 2000,
	}
}

// WithContent returns c for another limit of content, with the outbound marks
// raised as far as the largest text frame of it needs.
func (c Config) WithContent(n int) Config {
	c.MaxContent = n
	c.OutboundHard = max(c.OutboundHard, c.OutboundSoft+wire.MaxFrame(wire.JSON, n))
	return c
}

// Check says what is wrong with c, nil when nothing is.
func (c *Config) Check() error {
	switch {
	case c.Heartbeat < 1000 || c.Heartbeat > 3600_000:
		return fmt.Errorf("session: heartbeat of %d ms; set it between 1 s and 1 h", c.Heartbeat)
	case c.MaxContent < 1 || c.MaxContent > wire.MaxContentCeiling:
		return fmt.Errorf("session: content limit of %d bytes; set it between 1 and %d", c.MaxContent, wire.MaxContentCeiling)
	case c.InFlight < 1 || c.InFlight > 1<<16-1:
		return fmt.Errorf("session: %d sends in flight; set it between 1 and 65535", c.InFlight)
	case c.SendRate < 0 || c.OpsRate < 0 || c.SendRate > 0 && c.SendBurst < 1 || c.OpsRate > 0 && c.OpsBurst < 1:
		return errors.New("session: a rate is negative or has no burst; set the rate to 0 for no limit, else the burst to 1 or more")
	case c.OutboundLow < 1 || c.OutboundLow > c.OutboundSoft:
		return errors.New("session: the outbound low-water mark must be between 1 and the soft limit")
	case c.OutboundHard-c.OutboundSoft < wire.MaxFrame(wire.JSON, c.MaxContent):
		return fmt.Errorf("session: between the soft and the hard outbound limit there must be room for one frame: raise hard to %d", c.OutboundSoft+wire.MaxFrame(wire.JSON, c.MaxContent))
	}
	return nil
}

package client

import (
	"math/rand/v2"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Machine is the client's side of the protocol: bytes and ticks go in; frames,
// events, results and wishes come out. It outlives connections: the outbox,
// the cursor and what was seen of each conversation are kept across them.
//
// It is pure: no network, file, clock or goroutine; its jitter comes from
// MachineConfig.Seed. Client drives it with a net.Conn, and so may a load
// generator or a simulator. After any input, drain Next, Event, Result and
// Fetch, look at Wish, and call Tick no later than at Deadline.
//
// Nothing in it grows without bound: the outbox and the event queue have
// capacities, frames to write are made when Next asks for them, and a message
// that does not fit into the event queue is fetched again from history later.
// One small record per conversation seen is kept.
//
// A Machine is not safe for concurrent use.
type Machine struct {
	cfg   MachineConfig
	rnd   *rand.Rand
	stats Stats
	out   outbox
	in    inbox

	// The connection. What belongs to one connection is reset by Opened.
	state     State
	phase     phase
	user      UserID
	device    DeviceID
	limits    wire.Limits
	heartbeat time.Duration
	cursor    Cursor
	hasCursor bool
	token     string // for hello, "" when the upgrade carried it
	refusal   *Error // last fatal error of this connection
	hangup    error  // why this side wants to end the connection
	owesPong  bool
	finishing bool // end once there is nothing left to say

	timers
}

// timers are points in time, zero when not set.
type timers struct {
	dialAt    time.Time // phaseDown: when to dial
	welcomeBy time.Time // phaseHello
	pingAt    time.Time // phaseLive
	deadAt    time.Time
	leaveAt   time.Time // the edge said going_away
	ackedAt   time.Time // the last acknowledgement was written
	attempts  int       // since the last Synced
	refreshed bool      // a new token was tried since the last welcome
}

type phase uint8

const (
	phaseDown  phase = iota // no connection; dial at dialAt
	phaseDial               // the driver dials
	phaseHello              // hello is due
	phaseAwait              // hello is sent, welcome is due
	phaseLive
	phaseEnd // for good
)

// MachineConfig are the choices of a Machine. The zero value works.
type MachineConfig struct {
	Device    DeviceID      // "" lets the token or the server choose
	Cursor    Cursor        // where to resume
	HasCursor bool          // false lets the server remember
	Outbox    int           // sends without an answer; default 1024
	Inbox     int           // events not yet taken; default 1024
	BackoffLo time.Duration // first bound of the wait between attempts; default 250 ms
	BackoffHi time.Duration // last bound; default 30 s
	NewToken  bool          // the driver can get another token when one is refused
	ManualAck bool          // Taken does not acknowledge delivery
	Seed      uint64        // of the jitter
}

const (
	defaultOutbox    = 1024
	defaultInbox     = 1024
	defaultBackoffLo = 250 * time.Millisecond
	defaultBackoffHi = 30 * time.Second
	defaultInFlight  = 64 // sends, when the server names no limit
	welcomeTimeout   = 10 * time.Second
	ackTimeout       = 10 * time.Second // then a send is repeated
)

// Stats count what a Machine met. They only grow.
type Stats struct {
	Connects    uint64 // welcomes received
	Resent      uint64 // sends repeated after a loss, an error or silence
	Duplicates  uint64 // messages dropped because they had been yielded
	Gaps        uint64 // times that messages were fetched from history to close a gap
	Overflow    uint64 // messages that met a full event queue and were fetched later
	HintsShed   uint64 // status, typing and notices that met a full event queue
	Unavailable uint64 // gaps given up because history does not hold them any more
	BadFrames   uint64 // frames that did not decode
}

// NewMachine returns a Machine that wants to dial at once.
func NewMachine(cfg MachineConfig) *Machine {
	def(&cfg.Outbox, defaultOutbox)
	def(&cfg.Inbox, defaultInbox)
	def(&cfg.BackoffLo, defaultBackoffLo)
	def(&cfg.BackoffHi, defaultBackoffHi)
	m := &Machine{cfg: cfg, cursor: cfg.Cursor, hasCursor: cfg.HasCursor, state: StateConnecting,
		rnd: rand.New(rand.NewPCG(cfg.Seed, 0x676f64776974))}
	m.out.init()
	m.in.init(cfg.Inbox, &m.stats)
	return m
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Wish is what a Machine wants its driver to do with the connection.
type Wish uint8

// The wishes.
const (
	WishNothing Wish = iota
	WishDial         // open a connection, tell Dialing, then Opened or Lost
	WishHangup       // close the connection, then tell Lost
	WishStop         // nothing more will happen: call Close; Err says why
)

// Wish returns what to do about the connection now.
func (m *Machine) Wish(now time.Time) Wish {
	done := m.finishing && m.idle(now)
	switch {
	case m.phase == phaseEnd || m.phase == phaseDown && done:
		return WishStop
	case m.phase == phaseDown && !now.Before(m.dialAt):
		return WishDial
	case m.connected() && (m.hangup != nil || done):
		return WishHangup
	}
	return WishNothing
}

func (m *Machine) connected() bool { return m.phase >= phaseHello && m.phase <= phaseLive }

// Dialing tells that the driver dials.
func (m *Machine) Dialing() {
	m.phase = phaseDial
	m.setState(StateChange{State: StateConnecting})
}

// Opened tells that the WebSocket is open; hello is the first frame of Next.
// token goes into it and may be "" when the upgrade carried it.
func (m *Machine) Opened(token string, now time.Time) {
	m.phase, m.token = phaseHello, token
	m.refusal, m.hangup, m.owesPong = nil, nil, false
	m.leaveAt = time.Time{}
	m.welcomeBy = now.Add(welcomeTimeout)
}

// Lost tells that the connection is gone or could not be opened, and why. An
// *Error inside err is a refusal by the server.
func (m *Machine) Lost(err error, now time.Time) {
	if m.phase == phaseEnd {
		return
	}
	early := m.phase < phaseLive
	leaving, leaveAt := !m.leaveAt.IsZero(), m.leaveAt
	refusal, cause := m.cause(err)
	m.phase = phaseDown
	m.leaveAt = time.Time{}
	m.stats.Resent += uint64(m.out.requeue())
	m.in.disconnected()
	if early && refusal != nil && !refusal.Retryable && !m.mayRefresh(refusal.Code) {
		m.end(refusal)
		return
	}
	if m.finishing && m.idle(now) {
		m.end(ErrClosed)
		return
	}
	wait := m.backoff()
	m.dialAt = now.Add(wait)
	if refusal != nil {
		m.dialAt = m.dialAt.Add(refusal.RetryAfter)
	}
	if leaving && leaveAt.After(now) {
		m.dialAt = leaveAt.Add(wait)
	}
	m.setState(StateChange{State: StateWaiting, Err: cause, RetryAt: m.dialAt})
}

// cause picks the best reason for a lost connection: what the server said,
// what this side decided, what the network said.
func (m *Machine) cause(err error) (*Error, error) {
	if m.refusal != nil {
		return m.refusal, m.refusal
	}
	if m.hangup != nil {
		return nil, m.hangup
	}
	return asError(err), err
}

// mayRefresh reports whether another token may help, once per refusal.
func (m *Machine) mayRefresh(c Code) bool {
	if !isAuth(c) || !m.cfg.NewToken || m.refreshed {
		return false
	}
	m.refreshed = true
	return true
}

// isAuth reports whether another token may help against c.
func isAuth(c Code) bool {
	return c == wire.CodeUnauthenticated || c == wire.CodeTokenInvalid || c == wire.CodeTokenExpired
}

// backoff returns the wait before the next attempt: "full jitter", uniform
// between zero and a bound that doubles with each attempt.
func (m *Machine) backoff() time.Duration {
	bound := m.cfg.BackoffHi
	if m.attempts < 16 {
		bound = min(bound, m.cfg.BackoffLo<<m.attempts)
	}
	m.attempts++
	return time.Duration(m.rnd.Float64() * float64(bound))
}

// Retry makes a waiting Machine dial at once: the network came back, or the
// user asked for it.
func (m *Machine) Retry(now time.Time) {
	if m.phase == phaseDown {
		m.dialAt, m.attempts = now, 0
	}
}

// Finish makes the Machine end once every send has its answer and every
// acknowledgement is written and had time to settle. While there is no
// connection only sends count.
func (m *Machine) Finish() { m.finishing = true }

// ackSettles is how long a connection is kept after its last acknowledgement:
// the edge gathers them for some tens of milliseconds and stores them in two
// steps, of which the second one needs the connection. Closing earlier loses
// nothing, but the messages would be delivered again.
const ackSettles = 250 * time.Millisecond

func (m *Machine) idle(now time.Time) bool {
	said := len(m.in.dirty) == 0 && !m.owesPong && now.Sub(m.ackedAt) >= ackSettles || !m.connected()
	return said && len(m.out.byID) == 0 && len(m.out.typing) == 0
}

// Close ends the Machine: sends that wait fail with ErrClosed.
func (m *Machine) Close() { m.end(ErrClosed) }

func (m *Machine) end(err error) {
	if m.phase == phaseEnd {
		return
	}
	m.phase, m.hangup = phaseEnd, err
	m.out.failAll(err)
	m.setState(StateChange{State: StateClosed, Err: err})
}

// Err returns why the Machine ended, nil while it has not.
func (m *Machine) Err() error {
	if m.phase == phaseEnd {
		return m.hangup
	}
	return nil
}

func (m *Machine) setState(c StateChange) {
	if c.State == m.state && c.Err == nil {
		return
	}
	m.state = c.State
	m.in.control(c)
}

// State returns the state of the connection.
func (m *Machine) State() State { return m.state }

// User and device as welcome named them, "" before the first one.
func (m *Machine) User() (UserID, DeviceID) { return m.user, m.device }

// Stats returns the counters.
func (m *Machine) Stats() Stats { return m.stats }

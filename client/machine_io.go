package client

import (
	"errors"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Received takes one binary WebSocket message. b may be reused afterwards.
func (m *Machine) Received(b []byte, now time.Time) {
	if !m.connected() {
		return
	}
	m.deadAt = now.Add(2 * m.heartbeat)
	var f wire.Frame
	if err := wire.DecodeMsgpack(b, &f); err != nil {
		m.badFrame(err)
		return
	}
	if m.phase != phaseLive && f.Op != wire.OpWelcome && f.Op != wire.OpError && f.Op != wire.OpGoingAway {
		m.hangup = &Error{Code: wire.CodeWrongState, Message: f.Op.String() + " before welcome", Retryable: true}
		return
	}
	switch f.Op {
	case wire.OpWelcome:
		m.welcome(&f, now)
	case wire.OpAckSent:
		if m.out.acked(&f) {
			m.in.own(f.Chat, f.Seq)
		}
	case wire.OpNewMessage:
		m.message(&f)
	case wire.OpStatusUpdate:
		m.in.hint(Status{ChatID: f.Chat, MessageID: f.Seq, UserID: UserID(f.User), Status: f.Status})
	case wire.OpTyping:
		m.in.hint(Typing{ChatID: f.Chat, UserID: UserID(f.User), Start: f.Typing == wire.TypingStart})
	case wire.OpSynced:
		m.cursor, m.hasCursor, m.attempts = f.Cursor, true, 0
		m.in.held, m.in.holds = f.Cursor, true
		m.release()
	case wire.OpPing:
		m.owesPong = true
	case wire.OpError:
		m.serverError(&f, now)
	case wire.OpGoingAway:
		m.leaveAt = now.Add(time.Duration(f.RetryAfter) * time.Millisecond)
	}
}

// badFrame skips an operation that a later version of the server added; other
// broken frames end the connection, because what follows cannot be trusted.
func (m *Machine) badFrame(err error) {
	m.stats.BadFrames++
	var d wire.DecodeError
	if errors.As(err, &d) && d.Code == wire.CodeUnknownOp {
		return
	}
	m.hangup = err
}

func (m *Machine) welcome(f *wire.Frame, now time.Time) {
	m.phase, m.refreshed, m.limits = phaseLive, false, f.Limits
	m.user, m.device = UserID(f.User), DeviceID(f.Device)
	m.heartbeat = time.Duration(f.HeartbeatS) * time.Second
	if m.heartbeat == 0 {
		m.heartbeat = wire.Heartbeat
	}
	m.pingAt, m.deadAt = now.Add(m.heartbeat), now.Add(2*m.heartbeat)
	m.stats.Connects++
	m.setState(StateChange{State: StateSyncing})
}

func (m *Machine) message(f *wire.Frame) {
	if string(f.User) == string(m.user) && len(f.ClientMsgID) > 0 {
		// The ack was lost with an earlier connection; this says the same.
		m.out.acked(f)
	}
	m.in.live(f)
}

func (m *Machine) serverError(f *wire.Frame, now time.Time) {
	e := &Error{Code: f.Code, Message: string(f.Message), Advice: string(f.Advice), Op: string(f.Refused), ChatID: f.Chat, Retryable: f.Retryable,
		RetryAfter: time.Duration(f.RetryAfter) * time.Millisecond}
	spec := f.Code.SpecOf()
	switch {
	case len(f.ClientMsgID) > 0 && m.out.refused(string(f.ClientMsgID), e, now, m.backoffOf):
		if e.Retryable {
			m.stats.Resent++
		}
	case m.phase != phaseLive || spec != nil && spec.Close != 0:
		m.refusal = e
	case len(f.ClientMsgID) == 0:
		m.in.hint(Notice{Err: e})
	}
}

// backoffOf spreads the repetitions of a refused send.
func (m *Machine) backoffOf(attempt int) time.Duration {
	bound := min(m.cfg.BackoffHi, m.cfg.BackoffLo<<min(attempt, 16))
	return time.Duration(m.rnd.Float64() * float64(bound))
}

// Next fills f with the next frame to write and reports whether there is one.
// The frame's slices are valid until the next call of any method.
func (m *Machine) Next(f *wire.Frame, now time.Time) bool {
	*f = wire.Frame{}
	switch {
	case m.phase == phaseHello:
		m.phase = phaseAwait
		f.Op, f.Token, f.Device = wire.OpHello, []byte(m.token), []byte(m.cfg.Device)
		f.Cursor, f.HasCursor = m.cursor, m.hasCursor
		return true
	case m.phase != phaseLive || m.hangup != nil:
		return false
	case m.owesPong:
		m.owesPong = false
		f.Op = wire.OpPong
		return true
	case !now.Before(m.pingAt):
		m.pingAt = now.Add(m.heartbeat)
		f.Op = wire.OpPing
		return true
	case m.in.nextAck(f):
		m.ackedAt = now
		return true
	case m.leaveAt.IsZero() && m.out.next(f, m.inFlight(), now):
		return true
	}
	return m.out.nextTyping(f)
}

func (m *Machine) inFlight() int {
	if m.limits.InFlight == 0 {
		return defaultInFlight
	}
	return int(m.limits.InFlight)
}

// Tick tells the time.
func (m *Machine) Tick(now time.Time) {
	m.stats.Resent += uint64(m.out.tick(now))
	if !now.Before(m.in.retryAt) {
		m.in.retryAt = time.Time{}
	}
	switch {
	case (m.phase == phaseHello || m.phase == phaseAwait) && !now.Before(m.welcomeBy):
		m.hangup = ErrWelcome
	case m.phase != phaseLive:
	case !now.Before(m.deadAt):
		m.hangup = ErrHeartbeat
	case !m.leaveAt.IsZero() && !now.Before(m.leaveAt):
		m.hangup = &Error{Code: wire.CodeGoingAway, Retryable: true}
	}
}

// Deadline returns when Tick, and the draining after it, must happen at the
// latest; the zero time means that nothing is due.
func (m *Machine) Deadline() time.Time {
	var d time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	switch m.phase {
	case phaseDown:
		sooner(m.dialAt)
	case phaseHello, phaseAwait:
		sooner(m.welcomeBy)
	case phaseLive:
		sooner(m.pingAt)
		sooner(m.deadAt)
		sooner(m.leaveAt)
		sooner(m.out.deadline())
		sooner(m.in.retryAt)
		if m.finishing && len(m.out.byID) == 0 {
			sooner(m.ackedAt.Add(ackSettles))
		}
	}
	return d
}

// asError finds an *Error in err, or makes one of a bare code.
func asError(err error) *Error {
	var e *Error
	var c Code
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &c):
		return &Error{Code: c, Retryable: c.Retryable()}
	}
	return nil
}

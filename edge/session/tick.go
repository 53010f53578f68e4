package session

import "github.com/godwit-im/godwit/wire"

// never is later than any time.
const never = ^wire.Millis(0)

// Tick does what is due at l.Now. Calling it early or twice does no harm.
func (s *Session) Tick(l *Loop, out Actions) {
	l.out = out
	if s.state == Closed {
		return
	}
	s.wake = 0
	if code := s.overdue(l); code != wire.OK {
		s.expire(l, code)
		return
	}
	if s.sync != nil && !s.sync.waiting && s.sync.retryAt <= l.Now {
		s.advance(l)
	}
	if s.acks != nil && s.acks.due <= l.Now {
		s.flushAcks(l)
	}
	s.plan(l)
}

// overdue returns what the connection has to end for at l.Now, or OK.
func (s *Session) overdue(l *Loop) wire.Code {
	switch {
	case s.expires != 0 && l.Now >= s.expires:
		return wire.CodeTokenExpired
	case l.Now >= s.heard+2*l.cfg.Heartbeat:
		return wire.CodeHeartbeatMissed
	case s.slowAt != 0 && l.Now >= s.slowAt+SlowFor:
		return wire.CodeSlowReader
	case s.due == 0 || l.Now < s.due:
		return wire.OK
	case s.state == Handshake:
		return wire.CodeHelloTimeout
	case s.state == Authenticating:
		return wire.CodeUnavailable
	}
	return wire.CodeGoingAway // the grace of a drain is over
}

// expire ends the connection for code. Who has been told, or does not read,
// gets no error frame.
func (s *Session) expire(l *Loop, code wire.Code) {
	if code == wire.CodeGoingAway || code == wire.CodeSlowReader {
		s.end(l, code.SpecOf().Close, code)
		return
	}
	s.fatal(l, code)
}

// plan asks for a Tick when the next thing is due, unless one that comes
// earlier was asked for.
func (s *Session) plan(l *Loop) {
	if s.state == Closed {
		return
	}
	at := s.heard + 2*l.cfg.Heartbeat
	for _, t := range [...]wire.Millis{s.expires, s.due} {
		if t != 0 {
			at = min(at, t)
		}
	}
	if s.slowAt != 0 {
		at = min(at, s.slowAt+SlowFor)
	}
	if s.sync != nil {
		at = min(at, s.sync.dueAt())
	}
	if s.acks != nil {
		at = min(at, s.acks.due)
	}
	s.wakeAt(l, at)
}

func (s *Session) wakeAt(l *Loop, at wire.Millis) {
	if s.wake == 0 || at < s.wake {
		s.wake = at
		l.out.Wake(at)
	}
}

package session

import (
	"bytes"

	"github.com/godwit-im/godwit/wire"
)

// defaultDevice is the device of a session when neither the token nor hello
// names one.
const defaultDevice = "default"

// hello begins the sign-in. What it said is kept in the syncer until the user
// is known.
func (s *Session) hello(l *Loop) {
	if s.userLen == 0 && len(l.in.Token) == 0 {
		s.fatal(l, wire.CodeUnauthenticated)
		return
	}
	s.sync = &syncer{after: l.in.Cursor, resumes: l.in.HasCursor, device: bytes.Clone(l.in.Device), limit: FirstRangePage}
	s.state = Authenticating
	if s.userLen != 0 {
		s.signIn(l)
		return
	}
	l.out.Authenticate(l.in.Token)
}

// Authenticated brings the outcome of Actions.Authenticate: who, or the code
// that says why not (then who is not looked at).
// An outcome that comes late is ignored.
func (s *Session) Authenticated(l *Loop, out Actions, who *Identity, code wire.Code) {
	l.out = out
	switch {
	case s.state != Authenticating || s.userLen != 0:
		return
	case code != wire.OK:
		s.fatal(l, code)
	default:
		s.identify(who)
		s.signIn(l)
	}
}

// signIn settles the device and opens the session at the user's shard. The
// token's word on the device wins; a hello that contradicts it is refused, and
// another may follow within the time that the first had.
func (s *Session) signIn(l *Loop) {
	asked := s.sync.device
	switch {
	case s.flags&flagNamed == 0 && len(asked) == 0:
		s.ids = append(s.ids, defaultDevice...)
	case s.flags&flagNamed == 0:
		s.ids = append(s.ids, asked...)
	case len(asked) != 0 && !bytes.Equal(asked, s.Device()):
		s.sync, s.state = nil, Handshake
		if s.flags&flagBearer == 0 {
			s.ids, s.userLen, s.expires = nil, 0, 0
			s.flags &^= flagNamed
		}
		s.refuse(l, refusal{code: wire.CodeBadField, op: wire.OpHello, field: "device"})
		return
	}
	s.sync.device = nil
	s.due = l.Now + HelloTimeout
	s.advance(l)
	s.plan(l)
}

// welcome makes the session live.
func (s *Session) welcome(l *Loop) {
	s.state, s.due = Live, 0
	maxFrame := wire.MaxFrame(s.reader.format, l.cfg.MaxContent)
	s.reader.max = uint32(maxFrame)
	l.frame = wire.Frame{
		Op: wire.OpWelcome, User: s.User(), Device: s.Device(),
		Cursor: s.cursor, HasCursor: true,
		HeartbeatS: uint16(l.cfg.Heartbeat / 1000),
		Limits:     wire.Limits{Content: uint32(l.cfg.MaxContent), Frame: uint32(maxFrame), InFlight: uint32(l.cfg.InFlight)},
	}
	s.send(l)
}

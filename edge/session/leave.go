package session

import (
	"errors"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// statusTryLater is the close status (RFC 6455's registry: try again later)
// for errors that end a connection only because it has not begun.
const statusTryLater = 1013

// refusal is what an error frame says.
type refusal struct {
	code  wire.Code
	op    wire.Op     // what is refused; 0: the connection, or something unreadable
	field string      // of op, when it is to blame
	chat  wire.ChatID // which the refused frame named
	id    []byte      // client_msg_id
	after wire.Millis
}

// refuseIn refuses l.in.
func (s *Session) refuseIn(l *Loop, code wire.Code, after wire.Millis) {
	s.refuse(l, refusal{code: code, op: l.in.Op, chat: l.in.Chat, id: l.in.ClientMsgID, after: after})
}

// refuse sends an error frame; the connection lives on.
func (s *Session) refuse(l *Loop, r refusal) {
	l.Counters.Refused.Add(1)
	if r.code == wire.CodeTooFast {
		l.Counters.TooFast.Add(1)
	}
	l.errorFrame(r)
	s.send(l)
}

// errorFrame makes l.frame an error. Its message names the field that is to
// blame. The texts lie behind one another in l.text; a test of wire sees to it
// that none is too long.
func (l *Loop) errorFrame(r refusal) {
	t := l.text[:0]
	if r.field != "" {
		t = append(append(append(append(t, r.op.String()...), '.'), r.field...), ": "...)
	}
	spec := r.code.SpecOf()
	if spec == nil { // 2xxx: between processes
		spec = wire.CodeInternal.SpecOf()
	}
	t = append(t, spec.Text...)
	message := len(t)
	t = append(t, spec.Do...)
	advice := len(t)
	if r.op != 0 {
		t = append(t, r.op.String()...)
	}
	l.text = t
	l.frame = wire.Frame{
		Op: wire.OpError, Code: spec.Code, Message: t[:message], Advice: t[message:advice], Refused: t[advice:], Chat: r.chat,
		Retryable: spec.Retryable, RetryAfter: r.after, ClientMsgID: r.id,
	}
}

// undecodable answers a frame that the codec refused with err.
func (s *Session) undecodable(l *Loop, err error, size int) {
	var d wire.DecodeError
	if !errors.As(err, &d) {
		d = wire.DecodeError{Code: wire.CodeBadFrame}
	}
	switch {
	case d.Op == wire.OpHello && d.Field == "token" && size > wire.MaxToken:
		s.fatal(l, wire.CodeTokenTooLong)
	case d.Code == wire.CodeBadFrame:
		s.fatal(l, d.Code)
	default:
		s.refuse(l, refusal{code: d.Code, op: d.Op, field: d.Field, chat: l.in.Chat, id: l.in.ClientMsgID})
	}
}

// fatal tells the client why and closes. The error frame passes the outbound
// limit by: it is the last.
func (s *Session) fatal(l *Loop, code wire.Code) {
	l.Counters.Refused.Add(1)
	l.errorFrame(refusal{code: code})
	l.encode(s.reader.format)
	l.out.Send(l.buf)
	status := uint16(statusTryLater)
	if spec := code.SpecOf(); spec != nil && spec.Close != 0 {
		status = spec.Close
	}
	s.end(l, status, code)
}

// end closes the connection and tells the cores.
func (s *Session) end(l *Loop, status uint16, why wire.Code) {
	l.Counters.Closes[closeIndex(why)].Add(1)
	l.out.Close(status, why)
	s.leave(l)
}

// leave ends the session: the receipts that waited go out and a Parting sees
// to them, and the core forgets the session. Everything is freed.
func (s *Session) leave(l *Loop) {
	if s.state == Closed {
		return
	}
	s.part(l)
	if s.flags&flagOpened != 0 {
		l.item = peer.Item{Op: peer.OpClose, Session: s.id, User: s.User()}
		l.out.Core(&l.item, 0)
	}
	s.state = Closed
	s.sync, s.reader.gathered = nil, nil
}

// Drain says farewell: going_away{reconnect_after_ms: after}, and a close after
// Config.DrainGrace. A session that was not live yet is closed at once.
func (s *Session) Drain(l *Loop, out Actions, after wire.Millis) {
	l.out = out
	if s.state >= Draining {
		return
	}
	l.frame = wire.Frame{Op: wire.OpGoingAway, RetryAfter: after}
	s.send(l)
	if s.state != Live { // not signed in, or the farewell was too much for the socket
		if s.state != Closed {
			s.end(l, wire.CodeGoingAway.SpecOf().Close, wire.CodeGoingAway)
		}
		return
	}
	s.state, s.due = Draining, l.Now+l.cfg.DrainGrace
	s.plan(l)
}

// closeKinds counts the rows of Counters.Closes: one per code, and one for
// connections that the client ended.
const closeKinds = len(wire.Codes) + 1

// closeIndex returns where Counters.Closes counts code: 0 for OK, else one
// more than its row in wire.Codes.
func closeIndex(code wire.Code) int {
	for i := range wire.Codes {
		if wire.Codes[i].Code == code {
			return i + 1
		}
	}
	return 0
}

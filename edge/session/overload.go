package session

import "github.com/godwit-im/godwit/wire"

// worth is how dear a frame is when the socket does not take what it is given.
type worth uint8

const (
	hint worth = iota // typing: nobody misses it
	push              // can be pulled again
	dear              // answers, and what a sync has pulled: never shed
)

// worthOf returns the worth of a pushed frame.
func worthOf(op wire.Op) worth {
	if spec := wire.Spec(op); spec == nil || spec.Droppable {
		return hint
	}
	return push
}

// admit is the whole overload policy of a connection. It decides whether n
// more bytes may wait for the socket:
//
//  1. Above the soft limit typing is dropped.
//  2. Above the soft limit a push is dropped, and so is every push of a message
//     after it, because order matters. Once the socket has drained to the
//     low-water mark the session syncs from its cursor, which sends what was
//     dropped; so nothing acknowledged is lost.
//  3. A sync stops pulling at the low-water mark and stops writing a page at
//     the soft limit (sync.go), so it never gets here with too much.
//  4. Answers may fill the room up to the hard limit. A client that makes the
//     edge answer and does not read is closed with CodeSlowReader, and so is
//     one that takes nothing for SlowFor (tick.go).
//  5. While the loop is tight the marks are lower: no room but the socket's own
//     for pushes, a small page for a sync, the soft limit for answers, and
//     SlowFor runs for whoever holds anything. So the memory that slow readers
//     have together stays near the loop's part, and comes back.
func (s *Session) admit(l *Loop, w worth, n int) bool {
	total := int(s.outbound) + HeaderMax + n
	full, hard := int(s.outbound) > l.cfg.OutboundSoft, l.cfg.OutboundHard
	if l.Tight && s.flags&flagHeld != 0 {
		if !full && w != dear {
			l.Counters.ShedTight.Add(1)
		}
		full, hard = true, l.cfg.OutboundSoft
	}
	switch {
	case w == hint && full:
		l.Counters.ShedTyping.Add(1)
		return false
	case w == push && full:
		l.Counters.ShedPush.Add(1)
		s.flags |= flagStale
		return false
	case total > hard:
		s.end(l, wire.CodeSlowReader.SpecOf().Close, wire.CodeSlowReader)
		return false
	}
	s.outbound = uint32(total)
	return true
}

// send encodes l.frame and writes it.
func (s *Session) send(l *Loop) bool {
	l.encode(s.reader.format)
	return s.write(l, dear, l.buf)
}

func (l *Loop) encode(f wire.Format) { l.buf = wire.Append(l.buf[:0], &l.frame, f) }

// write passes an encoded frame on if there is room for it.
func (s *Session) write(l *Loop, w worth, frame []byte) bool {
	if s.state == Closed || !s.admit(l, w, len(frame)) {
		return false
	}
	l.out.Send(frame)
	return true
}

// low is the low-water mark of the moment.
func (l *Loop) low() int {
	if l.Tight {
		return 0
	}
	return l.cfg.OutboundLow
}

// page is how much may wait for the socket before a sync cuts its page.
func (l *Loop) page() int {
	if l.Tight {
		return l.cfg.OutboundLow
	}
	return l.cfg.OutboundSoft
}

// OutboundBuffered tells how many bytes the socket has not taken yet. The
// driver calls it after every write of the connection's output and when the
// buffer has drained.
func (s *Session) OutboundBuffered(l *Loop, out Actions, n int) {
	l.out = out
	s.outbound = uint32(min(n, 1<<32-1))
	if s.state == Closed {
		return
	}
	s.flags &^= flagHeld
	if n > 0 {
		s.flags |= flagHeld
	}
	if n > l.low() {
		if s.slowAt == 0 {
			s.slowAt = l.Now
			s.wakeAt(l, l.Now+SlowFor)
		}
		return
	}
	s.slowAt = 0
	if s.flags&flagStale != 0 && s.sync == nil {
		s.resync(l)
	}
	if s.sync != nil {
		s.advance(l)
		s.plan(l)
	}
}

// Deliver brings a push. While a sync runs, messages are remembered instead of
// written, so that the order within a conversation holds; the sync pulls them.
func (s *Session) Deliver(l *Loop, out Actions, p *Push) {
	l.out = out
	message := p.Op == wire.OpNewMessage
	var cursor uint64
	if p.Op == wire.OpStatusUpdate {
		if cursor = l.told.key(s.id, p.Chat, p.User, p.Status); !l.told.news(cursor, p.Seq) {
			l.Counters.OldStatuses.Add(1)
			return
		}
	}
	switch {
	case s.state == Closed || s.state == Handshake || s.sync != nil && s.state == Authenticating && !message:
		l.Counters.ShedEarly.Add(1)
	case message && s.sync != nil:
		s.hold(l, p.Chat, p.Seq)
	case message && s.flags&flagStale != 0:
		l.Counters.ShedPush.Add(1)
	case s.write(l, worthOf(p.Op), p.Frame):
		l.Counters.Pushed.Add(1)
		if cursor != 0 {
			l.told.told(cursor, p.Seq)
		}
	}
}

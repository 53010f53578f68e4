package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// acks is what a client has acknowledged and the cores have not yet confirmed:
// one row per conversation, so a thousand receipts of one chat are one
// request. A row goes round this ring and leaves it when nothing new came:
//
//	dirty ──AckDelay──▶ receiptOut ──OK──▶ markOut ──OK──▶ gone, or dirty again
//	  ▲                     │                │  ▲
//	  └────── failed ───────┘         failed └──┘ markDue, after RetryEvery
//
// When the connection ends, a Parting takes the rows over.
type acks struct {
	rows []ackRow
	due  wire.Millis // when flushAcks has something to do; never: nothing
}

type ackRow struct {
	chat                wire.ChatID
	delivered, read     wire.Seq // as the client said
	sentDelivered, sent wire.Seq // delivered and read in the request that is out
	step                ackStep
	tries               uint8 // of a Parting: answers that named another leader
}

// more reports whether the client has said more than the request that is out.
func (r *ackRow) more() bool { return r.delivered > r.sentDelivered || r.read > r.sent }

// said returns the operation that took the client as far as the request that is
// out: who has read something has it.
func (r *ackRow) said() wire.Op {
	if r.sent >= r.sentDelivered {
		return wire.OpAckRead
	}
	return wire.OpAckDelivered
}

// request builds the receipt or mark of r.
func (r *ackRow) request(op peer.Op, user, device []byte) peer.Item {
	it := peer.Item{Op: op, Chat: r.chat, User: user, Delivered: r.sentDelivered, Read: r.sent}
	if op == peer.OpMark {
		it.Device = device
	}
	return it
}

type ackStep uint8

const (
	ackDirty ackStep = iota
	receiptOut
	markDue
	markOut
)

// stepOut returns the step of a row whose request of op is out.
func stepOut(op peer.Op) ackStep {
	if op == peer.OpMark {
		return markOut
	}
	return receiptOut
}

// flushAt is how many conversations wait at most for AckDelay to pass.
const flushAt = MaxAcks / 4

// ack notes that the client has chat up to delivered and has read up to read.
func (s *Session) ack(l *Loop, chat wire.ChatID, delivered, read wire.Seq) {
	if s.acks == nil {
		s.acks = &acks{due: never}
	}
	a := s.acks
	i := findAck(a.rows, chat)
	if i < 0 {
		if len(a.rows) == MaxAcks {
			s.refuseIn(l, wire.CodeTooFast, AckDelay)
			return
		}
		i = len(a.rows)
		a.rows = append(a.rows, ackRow{chat: chat})
	}
	r := &a.rows[i]
	r.delivered, r.read = max(r.delivered, delivered), max(r.read, read)
	if r.step != ackDirty {
		return
	}
	a.due = min(a.due, l.Now+AckDelay)
	if a.dirty() >= flushAt {
		s.flushAcks(l)
	}
	s.plan(l)
}

// findAck returns the place of chat in rows, or -1.
func findAck(rows []ackRow, chat wire.ChatID) int {
	for i := range rows {
		if rows[i].chat == chat {
			return i
		}
	}
	return -1
}

func (a *acks) dirty() (n int) {
	if len(a.rows) < flushAt {
		return 0 // cannot matter yet; spares the count for most sessions
	}
	for i := range a.rows {
		if a.rows[i].step == ackDirty {
			n++
		}
	}
	return n
}

// flushAcks sends what waits. What cannot be sent waits for RetryEvery.
func (s *Session) flushAcks(l *Loop) {
	a := s.acks
	if a == nil {
		return
	}
	a.due = never
	for i := range a.rows {
		switch r := &a.rows[i]; r.step {
		case ackDirty:
			r.sentDelivered, r.sent = r.delivered, r.read
			s.askAck(l, r, peer.OpReceipt)
		case markDue:
			s.askAck(l, r, peer.OpMark)
		}
	}
}

// askAck sends the receipt or mark of r.
func (s *Session) askAck(l *Loop, r *ackRow, op peer.Op) {
	l.item = r.request(op, s.User(), s.Device())
	if l.out.Core(&l.item, 0) {
		r.step = stepOut(op)
		return
	}
	s.retryAck(l, r, op)
}

// retryAck has the request of op asked again after RetryEvery.
func (s *Session) retryAck(l *Loop, r *ackRow, op peer.Op) {
	l.Counters.AckRetries.Add(1)
	if r.step = ackDirty; op == peer.OpMark {
		r.step = markDue
	}
	s.acks.due = min(s.acks.due, l.Now+RetryEvery)
}

// ackAnswered moves the row of ask.Chat along the ring.
func (s *Session) ackAnswered(l *Loop, ask *Ask, it *peer.Item) {
	i := -1
	if s.acks != nil {
		i = findAck(s.acks.rows, ask.Chat)
	}
	if i < 0 || s.acks.rows[i].step != stepOut(ask.Op) {
		l.Counters.StaleReplies.Add(1)
		return
	}
	r := &s.acks.rows[i]
	switch {
	case it.Code != wire.OK && final(it.Code) && !ahead(ask.Op, it.Code):
		refused := refusal{code: it.Code, op: r.said(), chat: r.chat}
		s.acks.rows = dropAck(s.acks.rows, i)
		s.refuse(l, refused)
	case it.Code != wire.OK:
		s.retryAck(l, r, ask.Op)
	case ask.Op == peer.OpReceipt:
		s.askAck(l, r, peer.OpMark)
	case r.more():
		r.step = ackDirty
		s.acks.due = min(s.acks.due, l.Now+AckDelay)
	default:
		s.acks.rows = dropAck(s.acks.rows, i)
	}
	if s.acks != nil && len(s.acks.rows) == 0 {
		s.acks = nil
	}
}

// ahead reports whether a mark only came too early. The conversation has just
// said that the user belongs to it; the user's shard hears of a conversation
// with its first bump, and a push may be there before that.
func ahead(op peer.Op, code wire.Code) bool {
	return op == peer.OpMark && code == wire.CodeUnknownChat
}

// dropAck removes row i; the last takes its place.
func dropAck(rows []ackRow, i int) []ackRow {
	last := len(rows) - 1
	rows[i] = rows[last]
	return rows[:last]
}

// final reports whether asking again cannot help: the client asked for
// something that is not there or not its own.
func final(code wire.Code) bool {
	spec := code.SpecOf()
	return spec != nil && !spec.Retryable
}

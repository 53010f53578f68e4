package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Parting is what a session that ended leaves to its driver: the receipts that
// are under way. It carries each round the ring of acks to its end, so that
// what a device acknowledged before it left is not delivered to it again.
//
// It asks for nothing by itself and has no clock: a row lives for as long as
// its request is in the driver's Pending, so Pending bounds the rows of all
// partings, and an answer or Lost ends or moves each. A refused request is
// asked again only when the answer named the leader; a row that is given up is
// counted and costs that its messages are delivered once more.
//
// It belongs to the loop of its session.
type Parting struct {
	id      wire.SessionID
	ids     []byte // user, then device
	userLen uint8
	rows    []ackRow
}

// part sends the receipts that waited and hands over what is under way.
func (s *Session) part(l *Loop) {
	if s.acks == nil {
		return
	}
	s.flushAcks(l)
	p := &Parting{id: s.id, ids: s.ids, userLen: s.userLen, rows: s.acks.rows}
	s.acks = nil
	for i := len(p.rows) - 1; i >= 0; i-- {
		if step := p.rows[i].step; step != receiptOut && step != markOut {
			p.giveUp(l, i)
		}
	}
	if !p.Done() {
		l.out.Parted(p)
	}
}

// CoreReply brings the answer to a request of the session, OpReceipt or OpMark.
func (p *Parting) CoreReply(l *Loop, out Asker, ask *Ask, it *peer.Item) {
	i := findAck(p.rows, ask.Chat)
	if i < 0 || p.rows[i].step != stepOut(ask.Op) {
		l.Counters.StaleReplies.Add(1)
		return
	}
	r := &p.rows[i]
	switch {
	case it.Code == wire.CodeNotLeader && it.Node != 0 && r.tries < maxHints:
		r.tries++
		l.Counters.AckRetries.Add(1)
		p.ask(l, out, i, ask.Op)
	case it.Code != wire.OK:
		p.giveUp(l, i)
	case ask.Op == peer.OpReceipt:
		p.ask(l, out, i, peer.OpMark)
	case r.more():
		r.sentDelivered, r.sent = r.delivered, r.read
		p.ask(l, out, i, peer.OpReceipt)
	default:
		p.rows = dropAck(p.rows, i)
	}
}

// Lost says that no answer to a request will come.
func (p *Parting) Lost(l *Loop, out Asker, ask *Ask) {
	p.CoreReply(l, out, ask, &peer.Item{Op: peer.OpReply, Code: wire.CodeUnavailable})
}

// Done reports whether nothing is under way any more: the driver forgets p.
func (p *Parting) Done() bool { return len(p.rows) == 0 }

// Session returns whose requests these are.
func (p *Parting) Session() wire.SessionID { return p.id }

// User returns who had signed in. It must not be changed.
func (p *Parting) User() []byte { return p.ids[:p.userLen:p.userLen] }

func (p *Parting) ask(l *Loop, out Asker, i int, op peer.Op) {
	r := &p.rows[i]
	l.item = r.request(op, p.User(), p.ids[p.userLen:])
	r.step = stepOut(op)
	if !out.Core(&l.item, 0) {
		p.giveUp(l, i)
	}
}

func (p *Parting) giveUp(l *Loop, i int) {
	l.Counters.AcksGivenUp.Add(1)
	p.rows = dropAck(p.rows, i)
}

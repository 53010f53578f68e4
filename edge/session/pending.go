package session

import (
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Pending is the table of requests without an answer of one loop: from a
// request's number to who asked and what is needed to understand the answer.
// It is bounded, holds no pointers, so that its size costs the collector
// nothing, and belongs to the loop.
//
// A number is the generation of a slot and the slot, so finding a request is
// an index and an old number finds nothing. The entries are chained in the
// order they came, and since all wait equally long, the oldest expire first.
type Pending struct {
	slots          []pendingSlot
	limit          int
	used           int
	free           uint32 // first of the free slots, chained by next
	oldest, newest uint32
}

// none ends a chain.
const none = 1<<32 - 1

type pendingSlot struct {
	session  wire.SessionID
	deadline wire.Millis
	chat     wire.ChatID
	gen      uint32
	tag      uint32
	node     wire.NodeID
	prev     uint32
	next     uint32
	op       peer.Op // 0 when free
	idLen    uint8
	id       [wire.MaxID]byte
}

// NewPending returns a table for at most limit requests. It grows as needed,
// at 128 bytes each, and never shrinks.
func NewPending(limit int) *Pending {
	return &Pending{limit: min(limit, none), free: none, oldest: none, newest: none}
}

// Len returns how many requests are in the table.
func (p *Pending) Len() int { return p.used }

// Add notes that session asks node for it and sets it.Req to a number that no
// other request has and no recent one had. False when the table is full.
func (p *Pending) Add(now wire.Millis, session wire.SessionID, node wire.NodeID, it *peer.Item, tag uint32) bool {
	i := p.free
	switch {
	case i != none:
		p.free = p.slots[i].next
	case len(p.slots) < p.limit:
		i = uint32(len(p.slots))
		p.slots = append(p.slots, pendingSlot{})
	default:
		return false
	}
	e := &p.slots[i]
	e.gen++
	e.session, e.deadline, e.chat = session, now+RequestTimeout, it.Chat
	e.tag, e.node, e.op = tag, node, it.Op
	e.idLen = uint8(copy(e.id[:], it.ClientMsgID))
	e.prev, e.next = p.newest, none
	if p.newest != none {
		p.slots[p.newest].next = i
	} else {
		p.oldest = i
	}
	p.newest = i
	p.used++
	it.Req = uint64(e.gen)<<32 | uint64(i)
	return true
}

// Take removes request req. ok is false when it is not in the table: answered
// before, expired, or never asked. ask.ClientMsgID is valid until the next Add.
func (p *Pending) Take(req uint64) (ask Ask, ok bool) {
	i := uint32(req)
	if uint64(i) >= uint64(len(p.slots)) {
		return ask, false
	}
	e := &p.slots[i]
	if e.op == 0 || e.gen != uint32(req>>32) {
		return ask, false
	}
	return p.remove(i), true
}

// ask returns what the slot says.
func (e *pendingSlot) ask() Ask {
	return Ask{Session: e.session, Chat: e.chat, Tag: e.tag, Node: e.node, Op: e.op, ClientMsgID: e.id[:e.idLen:e.idLen]}
}

func (p *Pending) remove(i uint32) Ask {
	e := &p.slots[i]
	ask := e.ask()
	if e.prev != none {
		p.slots[e.prev].next = e.next
	} else {
		p.oldest = e.next
	}
	if e.next != none {
		p.slots[e.next].prev = e.prev
	} else {
		p.newest = e.prev
	}
	e.op = 0
	e.next, p.free = p.free, i
	p.used--
	return ask
}

// Expire removes the requests that have waited for RequestTimeout and calls
// lost for each. lost may Add; ask.ClientMsgID is valid until it does.
func (p *Pending) Expire(now wire.Millis, lost func(ask *Ask)) {
	for p.oldest != none && p.slots[p.oldest].deadline <= now {
		ask := p.remove(p.oldest)
		lost(&ask)
	}
}

// FailNode removes the requests to node, whose link is down, and calls lost
// for each, as Expire does. What lost adds is left alone.
func (p *Pending) FailNode(node wire.NodeID, lost func(ask *Ask)) {
	p.Fail(func(ask *Ask) bool { return ask.Node == node }, lost)
}

// Fail removes the requests that match, and calls lost for each, as Expire
// does. What lost adds is left alone.
func (p *Pending) Fail(match func(ask *Ask) bool, lost func(ask *Ask)) {
	last := p.newest
	for i := p.oldest; i != none; {
		next, end := p.slots[i].next, i == last
		if ask := p.slots[i].ask(); match(&ask) {
			p.remove(i)
			lost(&ask)
		}
		if end {
			return
		}
		i = next
	}
}

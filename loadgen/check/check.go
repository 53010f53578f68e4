// Package check judges what users saw against what was promised: nothing
// acknowledged is lost, nothing has two places in the order, nothing arrives
// out of order, nothing arrives that nobody sent, receipts only move forward.
//
// A Checker is told what happened, by whoever drives the users: a load on real
// sockets, a chaos run or a simulation. It has no clock and no network. It is
// safe for concurrent use; events of one pair are serialised by its lock.
package check

import (
	"fmt"
	"slices"
	"sync"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// Kind names a broken promise.
type Kind string

// The promises that can break.
const (
	Lost       Kind = "lost"         // acknowledged, and the other side never saw it
	Duplicated Kind = "duplicated"   // one message has two places in the order
	OutOfOrder Kind = "out of order" // first seen after a later one of its conversation
	Phantom    Kind = "phantom"      // seen, but not what anybody sent
	Gap        Kind = "gap"          // a number of the order that no message has
	Backwards  Kind = "receipt back" // a cursor moved back
)

// Violation is one broken promise with the ids a person needs to look it up.
type Violation struct {
	Kind   Kind        `json:"kind"`
	Pair   uint32      `json:"pair"`
	K      uint32      `json:"k"`
	Seq    wire.Seq    `json:"message_id,omitempty"`
	User   wire.UserID `json:"user_id,omitempty"`
	Detail string      `json:"detail"`
}

// maxViolations bounds what is kept of each kind; more are counted only.
const maxViolations = 20

// Checker collects observations. Create it with New.
type Checker struct {
	work  *workload.Direct
	pairs []pair

	mu struct {
		sync.Mutex
		count map[Kind]uint64
		kept  []Violation
	}
}

// pair is what is known of one pair's conversation.
type pair struct {
	mu   sync.Mutex
	msgs []message
	// high is the greatest message_id each side was shown, cursors the greatest
	// that each side was told of the other's.
	high    [2]wire.Seq
	cursors [2][2]wire.Seq // [side][delivered, read]
	// redelivered counts what arrived again, as at-least-once allows.
	redelivered uint64
}

type message struct {
	acked wire.Seq // 0: not acknowledged
	seen  wire.Seq // 0: not seen by the other side
}

// New returns a Checker for the messages of w.
func New(w *workload.Direct) *Checker {
	c := &Checker{work: w, pairs: make([]pair, w.Pairs)}
	c.mu.count = make(map[Kind]uint64)
	return c
}

// at returns the pair of id, locked, and the message, growing the record.
// It is nil when the workload has no such pair.
func (c *Checker) at(id workload.ID) (*pair, *message) {
	if int(id.Pair) >= len(c.pairs) {
		return nil, nil
	}
	p := &c.pairs[id.Pair]
	p.mu.Lock()
	if int(id.K) >= len(p.msgs) {
		p.msgs = append(p.msgs, make([]message, int(id.K)+1-len(p.msgs))...)
	}
	return p, &p.msgs[id.K]
}

// Sent records that a message left its sender: from now on it may have a
// number, whether or not an answer comes.
func (c *Checker) Sent(id workload.ID) {
	if p, _ := c.at(id); p != nil {
		p.mu.Unlock()
	}
}

// Acked records ack_sent(id, seq) at the sender; again is true for a repeat.
func (c *Checker) Acked(id workload.ID, seq wire.Seq) (again bool) {
	p, m := c.at(id)
	if p == nil {
		return false
	}
	defer p.mu.Unlock()
	switch {
	case m.acked != 0 && m.acked != seq:
		c.report(Duplicated, id, seq, c.work.Side(id), fmt.Sprintf("acknowledged as %d and as %d", m.acked, seq))
	case m.seen != 0 && m.seen != seq:
		c.report(Duplicated, id, seq, c.work.Side(id), fmt.Sprintf("seen as %d and acknowledged as %d", m.seen, seq))
	}
	if m.acked != 0 {
		return true
	}
	m.acked = seq
	return false
}

// Received records that side was sent new_message seq with this client_msg_id
// and content. first is false when side had been shown it before, which
// at-least-once delivery allows.
func (c *Checker) Received(pairIndex uint32, side int, seq wire.Seq, cmid, content []byte) (id workload.ID, first bool) {
	id, ok := c.work.ParseClientMsgID(cmid)
	if !ok || id.Pair != pairIndex || int(id.Pair) >= len(c.pairs) {
		c.report(Phantom, workload.ID{Pair: pairIndex}, seq, side, fmt.Sprintf("client_msg_id %q was never sent here", cmid))
		return id, false
	}
	if inside, _, err := c.work.ParseContent(content); err != nil || inside != id {
		c.report(Phantom, id, seq, side, "the content is not what was sent")
		return id, false
	}
	p, m := c.at(id)
	defer p.mu.Unlock()
	if c.work.Side(id) == side { // an own message, repeated after a reconnect
		if m.acked != 0 && m.acked != seq {
			c.report(Duplicated, id, seq, side, fmt.Sprintf("acknowledged as %d, sent back as %d", m.acked, seq))
		}
		return id, false
	}
	if m.seen != 0 {
		if m.seen != seq {
			c.report(Duplicated, id, seq, side, fmt.Sprintf("seen as %d and as %d", m.seen, seq))
		}
		p.redelivered++
		return id, false
	}
	if m.acked != 0 && m.acked != seq {
		c.report(Duplicated, id, seq, side, fmt.Sprintf("acknowledged as %d, seen as %d", m.acked, seq))
	}
	if seq < p.high[side] {
		c.report(OutOfOrder, id, seq, side, fmt.Sprintf("first seen after %d", p.high[side]))
	}
	p.high[side] = max(p.high[side], seq)
	m.seen = seq
	return id, true
}

// Status records status_update at side about the other's cursor.
func (c *Checker) Status(pairIndex uint32, side int, seq wire.Seq, st wire.Status) {
	if int(pairIndex) >= len(c.pairs) || st != wire.StatusDelivered && st != wire.StatusRead {
		return
	}
	p := &c.pairs[pairIndex]
	p.mu.Lock()
	defer p.mu.Unlock()
	cur := &p.cursors[side][st-wire.StatusDelivered]
	if seq < *cur {
		c.report(Backwards, workload.ID{Pair: pairIndex}, seq, side, fmt.Sprintf("%s cursor went from %d to %d", st, *cur, seq))
	}
	*cur = max(*cur, seq)
}

func (c *Checker) report(kind Kind, id workload.ID, seq wire.Seq, side int, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.count[kind]++
	if c.mu.count[kind] <= maxViolations {
		c.mu.kept = append(c.mu.kept, Violation{Kind: kind, Pair: id.Pair, K: id.K, Seq: seq, User: c.work.User(id.Pair, side), Detail: detail})
	}
}

// Pending returns how many acknowledged messages the other side has not seen.
func (c *Checker) Pending() (n uint64) {
	for i := range c.pairs {
		p := &c.pairs[i]
		p.mu.Lock()
		for _, m := range p.msgs {
			if m.acked != 0 && m.seen == 0 {
				n++
			}
		}
		p.mu.Unlock()
	}
	return n
}

// Verdict is the outcome of a run.
type Verdict struct {
	Acked       uint64      `json:"acked"`
	Seen        uint64      `json:"seen"`
	Unanswered  uint64      `json:"unanswered"` // sent, never acknowledged: no promise, but somebody waits
	Redelivered uint64      `json:"redelivered"`
	Lost        uint64      `json:"lost"`
	Duplicated  uint64      `json:"duplicated"`
	OutOfOrder  uint64      `json:"out_of_order"`
	Phantom     uint64      `json:"phantom"`
	Gap         uint64      `json:"gap"`
	Backwards   uint64      `json:"receipt_back"`
	Violations  []Violation `json:"violations,omitempty"` // at most 20 of a kind
}

// OK reports whether every promise held.
func (v *Verdict) OK() bool { return v.Broken() == 0 }

// Broken counts the broken promises of all kinds.
func (v *Verdict) Broken() uint64 {
	return v.Lost + v.Duplicated + v.OutOfOrder + v.Phantom + v.Gap + v.Backwards
}

// Finish ends the run: whatever was acknowledged by now should have been seen.
// Call it once, when nothing more is on its way.
func (c *Checker) Finish() Verdict {
	var v Verdict
	for i := range c.pairs {
		c.finishPair(uint32(i), &c.pairs[i], &v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.mu.count
	v.Lost, v.Duplicated, v.OutOfOrder = n[Lost], n[Duplicated], n[OutOfOrder]
	v.Phantom, v.Gap, v.Backwards = n[Phantom], n[Gap], n[Backwards]
	v.Violations = c.mu.kept
	return v
}

// finishPair looks for what is lost and for numbers that no message has. A
// number may be missing at the end only: its message was sent, and the answer
// never came.
func (c *Checker) finishPair(index uint32, p *pair, v *Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v.Redelivered += p.redelivered
	seqs := make([]wire.Seq, 0, len(p.msgs))
	numberless := uint64(0) // sends that nobody has seen a number of
	for k, m := range p.msgs {
		id := workload.ID{Pair: index, K: uint32(k)}
		switch {
		case m.acked != 0 && m.seen == 0:
			c.report(Lost, id, m.acked, 1-c.work.Side(id), "acknowledged, never seen by the other side")
		case m.acked == 0 && m.seen == 0:
			numberless++
		}
		if m.acked != 0 {
			v.Acked++
		} else {
			v.Unanswered++
		}
		if m.seen != 0 {
			v.Seen++
		}
		if s := max(m.acked, m.seen); s != 0 {
			seqs = append(seqs, s)
		}
	}
	slices.Sort(seqs)
	next := wire.Seq(1)
	for _, s := range seqs {
		if s < next {
			c.report(Duplicated, workload.ID{Pair: index}, s, 0, "two messages have this number")
			continue
		}
		if missing := uint64(s - next); missing > numberless {
			c.report(Gap, workload.ID{Pair: index}, next, 0, fmt.Sprintf("%d to %d belong to no message", next, s-1))
		} else {
			numberless -= missing
		}
		next = s + 1
	}
}

// Package check judges what users saw against what was promised: nothing
// acknowledged is lost, nothing has two places in the order, nothing arrives
// out of order, nothing arrives that nobody sent, receipts only move forward.
//
// A Checker is told what happened, by whoever drives the users: a load on real
// sockets, a chaos run or a simulation. It has no clock and no network. It is
// safe for concurrent use; events of one conversation are serialised by its
// lock.
package check

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// Kind names a broken promise.
type Kind string

// The promises that can break.
const (
	Lost       Kind = "lost"         // acknowledged, and another member never saw it
	Duplicated Kind = "duplicated"   // one message has two places in the order
	OutOfOrder Kind = "out of order" // first seen after a later one of its conversation
	Phantom    Kind = "phantom"      // seen, but not what anybody sent
	Gap        Kind = "gap"          // a number of the order that no message has
	Backwards  Kind = "receipt back" // a cursor moved back
)

// Violation is one broken promise with the ids a person needs to look it up.
type Violation struct {
	Kind   Kind        `json:"kind"`
	Chat   string      `json:"chat"` // "pair 0", "group 0"
	K      uint32      `json:"k"`
	Seq    wire.Seq    `json:"message_id,omitempty"`
	User   wire.UserID `json:"user_id,omitempty"`
	Detail string      `json:"detail"`
}

// maxViolations bounds what is kept of each kind; more are counted only.
const maxViolations = 20

// Checker collects observations. Create it with New.
type Checker struct {
	work  *workload.Plan
	chats []chat

	// OnBroken, when set before the first observation, is called with every
	// violation as it is found. It runs under locks of the Checker and must not
	// call it.
	OnBroken func(Violation)

	mu struct {
		sync.Mutex
		count map[Kind]uint64
		kept  []Violation
	}
}

// chat is what is known of one conversation.
type chat struct {
	mu   sync.Mutex
	msgs []message
	// high is the greatest message_id each member was shown.
	high []wire.Seq
	// cursors are the greatest that each member was told of each other's.
	cursors map[cursor]wire.Seq
	// redelivered counts what arrived again, as at-least-once allows.
	redelivered uint64
}

// cursor is what one member was told of another's.
type cursor struct {
	side, of uint8
	status   wire.Status
}

type message struct {
	acked wire.Seq // 0: not acknowledged
	seen  wire.Seq // 0: not seen by another member
	by    uint64   // which members have seen it, a bit each; workload.MaxGroupSize
}

// New returns a Checker for the messages of w.
func New(w *workload.Plan) *Checker {
	c := &Checker{work: w, chats: make([]chat, w.Chats())}
	for i := range c.chats {
		c.chats[i].high = make([]wire.Seq, w.Members(uint32(i)))
		c.chats[i].cursors = make(map[cursor]wire.Seq)
	}
	c.mu.count = make(map[Kind]uint64)
	return c
}

// at returns the conversation of id, locked, and the message, growing the
// record. It is nil when the workload has no such conversation.
func (c *Checker) at(id workload.ID) (*chat, *message) {
	if int(id.Chat) >= len(c.chats) {
		return nil, nil
	}
	ch := &c.chats[id.Chat]
	ch.mu.Lock()
	if int(id.K) >= len(ch.msgs) {
		ch.msgs = append(ch.msgs, make([]message, int(id.K)+1-len(ch.msgs))...)
	}
	return ch, &ch.msgs[id.K]
}

// Sent records that a message left its sender: from now on it may have a
// number, whether or not an answer comes.
func (c *Checker) Sent(id workload.ID) {
	if ch, _ := c.at(id); ch != nil {
		ch.mu.Unlock()
	}
}

// Acked records ack_sent(id, seq) at the sender; again is true for a repeat.
func (c *Checker) Acked(id workload.ID, seq wire.Seq) (again bool) {
	ch, m := c.at(id)
	if ch == nil {
		return false
	}
	defer ch.mu.Unlock()
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
func (c *Checker) Received(index uint32, side int, seq wire.Seq, cmid, content []byte) (id workload.ID, first bool) {
	id, ok := c.work.ParseClientMsgID(cmid)
	if !ok || id.Chat != index || int(id.Chat) >= len(c.chats) {
		c.report(Phantom, workload.ID{Chat: index}, seq, side, fmt.Sprintf("client_msg_id %q was never sent here", cmid))
		return id, false
	}
	if inside, _, err := c.work.ParseContent(content); err != nil || inside != id {
		c.report(Phantom, id, seq, side, "the content is not what was sent")
		return id, false
	}
	ch, m := c.at(id)
	defer ch.mu.Unlock()
	if c.work.Side(id) == side { // an own message, repeated after a reconnect
		if m.acked != 0 && m.acked != seq {
			c.report(Duplicated, id, seq, side, fmt.Sprintf("acknowledged as %d, sent back as %d", m.acked, seq))
		}
		return id, false
	}
	if m.seen != 0 && m.seen != seq {
		c.report(Duplicated, id, seq, side, fmt.Sprintf("seen as %d and as %d", m.seen, seq))
		if m.by&(1<<side) == 0 { // one fault, one report: it is not lost as well
			m.by |= 1 << side
			return id, false
		}
	}
	if m.by&(1<<side) != 0 {
		ch.redelivered++
		return id, false
	}
	if m.acked != 0 && m.acked != seq {
		c.report(Duplicated, id, seq, side, fmt.Sprintf("acknowledged as %d, seen as %d", m.acked, seq))
	}
	if seq < ch.high[side] {
		c.report(OutOfOrder, id, seq, side, fmt.Sprintf("first seen after %d", ch.high[side]))
	}
	ch.high[side] = max(ch.high[side], seq)
	m.seen, m.by = seq, m.by|1<<side
	return id, true
}

// Status records status_update at side about a cursor of the member of.
func (c *Checker) Status(index uint32, side, of int, seq wire.Seq, st wire.Status) {
	if int(index) >= len(c.chats) || st != wire.StatusDelivered && st != wire.StatusRead {
		return
	}
	ch := &c.chats[index]
	ch.mu.Lock()
	defer ch.mu.Unlock()
	key := cursor{uint8(side), uint8(of), st}
	if have := ch.cursors[key]; seq < have {
		c.report(Backwards, workload.ID{Chat: index}, seq, side, fmt.Sprintf("%s cursor of %s went from %d to %d", st, c.work.User(index, of), have, seq))
	} else {
		ch.cursors[key] = seq
	}
}

// missed returns the members that have not seen message id: all but the sender
// at first.
func (c *Checker) missed(id workload.ID, m *message) uint64 {
	n := c.work.Members(id.Chat)
	return (1<<n - 1) &^ (m.by | 1<<c.work.Side(id))
}

func (c *Checker) report(kind Kind, id workload.ID, seq wire.Seq, side int, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.count[kind]++
	v := Violation{Kind: kind, Chat: c.work.Name(id.Chat), K: id.K, Seq: seq, User: c.work.User(id.Chat, side), Detail: detail}
	if c.mu.count[kind] <= maxViolations {
		c.mu.kept = append(c.mu.kept, v)
	}
	if c.OnBroken != nil {
		c.OnBroken(v)
	}
}

// Pending returns how many acknowledged messages some member has not seen.
func (c *Checker) Pending() (n uint64) {
	for i := range c.chats {
		ch := &c.chats[i]
		ch.mu.Lock()
		for k := range ch.msgs {
			m := &ch.msgs[k]
			if m.acked != 0 && c.missed(workload.ID{Chat: uint32(i), K: uint32(k)}, m) != 0 {
				n++
			}
		}
		ch.mu.Unlock()
	}
	return n
}

// FirstPending returns one of the messages that Pending counts, and a member
// that has not seen it; ok is false when there is none.
func (c *Checker) FirstPending() (id workload.ID, side int, seq wire.Seq, ok bool) {
	for i := range c.chats {
		p := &c.chats[i]
		p.mu.Lock()
		for k := range p.msgs {
			m, id := &p.msgs[k], workload.ID{Chat: uint32(i), K: uint32(k)}
			if missed := c.missed(id, m); m.acked != 0 && missed != 0 {
				p.mu.Unlock()
				return id, bits.TrailingZeros64(missed), m.acked, true
			}
		}
		p.mu.Unlock()
	}
	return id, 0, 0, false
}

// Verdict is the outcome of a run.
type Verdict struct {
	Acked       uint64      `json:"acked"`
	Seen        uint64      `json:"seen"`                  // by every other member
	GroupAcked  uint64      `json:"group_acked,omitempty"` // of Acked, in groups
	GroupSeen   uint64      `json:"group_seen,omitempty"`  // of Seen, in groups
	Unanswered  uint64      `json:"unanswered"`            // sent, never acknowledged: no promise, but somebody waits
	Redelivered uint64      `json:"redelivered"`
	Lost        uint64      `json:"lost"` // once for each member that misses a message
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
	for i := range c.chats {
		c.finishChat(uint32(i), &c.chats[i], &v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.mu.count
	v.Lost, v.Duplicated, v.OutOfOrder = n[Lost], n[Duplicated], n[OutOfOrder]
	v.Phantom, v.Gap, v.Backwards = n[Phantom], n[Gap], n[Backwards]
	v.Violations = c.mu.kept
	return v
}

// finishChat looks for what is lost and for numbers that no message has. A
// number may be missing at the end only: its message was sent, and the answer
// never came.
func (c *Checker) finishChat(index uint32, ch *chat, v *Verdict) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	v.Redelivered += ch.redelivered
	seqs := make([]wire.Seq, 0, len(ch.msgs))
	numberless := uint64(0) // sends that nobody has seen a number of
	for k := range ch.msgs {
		m, id := &ch.msgs[k], workload.ID{Chat: index, K: uint32(k)}
		missed := c.missed(id, m)
		c.count(id, m, missed, v)
		if m.acked == 0 && m.seen == 0 {
			numberless++
		}
		for side := 0; m.acked != 0 && missed != 0; side, missed = side+1, missed>>1 {
			if missed&1 != 0 {
				c.report(Lost, id, m.acked, side, "acknowledged, never seen by this member")
			}
		}
		if s := max(m.acked, m.seen); s != 0 {
			seqs = append(seqs, s)
		}
	}
	slices.Sort(seqs)
	next := wire.Seq(1)
	if c.work.IsGroup(index) {
		next = 2 // that the group was created is its first entry
	}
	for _, s := range seqs {
		if s < next {
			c.report(Duplicated, workload.ID{Chat: index}, s, 0, "two messages have this number")
			continue
		}
		if missing := uint64(s - next); missing > numberless {
			c.report(Gap, workload.ID{Chat: index}, next, 0, fmt.Sprintf("%d to %d belong to no message", next, s-1))
		} else {
			numberless -= missing
		}
		next = s + 1
	}
}

// count adds one message to the figures of v.
func (c *Checker) count(id workload.ID, m *message, missed uint64, v *Verdict) {
	group := uint64(0)
	if c.work.IsGroup(id.Chat) {
		group = 1
	}
	if m.acked != 0 {
		v.Acked++
		v.GroupAcked += group
	} else {
		v.Unanswered++
	}
	if missed == 0 {
		v.Seen++
		v.GroupSeen += group
	}
}

package core

import (
	"encoding/binary"
	"time"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// enqueue puts a write that node from asked for into the entry that is being
// filled. raw is its encoded form, nil when that has to be made from it. It
// reports whether there is room; otherwise the node has its refusal. r.mu is
// held.
func (r *replica) enqueue(from wire.NodeID, it *peer.Item, raw []byte, t *turn) bool {
	if code := r.refusal(); code != wire.OK {
		t.refuse(from, it.Op, it.Req, code, r.leaderNode())
		return false
	}
	e := r.mu.filling
	if len(e.asked) >= entryItems || len(e.buf)+len(raw) > entryBytes {
		r.node.c.queueFull.Add(1)
		t.refuse(from, it.Op, it.Req, wire.CodeUnavailable, r.leaderNode())
		return false
	}
	if len(e.buf) == 0 {
		e.buf = append(e.buf, make([]byte, commandHead)...)
		e.buf = shard.BeginEntry(e.buf, wire.Millis(r.node.cfg.Now().UnixMilli()))
	}
	if raw != nil {
		e.buf = append(e.buf, raw...)
	} else {
		e.buf = peer.Append(e.buf, it)
	}
	e.asked = append(e.asked, asked{node: from, op: it.Op, req: it.Req})
	if urgent(it.Op) || len(e.asked) >= entryItems/2 {
		r.mu.hurry = true
		t.kick(r)
	} else if !r.mu.lingers {
		r.mu.lingers = true
		r.linger.Reset(lingerFor)
	}
	return true
}

// urgent reports whether somebody waits for op to be applied. Nobody waits for
// the rest: what a bump or a touch tells has been pushed, receipts and marks
// were coalesced for longer on the edge. They ride along with what is urgent,
// or go after lingerFor, which spares most of the entries of a system that is
// not busy.
func urgent(op peer.Op) bool {
	switch op {
	case peer.OpBump, peer.OpTouch, peer.OpReceipt, peer.OpMark, peer.OpFanoutDone, peer.OpExpire:
		return false
	}
	return true
}

// refusal says why the replica takes no writes, or OK.
func (r *replica) refusal() wire.Code {
	code := r.absence()
	if code == wire.OK && r.node.full.Load() {
		code = wire.CodeStorage
	}
	if code == wire.CodeStorage {
		r.node.c.storage.Add(1)
	}
	return code
}

// hurry sends off what waits, urgent or not.
func (r *replica) hurry() {
	r.mu.Lock()
	r.mu.hurry, r.mu.lingers = true, false
	r.mu.Unlock()
	r.wake()
}

// wake tells the proposer that something waits.
func (r *replica) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// propose is the proposer's goroutine: one entry is on its way at a time, and
// the next fills meanwhile.
func (r *replica) propose() {
	for {
		select {
		case <-r.kick:
		case <-r.gone:
			return
		case <-r.node.stop:
			return
		}
		for {
			var e *entry
			r.mu.Lock()
			if r.mu.hurry {
				if r.leads.Load() {
					r.addDone()
				}
				e = r.take()
			}
			r.mu.flight = e
			r.mu.Unlock()
			if e == nil {
				break
			}
			r.carry(e)
		}
	}
}

// take takes the entry that is being filled, nil when it is empty. r.mu is
// held.
func (r *replica) take() *entry {
	e := r.mu.filling
	r.mu.hurry = false
	if len(e.asked) == 0 {
		return nil
	}
	r.mu.filling, r.mu.spare = r.mu.spare, nil
	if r.mu.filling == nil {
		r.mu.filling = new(entry)
	}
	r.mu.number++
	e.number = r.mu.number
	binary.LittleEndian.PutUint64(e.buf, r.run)
	binary.LittleEndian.PutUint64(e.buf[8:], e.number)
	return e
}

// addDone puts into the entry what the outbox no longer needs to keep, as far
// as there is room. What is refused after all is lost; see lostDone. r.mu is
// held.
func (r *replica) addDone() {
	e := r.mu.filling
	room := min(doneLimit, entryItems-len(e.asked))
	if !r.mu.fan.HasDone() || room <= 0 || len(e.buf) > entryBytes || r.failed.Load() || r.node.full.Load() {
		return
	}
	t := r.node.turn()
	r.mu.fan.TakeDone(room, func(id wire.ChatID, seq wire.Seq) {
		if !r.enqueue(0, &peer.Item{Op: peer.OpFanoutDone, Shard: r.id, Chat: id, Seq: seq}, nil, t) {
			r.lostDone(1)
		}
	})
	t.kicks = t.kicks[:0]
	r.node.turns.Put(t)
}

// lostDone notes that n items which were to clear the outbox have perhaps not
// done so. The next look finds what is still there, and its bumps, which change
// nothing, are answered once more. r.mu is held.
func (r *replica) lostDone(n int) {
	if n > 0 {
		r.node.c.doneLost.Add(uint64(n))
		r.mu.fan.LookFailed()
	}
}

// dones counts the items of e that were to clear the outbox.
func (e *entry) dones() (n int) {
	for i := range e.asked {
		if e.asked[i].op == peer.OpFanoutDone {
			n++
		}
	}
	return n
}

// carry proposes e and returns when it was applied here or will not be
// answered any more.
func (r *replica) carry(e *entry) {
	rs, err := r.node.host.Propose(r.session, e.buf, proposeTimeout)
	r.node.c.proposals.Add(1)
	over := err != nil // nobody else has e in hand
	if err == nil {
		res := <-rs.ResultC()
		over = res.Completed()
		rs.Release()
	} else {
		r.node.log.Debug("core: not proposed", "shard", r.id, "err", err)
	}
	// What was applied was answered by applied, which cleared flight.
	r.mu.Lock()
	unanswered := r.mu.flight == e
	r.mu.flight = nil
	if unanswered {
		r.lostDone(e.dones())
	}
	r.isOver(e.number)
	r.mu.Unlock()
	if unanswered {
		code := r.refusal()
		if code == wire.OK {
			code = wire.CodeUnavailable
		}
		r.node.c.unproposed.Add(1)
		t := r.node.turn()
		r.refuseAll(e, code, t)
		r.node.flush(t)
	}
	// After a timeout the entry may be in the hands of applied right now.
	if over || unanswered {
		r.recycle(e)
	}
}

// lastTaken returns the number of the entry that carries, or will carry, the
// newest item taken so far. r.mu is held.
func (r *replica) lastTaken() uint64 {
	if len(r.mu.filling.asked) > 0 {
		return r.mu.number + 1
	}
	return r.mu.number
}

// isOver notes that entry number and those before it were applied or given up.
// r.mu is held.
func (r *replica) isOver(number uint64) {
	r.mu.over = max(r.mu.over, number)
	if r.mu.turned != nil {
		close(r.mu.turned)
		r.mu.turned = nil
	}
}

// awaitOver waits until entry number is over, at most as long as the one in
// flight and the one behind it may take.
func (r *replica) awaitOver(number uint64) error {
	timeout := time.NewTimer(2 * proposeTimeout)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		if r.mu.over >= number {
			r.mu.Unlock()
			return nil
		}
		if r.mu.turned == nil {
			r.mu.turned = make(chan struct{})
		}
		turned := r.mu.turned
		r.mu.Unlock()
		select {
		case <-turned:
		case <-r.gone:
			return errNoQuorum
		case <-r.node.stop:
			return errNoQuorum
		case <-timeout.C:
			return errNoQuorum
		}
	}
}

// refuseAll answers everybody who has an item in e.
func (r *replica) refuseAll(e *entry, code wire.Code, t *turn) {
	for _, a := range e.asked {
		t.refuse(a.node, a.op, a.req, code, r.leaderNode())
	}
}

// keepEntry is how large an entry's buffer may be that is kept for the next.
const keepEntry = 1 << 20

// recycle keeps e's memory for a later entry.
func (r *replica) recycle(e *entry) {
	if cap(e.buf) > keepEntry {
		e.buf = nil
	}
	e.buf, e.asked = e.buf[:0], e.asked[:0]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.spare == nil {
		r.mu.spare = e
	}
}

// applied takes the outcome of an entry that was applied: the answers go to
// those who asked, when this life of the replica proposed it, and the effects
// are acted on, when it leads. It runs on the apply goroutine.
func (r *replica) applied(run, number uint64, out *shard.Outcome, t *turn) {
	r.mu.Lock()
	e := r.mu.flight
	if e == nil || run != r.run || e.number != number || len(e.asked) != len(out.Results) {
		e = nil
	} else {
		r.mu.flight = nil
	}
	r.mu.Unlock()
	if e != nil {
		for i := range out.Results {
			if a := &e.asked[i]; a.node != 0 {
				res := &out.Results[i]
				t.reply(a.node, &peer.Item{
					Op: peer.OpReply, Req: a.req, Code: res.Code, Flags: res.Flags, Chat: res.Chat,
					Seq: res.Seq, At: res.At, Stamp: res.Stamp, After: uint64(res.After),
				})
			} else if e.asked[i].op == peer.OpExpire {
				r.expired(&out.Results[i])
			}
		}
	}
	r.node.c.items.Add(uint64(len(out.Results)))
	if r.leads.Load() {
		r.act(out.Effects, t)
	}
}

// expire proposes to forget what is older than the dedupe window, when it is
// time.
func (r *replica) expire() {
	now := r.node.millis()
	t := r.node.turn()
	r.mu.Lock()
	if r.mu.expireAt != 0 && now >= r.mu.expireAt {
		r.mu.expireAt = now + expireEvery.Milliseconds()
		r.enqueue(0, &peer.Item{Op: peer.OpExpire, Shard: r.id, Limit: expireRows}, nil, t)
	}
	r.mu.Unlock()
	r.node.flush(t)
}

// expired goes on with a round that is not over.
func (r *replica) expired(res *shard.Result) {
	if res.Flags&peer.FlagMore == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.expireAt = r.node.millis()
}

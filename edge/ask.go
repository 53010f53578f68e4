package edge

import (
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A request's number is what session.Pending gave it, with the loop in the
// bits that requestsMax leaves free and the process's salt over the
// generation: an answer to an earlier process of this edge finds nothing.
const (
	reqLoopShift = 24
	reqLoopMask  = 0xff << reqLoopShift
	restLoop     = 0xff // the REST interface's place among the loops
)

const _ = uint(1<<reqLoopShift - requestsMax) // the slots fit below the loop

// reqOut makes the number for the link of one of Pending's, reqIn the reverse.
func (l *loop) reqOut(req uint64) uint64 {
	return req ^ uint64(l.srv.salt)<<32 | uint64(l.idx)<<reqLoopShift
}

func (l *loop) reqIn(req uint64) uint64 {
	return req&^reqLoopMask ^ uint64(l.srv.salt)<<32
}

// reqLoop returns the loop of a number, or restLoop.
func reqLoop(req uint64) int { return int(req>>reqLoopShift) & 0xff }

// outbound is what a loop has for one core.
type outbound struct {
	node wire.NodeID
	buf  []byte
}

// ofUser reports whether an item of op goes to the user's shard, not the
// conversation's.
func ofUser(op peer.Op) bool {
	switch op {
	case peer.OpOpen, peer.OpMark, peer.OpChanges, peer.OpClose, peer.OpChats:
		return true
	}
	return false
}

// ask puts a request or hint of session id, about slot, into the batch for the
// leader of the slot's shard. It is false when nobody is known to ask or too
// many requests are out.
func (l *loop) ask(id wire.SessionID, slot wire.Slot, it *peer.Item, tag uint32) bool {
	shard, ok := l.srv.router.shard(slot)
	if !ok {
		l.n.noRoute.Add(1)
		return false
	}
	node := l.srv.router.leader(shard)
	if node == 0 {
		l.n.noRoute.Add(1)
		return false
	}
	it.Shard = shard
	if it.Op != peer.OpClose && it.Op != peer.OpTyping {
		if !l.pending.Add(l.shared.Now, id, node, it, tag) {
			l.n.pendingFull.Add(1)
			return false
		}
		it.Req = l.reqOut(it.Req)
	}
	o := l.outTo(node)
	before := len(o.buf)
	o.buf = peer.Append(o.buf, it)
	l.owed += len(o.buf) - before
	l.n.asked.Add(1)
	return true
}

// outTo returns the batch for node. There are as many as cores.
func (l *loop) outTo(node wire.NodeID) *outbound {
	for i := range l.out {
		if l.out[i].node == node {
			return &l.out[i]
		}
	}
	l.out = append(l.out, outbound{node: node})
	return &l.out[len(l.out)-1]
}

// flushPeers sends the batches. Requests of one that the link did not take are
// lost; what the sessions ask because of that waits for the next turn.
func (l *loop) flushPeers() {
	if l.owed == 0 {
		return
	}
	l.owed = 0
	for i := range len(l.out) {
		buf := l.out[i].buf
		if len(buf) == 0 {
			continue
		}
		l.out[i].buf = nil
		l.n.batches.Add(1)
		if !l.srv.send(l.out[i].node, buf) {
			l.loseBatch(buf)
		}
		if l.out[i].buf == nil && cap(buf) <= 4*batchFlush {
			l.out[i].buf = buf[:0]
		}
	}
}

// loseBatch tells the sessions whose requests are in a batch that was dropped.
func (l *loop) loseBatch(batch []byte) {
	l.n.batchDrops.Add(1)
	var it peer.Item
	for len(batch) > 0 {
		_, rest, ok := peer.Next(batch, &it)
		if !ok {
			return
		}
		batch = rest
		if it.Req == 0 {
			continue
		}
		if ask, ok := l.pending.Take(l.reqIn(it.Req)); ok {
			l.lost(&ask)
		}
	}
}

// lost tells a session that a request will not be answered.
func (l *loop) lost(ask *session.Ask) {
	l.n.lost.Add(1)
	if left := l.leaverOf(ask); left != nil {
		left.parting.Lost(l.shared, left, ask)
		l.forget(left)
		return
	}
	_, h := splitID(ask.Session)
	if c := l.table.get(h); c != nil {
		c.sess.Lost(l.shared, c, ask)
	}
}

// supersede gives up the requests about shard that other nodes than its new
// leader have: a leader that was stopped or cut off does not say that it leads
// no more, and its link looks well for seconds. Whoever asked asks again, now
// in the right place.
func (l *loop) supersede(shard wire.ShardID, leader wire.NodeID) {
	l.pending.Fail(func(ask *session.Ask) bool {
		if ask.Node == leader {
			return false
		}
		slot, ok := l.slotOf(ask)
		of, known := l.srv.router.shard(slot)
		return ok && known && of == shard
	}, l.lost)
}

// slotOf returns the slot that a request is about; ok is false when whoever
// asked is gone.
func (l *loop) slotOf(ask *session.Ask) (slot wire.Slot, ok bool) {
	if left := l.leaverOf(ask); left != nil {
		return left.slotOf(ask.Op, ask.Chat), true
	}
	_, h := splitID(ask.Session)
	c := l.table.get(h)
	if c == nil {
		return 0, false
	}
	if ofUser(ask.Op) {
		return c.slot, true
	}
	return ask.Chat.Slot(), true
}

// answer brings a core's answer to the session that asked, after what it says
// about who leads the shard was noted.
func (l *loop) answer(it *peer.Item) {
	ask, ok := l.pending.Take(l.reqIn(it.Req))
	if !ok {
		l.n.stale.Add(1)
		return
	}
	if left := l.leaverOf(&ask); left != nil {
		l.srv.router.note(left.slotOf(ask.Op, ask.Chat), ask.Node, it)
		left.parting.CoreReply(l.shared, left, &ask, it)
		l.forget(left)
		return
	}
	_, h := splitID(ask.Session)
	c := l.table.get(h)
	if c == nil {
		l.n.stale.Add(1)
		return
	}
	slot := ask.Chat.Slot()
	if ofUser(ask.Op) {
		slot = c.slot
	}
	l.srv.router.note(slot, ask.Node, it)
	c.sess.CoreReply(l.shared, c, &ask, it)
}

// reopening is which shards' sessions are being opened again at their new
// leaders: those of the walk over the table that is under way, and those that
// came since and wait for the next.
type reopening struct {
	now, next map[wire.ShardID]bool
	slot      uint32 // where the walk stands
	tick      uint32 // in which it was last gone on with
}

// walkPerTick bounds how many slots of the table one tick looks at.
const walkPerTick = 64 * reopenPerTick

// reopenShards has the sessions of shards opened again, paced by the clock.
func (l *loop) reopenShards(shards []wire.ShardID) {
	if l.reopen.next == nil {
		l.reopen.next = make(map[wire.ShardID]bool)
	}
	for _, s := range shards {
		l.reopen.next[s] = true
	}
	l.wantsFine.Store(true)
	l.srv.clock.kick()
}

// reopenSome is one tick's part of the walk. It reports whether there is more.
// The first part comes at once, so that on a small edge the sessions that
// begin a moment later, at the new leader, are not opened twice.
func (l *loop) reopenSome() (more bool) {
	r := &l.reopen
	if r.tick == l.tick {
		return len(r.now)+len(r.next) > 0
	}
	r.tick = l.tick
	if len(r.now) == 0 {
		if len(r.next) == 0 {
			return false
		}
		r.now, r.next, r.slot = r.next, nil, 0
	}
	end := r.slot + walkPerTick
	for left := reopenPerTick; left > 0 && r.slot < end; r.slot++ {
		if int(r.slot) >= l.table.used {
			r.now = nil
			return len(r.next) > 0
		}
		c := l.table.at(r.slot)
		if !c.open || !c.known || c.closing {
			continue
		}
		if shard, ok := l.srv.router.shard(c.slot); ok && r.now[shard] {
			c.sess.Reopen(l.shared, c)
			l.n.reopened.Add(1)
			left--
		}
	}
	return true
}

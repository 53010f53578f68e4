package edge

import (
	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// work is something that another goroutine wants a loop to do.
type work struct {
	kind   workKind
	code   wire.Code                  // workVerdict
	node   wire.NodeID                // workBatch: from; workDown: whose link is gone
	h      handle                     // workVerdict
	who    session.Identity           // workVerdict
	batch  *bytebufferpool.ByteBuffer // workBatch: pooled; the loop gives it back
	shards []wire.ShardID             // workReopen
	after  func() wire.Millis         // workDrain: when the next client may come back
}

type workKind uint8

const (
	workBatch   workKind = iota // items from a core for this loop
	workVerdict                 // a token was verified
	workTick                    // the clock
	workDown                    // a core's link is gone
	workReopen                  // sessions of shards are to be opened again
	workDrain                   // say farewell
)

// post puts w into the loop's inbox. What bounds it: batches by their bytes,
// verdicts by the connections there are, ticks to one, and the rest by how
// often cores come and go.
func (l *loop) post(w work) {
	l.inbox.Lock()
	defer l.inbox.Unlock()
	switch {
	case l.inbox.stopped:
		return
	case w.kind == workTick:
		if l.inbox.ticking {
			return // the loop is behind; one tick catches up
		}
		l.inbox.ticking = true
	case w.kind == workBatch:
		if l.inbox.bytes+len(w.batch.B) > inboxMax {
			l.n.inboxDrops.Add(1)
			l.srv.putBuffer(w.batch)
			return
		}
		l.inbox.bytes += len(w.batch.B)
	}
	l.inbox.work = append(l.inbox.work, w)
	l.pokeLocked()
}

// do does one piece of work.
func (l *loop) do(w *work) {
	switch w.kind {
	case workBatch:
		l.doBatch(w.node, w.batch.B)
		l.srv.putBuffer(w.batch)
	case workVerdict:
		if c := l.table.get(w.h); c != nil {
			c.sess.Authenticated(l.shared, c, &w.who, w.code)
		}
	case workTick:
		l.advance()
	case workDown:
		l.pending.FailNode(w.node, l.lost)
	case workReopen:
		l.reopenShards(w.shards)
	case workDrain:
		for c := l.table.from(0); c != nil; c = l.table.from(c.h.slot + 1) {
			c.sess.Drain(l.shared, c, w.after())
			if len(l.dirty) >= dirtyMax {
				l.flushSockets()
			}
		}
	}
}

// doBatch handles the items that a core sent to sessions of this loop.
func (l *loop) doBatch(from wire.NodeID, batch []byte) {
	var it peer.Item
	for len(batch) > 0 {
		_, rest, ok := peer.Next(batch, &it)
		if !ok {
			return // the server has checked it already
		}
		batch = rest
		switch it.Op {
		case peer.OpDeliver:
			l.deliver(&it)
		case peer.OpResync:
			l.eachSession(it.List, func(c *conn) { c.sess.Resync(l.shared, c) })
		case peer.OpReopen:
			l.supersede(it.Shard, from)
			l.reopenShards([]wire.ShardID{it.Shard})
		default:
			l.answer(&it)
		}
		if len(l.dirty) >= dirtyMax {
			l.flushSockets()
		}
	}
}

// eachSession calls fn with the connections of a session list that are still
// there.
func (l *loop) eachSession(list []byte, fn func(*conn)) {
	for {
		id, rest, ok := peer.NextSession(list)
		if !ok {
			return
		}
		list = rest
		_, h := splitID(id)
		if c := l.table.get(h); c != nil {
			fn(c)
		} else {
			l.n.stale.Add(1)
		}
	}
}

// deliver hands a push to its sessions: as it came to those that speak
// msgpack, converted once for all others.
func (l *loop) deliver(it *peer.Item) {
	p := &l.push
	*p = session.Push{Op: frameOp(it.Body), Chat: it.Chat, Seq: it.Seq}
	if wire.Spec(p.Op) == nil {
		l.n.badItems.Add(1)
		return
	}
	if p.Op == wire.OpStatusUpdate {
		var f wire.Frame
		if err := wire.DecodeMsgpack(it.Body, &f); err != nil {
			l.n.badItems.Add(1)
			return
		}
		p.Seq, p.User, p.Status = f.Seq, f.User, f.Status
		l.lately = true
	}
	text := l.json[:0]
	l.eachSession(it.List, func(c *conn) {
		p.Frame = it.Body
		if c.sess.Format() == wire.JSON {
			if len(text) == 0 {
				text = l.toJSON(it.Body)
			}
			if p.Frame = text; len(text) == 0 {
				return
			}
		}
		c.sess.Deliver(l.shared, c, p)
	})
	l.lately = false
	p.Frame, p.User = nil, nil
}

// toJSON converts a frame into l.json; nothing when it is broken.
func (l *loop) toJSON(body []byte) []byte {
	var f wire.Frame
	if err := wire.DecodeMsgpack(body, &f); err != nil {
		l.n.badItems.Add(1)
		return nil
	}
	l.json = wire.AppendJSON(l.json[:0], &f)
	return l.json
}

// frameOp returns the op of a msgpack frame as our own encoder writes it: the
// head of a short array, then the op; 0 for anything else.
func frameOp(body []byte) wire.Op {
	if len(body) < 2 || body[0]&0xf0 != 0x90 {
		return 0
	}
	return wire.Op(body[1])
}

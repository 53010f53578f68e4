package edge

import (
	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Events is what the link that this edge will be attached to must call. The
// handlers copy what they need and return; they may run before Attach.
func (s *Server) Events() link.Events {
	return link.Events{Batch: s.onBatch, Up: s.onUp, Down: s.onDown}
}

func (s *Server) onUp(node wire.NodeID) {
	if shards := s.router.up(node); len(shards) > 0 {
		for _, l := range s.loops {
			l.post(work{kind: workReopen, shards: shards})
		}
	}
}

func (s *Server) onDown(node wire.NodeID) {
	s.router.down(node)
	s.calls.failNode(node)
	for _, l := range s.loops {
		l.post(work{kind: workDown, node: node})
	}
}

// onBatch sorts the items of a batch by the loop they concern and hands each
// loop its part in one piece.
func (s *Server) onBatch(from wire.NodeID, batch []byte) {
	sp := s.newSplit()
	var it peer.Item
	for len(batch) > 0 {
		raw, rest, ok := peer.Next(batch, &it)
		if !ok {
			s.n.badBatches.Add(1)
			s.cfg.Log.Warn("edge: a core sent bytes that are not items; run matching versions", "core", from)
			break
		}
		batch = rest
		switch it.Op {
		case peer.OpReply, peer.OpChangesReply, peer.OpRangeReply, peer.OpChatsReply:
			if n := reqLoop(it.Req); n == restLoop {
				s.calls.answer(from, raw)
			} else if n < len(s.loops) {
				sp.add(n, raw)
			}
		case peer.OpDeliver, peer.OpResync:
			sp.bySession(&it, raw)
		case peer.OpReopen:
			s.router.leads(it.Shard, from)
			for n := range s.loops {
				sp.add(n, raw)
			}
		default:
			s.n.badItems.Add(1)
		}
	}
	sp.post(from)
}

// split gathers the parts of one batch.
type split struct {
	srv   *Server
	parts []*bytebufferpool.ByteBuffer // per loop; nil when there is nothing for it
	lists [][]byte                     // per loop, scratch: the sessions of one item
}

func (s *Server) newSplit() *split {
	if sp, ok := s.splits.Get().(*split); ok {
		return sp
	}
	return &split{srv: s, parts: make([]*bytebufferpool.ByteBuffer, len(s.loops)), lists: make([][]byte, len(s.loops))}
}

// add appends a whole item to the part of loop n.
func (sp *split) add(n int, raw []byte) {
	p := sp.part(n)
	p.B = append(p.B, raw...)
}

func (sp *split) part(n int) *bytebufferpool.ByteBuffer {
	if sp.parts[n] == nil {
		sp.parts[n] = sp.srv.buffers.Get()
	}
	return sp.parts[n]
}

// bySession gives each loop the item with the loop's own sessions.
func (sp *split) bySession(it *peer.Item, raw []byte) {
	first, mixed := -1, false
	for list := it.List; ; {
		id, rest, ok := peer.NextSession(list)
		if !ok {
			break
		}
		list = rest
		n, _ := splitID(id)
		if n >= len(sp.lists) {
			continue
		}
		if first < 0 {
			first = n
		}
		mixed = mixed || n != first
		sp.lists[n] = peer.AppendSession(sp.lists[n], id)
	}
	for n, list := range sp.lists {
		if len(list) == 0 {
			continue
		}
		if mixed {
			it.List = list
			p := sp.part(n)
			p.B = peer.Append(p.B, it)
		} else {
			sp.add(n, raw)
		}
		sp.lists[n] = list[:0]
	}
}

// post hands the parts to their loops and gives sp back.
func (sp *split) post(from wire.NodeID) {
	s := sp.srv
	for n, p := range sp.parts {
		if p != nil {
			sp.parts[n] = nil
			s.loops[n].post(work{kind: workBatch, node: from, batch: p})
		}
	}
	s.splits.Put(sp)
}

// putBuffer gives a buffer back. Larger ones than most are left to the
// collector: by what the pool has seen, and from the first one on by a bound.
func (s *Server) putBuffer(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= 4*batchFlush {
		s.buffers.Put(b)
	}
}

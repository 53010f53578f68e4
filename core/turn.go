package core

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// turn collects what one run of a handler or of an apply sends: one batch per
// node. Nothing is sent while a lock is held; Node.flush sends it all.
type turn struct {
	out   []outgoing
	kicks []*replica // that have something to propose
	edges []edgeList // scratch of push
	list  []byte     // scratch
	frame []byte     // scratch
}

// outgoing is the batch for one node, with the places where it may be cut.
type outgoing struct {
	to   wire.NodeID
	buf  []byte
	cuts []int
}

// edgeList is the sessions of one edge that a frame goes to.
type edgeList struct {
	edge wire.NodeID
	list []byte
}

func (n *Node) turn() *turn { return n.turns.Get().(*turn) }

// add adds an item for node to.
func (t *turn) add(to wire.NodeID, it *peer.Item) {
	o := t.to(to)
	o.buf = peer.Append(o.buf, it)
	o.cut()
}

// to returns the batch for node to.
func (t *turn) to(to wire.NodeID) *outgoing {
	for i := range t.out {
		if t.out[i].to == to {
			return &t.out[i]
		}
	}
	if len(t.out) < cap(t.out) {
		t.out = t.out[:len(t.out)+1] // its buffers are still there
	} else {
		t.out = append(t.out, outgoing{})
	}
	o := &t.out[len(t.out)-1]
	o.to, o.buf, o.cuts = to, o.buf[:0], o.cuts[:0]
	return o
}

func (o *outgoing) cut() {
	from := 0
	if n := len(o.cuts); n > 0 {
		from = o.cuts[n-1]
	}
	if len(o.buf)-from >= sendBatch {
		o.cuts = append(o.cuts, len(o.buf))
	}
}

// reply answers a request of node to. Nobody asked when to is zero.
func (t *turn) reply(to wire.NodeID, it *peer.Item) {
	if to != 0 {
		t.add(to, it)
	}
}

// refuse answers a request with a code alone. leader says who leads the shard,
// when that is known.
func (t *turn) refuse(to wire.NodeID, op peer.Op, req uint64, code wire.Code, leader wire.NodeID) {
	t.reply(to, &peer.Item{Op: answerTo(op), Req: req, Code: code, Node: leader})
}

// answerTo returns the op that answers op.
func answerTo(op peer.Op) peer.Op {
	switch op {
	case peer.OpChanges:
		return peer.OpChangesReply
	case peer.OpRange:
		return peer.OpRangeReply
	case peer.OpChats:
		return peer.OpChatsReply
	}
	return peer.OpReply
}

// kick remembers that r has something to propose once the turn is over.
func (t *turn) kick(r *replica) {
	if n := len(t.kicks); n == 0 || t.kicks[n-1] != r {
		t.kicks = append(t.kicks, r)
	}
}

// keepTurn is how large a buffer may be that is kept for the next turn.
const keepTurn = 1 << 20

// flush sends what t holds, wakes the proposers and takes t back. No lock may
// be held: a link may call handlers of this node before it returns.
func (n *Node) flush(t *turn) {
	for i := range t.out {
		o := &t.out[i]
		from := 0
		for _, end := range o.cuts {
			n.send(o.to, o.buf[from:end])
			from = end
		}
		n.send(o.to, o.buf[from:])
		if cap(o.buf) > keepTurn {
			o.buf = nil
		}
	}
	for _, r := range t.kicks {
		r.wake()
	}
	clear(t.kicks)
	t.out, t.kicks = t.out[:0], t.kicks[:0]
	n.turns.Put(t)
}

// send sends one batch. A batch that is dropped is counted by the link; what
// must arrive is repeated.
func (n *Node) send(to wire.NodeID, batch []byte) {
	if len(batch) == 0 {
		return
	}
	l := n.link.Load()
	if l == nil || !(*l).Send(to, batch) {
		n.c.unsent.Add(1)
	}
}

// edge returns the list of sessions at an edge, empty at first.
func (t *turn) edge(id wire.NodeID) *edgeList {
	for i := range t.edges {
		if t.edges[i].edge == id {
			return &t.edges[i]
		}
	}
	if len(t.edges) < cap(t.edges) {
		t.edges = t.edges[:len(t.edges)+1]
	} else {
		t.edges = append(t.edges, edgeList{})
	}
	e := &t.edges[len(t.edges)-1]
	e.edge, e.list = id, e.list[:0]
	return e
}

// addSession adds a session to the list of its edge.
func (t *turn) addSession(edge wire.NodeID, id wire.SessionID) {
	e := t.edge(edge)
	e.list = binary.LittleEndian.AppendUint64(e.list, uint64(id))
}

// sendLists adds it once per edge, with the sessions collected there, and
// empties the lists. It returns how many sessions there were.
func (t *turn) sendLists(it *peer.Item) (sessions int) {
	for i := range t.edges {
		e := &t.edges[i]
		it.List = e.list
		sessions += len(e.list) / 8
		t.add(e.edge, it)
	}
	t.edges = t.edges[:0]
	return sessions
}

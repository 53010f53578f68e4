package sim

import (
	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// batch implements endpoint.
func (c *coreNode) batch(from wire.NodeID, b []byte) {
	t := c.turn()
	var it peer.Item
	for len(b) > 0 {
		raw, rest, ok := peer.Next(b, &it)
		if !ok {
			c.w.fault("a core was sent bytes that are no items")
			break
		}
		c.item(from, &it, raw, t)
		b = rest
	}
	t.flush()
}

// item takes one item.
func (c *coreNode) item(from wire.NodeID, it *peer.Item, raw []byte, t *turn) {
	if it.Op == peer.OpReply {
		c.answered(from, it)
		return
	}
	r := c.replica(it.Shard)
	if r == nil {
		if it.Req != 0 {
			t.refuse(from, it.Op, it.Req, wire.CodeWrongShard, c.leaderOf(it.Shard))
		}
		return
	}
	switch it.Op {
	case peer.OpAppend, peer.OpReceipt, peer.OpCreateGroup, peer.OpDevice:
		r.enqueue(from, it, raw, t)
	case peer.OpMark:
		r.live.Acknowledged(it.User, it.Device, it.Chat, it.Delivered, r.ackTicks())
		r.enqueue(from, it, raw, t)
	case peer.OpBump:
		r.bump(from, it, t)
	case peer.OpTouch:
		if r.leads {
			r.pushAll(it, t)
		}
		it.Body = nil
		r.enqueue(from, it, nil, t)
	case peer.OpClose:
		r.live.Close(from, it.Session, it.User)
	case peer.OpOpen:
		r.open(from, it, t)
	case peer.OpChanges, peer.OpRange, peer.OpChats:
		r.read(from, it, raw, t)
	}
}

// answered takes the answer to a bump or a touch.
func (c *coreNode) answered(from wire.NodeID, it *peer.Item) {
	owner, to := fanout.OwnerOf(it.Req)
	r := c.replica(owner)
	if r == nil {
		return
	}
	r.fan.Answer(it.Req, it.Code, c.p.mono())
	if it.Code == wire.CodeNotLeader || it.Code == wire.CodeWrongShard || it.Code == wire.CodeUnavailable {
		c.learn(to, from, it.Node)
	}
}

// learn remembers who leads a shard, as from said.
func (c *coreNode) learn(id wire.ShardID, from, leader wire.NodeID) {
	if leader == 0 || leader == from {
		nodes := c.m.Replicas(id)
		if len(nodes) == 0 {
			return
		}
		leader = nodes[0]
		for i, node := range nodes {
			if node == from {
				leader = nodes[(i+1)%len(nodes)]
			}
		}
	}
	c.hints[id] = leader
}

// leaderOf returns the node to ask about a shard.
func (c *coreNode) leaderOf(id wire.ShardID) wire.NodeID {
	if r := c.replica(id); r != nil && r.leader != 0 {
		return r.leader
	}
	if h := c.hints[id]; h != 0 {
		return h
	}
	if nodes := c.m.Replicas(id); len(nodes) > 0 {
		return nodes[0]
	}
	return 0
}

// turn collects what one handler sends, a batch for each node.
type turn struct {
	c     *coreNode
	out   []outgoing
	kicks []*replica
	edges []edgeList
}

type outgoing struct {
	to  wire.NodeID
	buf []byte
}

// edgeList is the sessions of one edge that a frame goes to.
type edgeList struct {
	edge wire.NodeID
	ids  []wire.SessionID
}

func (c *coreNode) turn() *turn { return &turn{c: c} }

func (t *turn) to(id wire.NodeID) *outgoing {
	for i := range t.out {
		if t.out[i].to == id {
			return &t.out[i]
		}
	}
	t.out = append(t.out, outgoing{to: id})
	return &t.out[len(t.out)-1]
}

func (t *turn) add(to wire.NodeID, it *peer.Item) {
	o := t.to(to)
	o.buf = peer.Append(o.buf, it)
}

// reply answers a request of node to, if it is one's.
func (t *turn) reply(to wire.NodeID, it *peer.Item) {
	if to != 0 {
		t.add(to, it)
	}
}

func (t *turn) refuse(to wire.NodeID, op peer.Op, req uint64, code wire.Code, leader wire.NodeID) {
	t.reply(to, &peer.Item{Op: answerTo(op), Req: req, Code: code, Node: leader})
}

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

func (t *turn) kick(r *replica) { t.kicks = append(t.kicks, r) }

// flush sends what t holds and wakes the proposers.
func (t *turn) flush() {
	for i := range t.out {
		if o := &t.out[i]; len(o.buf) > 0 && o.to != 0 {
			t.c.w.net.send(t.c.p.id, o.to, o.buf)
		}
	}
	for _, r := range t.kicks {
		r.wake()
	}
	t.out, t.kicks = nil, nil
}

func (t *turn) addSession(edge wire.NodeID, id wire.SessionID) {
	for i := range t.edges {
		if t.edges[i].edge == edge {
			t.edges[i].ids = append(t.edges[i].ids, id)
			return
		}
	}
	t.edges = append(t.edges, edgeList{edge, []wire.SessionID{id}})
}

package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// edgeNode is an edge with one loop: sessions as they are, the rest of package
// edge retold.
type edgeNode struct {
	w       *world
	p       *proc
	m       *shardmap.Map
	leaders map[wire.ShardID]wire.NodeID
	up      map[wire.NodeID]bool
	lost    map[wire.ShardID]bool // whose leader's link went down
	turnNo  uint32

	loop    *session.Loop
	pending *session.Pending
	conns   map[wire.SessionID]*conn
	order   []wire.SessionID // of conns, as they came
	leavers map[wire.SessionID]*leaver
	salt    uint32
	last    uint32 // of the session ids given out

	out   []outgoing
	dirty []*conn
	calls map[uint64]*call
	callN uint64
}

// fineTick is the resolution of an edge's clock.
const (
	fineTick    = 25 * ms
	requestsMax = 1 << 16
	callTry     = 2 * time.Second
	callRetry   = 100 * ms
	callBit     = uint64(1) << 31
)

func (g *edgeNode) process() *proc { return g.p }

func (g *edgeNode) start() {
	g.p.up = true
	g.m = g.w.m
	g.leaders, g.up, g.lost = map[wire.ShardID]wire.NodeID{}, map[wire.NodeID]bool{}, map[wire.ShardID]bool{}
	g.loop, _ = session.NewLoop(session.Defaults())
	g.pending = session.NewPending(requestsMax)
	g.conns, g.order, g.leavers = map[wire.SessionID]*conn{}, nil, map[wire.SessionID]*leaver{}
	g.salt, g.last = g.w.e.rnd.Uint32(), g.w.e.rnd.Uint32()
	g.out, g.dirty, g.calls = nil, nil, map[uint64]*call{}
	g.w.net.born(g.p.id)
	g.second()
}

// begin starts a turn.
func (g *edgeNode) begin() { g.loop.Now = max(g.loop.Now, g.p.wall()) }

// finish ends a turn: sockets and links get what it led to.
func (g *edgeNode) finish() {
	for len(g.dirty) > 0 {
		d := g.dirty
		g.dirty = nil
		for _, c := range d {
			c.flush()
		}
	}
	for i := 0; i < len(g.out); i++ {
		o := g.out[i]
		g.out[i].buf = nil
		if len(o.buf) > 0 && !g.w.net.send(g.p.id, o.to, o.buf) {
			g.loseBatch(o.buf)
		}
	}
	if len(g.dirty) > 0 {
		g.finish()
	}
}

func (g *edgeNode) loseBatch(batch []byte) {
	var it peer.Item
	for len(batch) > 0 {
		_, rest, ok := peer.Next(batch, &it)
		if !ok {
			return
		}
		if batch = rest; it.Req == 0 || it.Req&callBit != 0 {
			continue
		}
		if ask, ok := g.pending.Take(g.number(it.Req)); ok {
			g.gone(&ask)
		}
	}
}

// number turns a request number for the link into one of pending, and back.
func (g *edgeNode) number(req uint64) uint64 { return req ^ uint64(g.salt)<<32 }

// second is what an edge does once a second.
func (g *edgeNode) second() {
	g.p.after(time.Second, g.second)
	g.begin()
	g.pending.Expire(g.loop.Now, g.gone)
	g.finish()
}

// ask sends a request or hint to the leader of slot's shard.
func (g *edgeNode) ask(id wire.SessionID, slot wire.Slot, it *peer.Item, tag uint32) bool {
	it.Shard = g.m.ShardOf(slot)
	node := g.leader(it.Shard)
	if node == 0 {
		return false
	}
	if it.Op != peer.OpClose && it.Op != peer.OpTyping {
		if !g.pending.Add(g.loop.Now, id, node, it, tag) {
			return false
		}
		it.Req = g.number(it.Req)
		g.w.audit.asks(it)
	}
	g.put(node, it)
	return true
}

func (g *edgeNode) put(node wire.NodeID, it *peer.Item) {
	for i := range g.out {
		if g.out[i].to == node {
			g.out[i].buf = peer.Append(g.out[i].buf, it)
			return
		}
	}
	g.out = append(g.out, outgoing{to: node, buf: peer.Append(nil, it)})
}

// leader returns whom to ask about a shard.
func (g *edgeNode) leader(id wire.ShardID) wire.NodeID {
	if n := g.leaders[id]; n != 0 {
		return n
	}
	replicas := g.m.Replicas(id)
	if len(replicas) == 0 {
		return 0
	}
	g.turnNo++
	turn := int(g.turnNo)
	for i := range replicas {
		if n := replicas[(turn+i)%len(replicas)]; g.up[n] {
			return n
		}
	}
	return replicas[turn%len(replicas)]
}

// note learns from an answer of node.
func (g *edgeNode) note(slot wire.Slot, node wire.NodeID, it *peer.Item) {
	id := g.m.ShardOf(slot)
	switch {
	case it.Code == wire.CodeNotLeader && it.Node != 0 && it.Node != node:
		g.leaders[id] = it.Node
	case it.Code == wire.CodeNotLeader || it.Code == wire.CodeWrongShard:
		if g.leaders[id] == node {
			g.leaders[id] = 0
		}
	case g.leaders[id] == 0:
		g.leaders[id] = node
	}
}

// install takes a new map and keeps the hints that still make sense.
func (g *edgeNode) install(m *shardmap.Map) {
	g.m = m
	for _, id := range m.Shards() {
		if !contains(m.Replicas(id), g.leaders[id]) {
			g.leaders[id] = 0
		}
	}
}

// peerUp implements endpoint.
func (g *edgeNode) peerUp(node wire.NodeID) {
	g.up[node] = true
	var again []wire.ShardID
	for _, id := range g.m.ShardsOn(node) {
		if g.lost[id] {
			again = append(again, id)
			delete(g.lost, id)
		}
	}
	g.reopenLater(again)
}

// peerDown implements endpoint.
func (g *edgeNode) peerDown(node wire.NodeID) {
	g.begin()
	delete(g.up, node)
	for _, id := range g.m.Shards() {
		if g.leaders[id] == node {
			g.leaders[id] = 0
			g.lost[id] = true
		}
	}
	for _, req := range slices.Sorted(maps.Keys(g.calls)) {
		if c := g.calls[req]; c.node == node {
			delete(g.calls, req)
			g.p.after(callRetry, c.again)
		}
	}
	g.pending.FailNode(node, g.gone)
	g.finish()
}

// reopenLater has the sessions of shards opened again at the next tick.
func (g *edgeNode) reopenLater(ids []wire.ShardID) {
	if len(ids) == 0 {
		return
	}
	g.p.after(g.w.e.between(0, fineTick), func() {
		g.begin()
		for _, id := range g.order {
			c := g.conns[id]
			if c != nil && c.known && !c.closing && containsShard(ids, g.m.ShardOf(c.slot)) {
				c.sess.Reopen(g.loop, c)
			}
		}
		g.finish()
	})
}

func containsShard(ids []wire.ShardID, id wire.ShardID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// batch implements endpoint.
func (g *edgeNode) batch(from wire.NodeID, b []byte) {
	g.begin()
	var it peer.Item
	for len(b) > 0 {
		_, rest, ok := peer.Next(b, &it)
		if !ok {
			g.w.fault("an edge was sent bytes that are no items")
			break
		}
		b = rest
		switch it.Op {
		case peer.OpDeliver:
			g.deliver(from, &it)
		case peer.OpResync:
			g.eachSession(it.List, func(c *conn) { c.sess.Resync(g.loop, c) })
		case peer.OpReopen:
			g.leaders[it.Shard] = from
			delete(g.lost, it.Shard)
			for _, c := range g.conns {
				c.pushFrom = 0 // a new leadership remembers nothing
			}
			g.reopenLater([]wire.ShardID{it.Shard})
		default:
			g.answer(from, &it)
		}
	}
	g.finish()
}

func (g *edgeNode) eachSession(list []byte, fn func(*conn)) {
	for {
		id, rest, ok := peer.NextSession(list)
		if !ok {
			return
		}
		list = rest
		if c := g.conns[id]; c != nil {
			fn(c)
		}
	}
}

func (g *edgeNode) deliver(from wire.NodeID, it *peer.Item) {
	p := session.Push{Op: wire.Op(it.Body[1]), Chat: it.Chat, Seq: it.Seq, Frame: it.Body}
	if p.Op == wire.OpStatusUpdate {
		var f wire.Frame
		if wire.DecodeMsgpack(it.Body, &f) != nil {
			panic("a core sent a broken frame")
		}
		p.Seq, p.User, p.Status = f.Seq, f.User, f.Status
	}
	g.eachSession(it.List, func(c *conn) {
		if p.Op == wire.OpNewMessage {
			g.w.audit.pushed(c, from, p.Seq)
		}
		c.sess.Deliver(g.loop, c, &p)
	})
}

// answer brings a core's answer to whoever asked.
func (g *edgeNode) answer(from wire.NodeID, it *peer.Item) {
	if it.Req&callBit != 0 {
		g.called(from, it)
		return
	}
	ask, ok := g.pending.Take(g.number(it.Req))
	if !ok {
		return
	}
	g.w.audit.answered(&ask, it)
	if v := g.leaverOf(&ask); v != nil {
		g.note(v.slotOf(ask.Op, ask.Chat), ask.Node, it)
		v.parting.CoreReply(g.loop, v, &ask, it)
		g.forget(v)
		return
	}
	c := g.conns[ask.Session]
	if c == nil {
		return
	}
	slot := ask.Chat.Slot()
	if ofUser(ask.Op) {
		slot = c.slot
	}
	g.note(slot, ask.Node, it)
	c.sess.CoreReply(g.loop, c, &ask, it)
}

// gone tells a session that a request will not be answered.
func (g *edgeNode) gone(ask *session.Ask) {
	if v := g.leaverOf(ask); v != nil {
		v.parting.Lost(g.loop, v, ask)
		g.forget(v)
	} else if c := g.conns[ask.Session]; c != nil {
		c.sess.Lost(g.loop, c, ask)
	}
}

func ofUser(op peer.Op) bool {
	switch op {
	case peer.OpOpen, peer.OpMark, peer.OpChanges, peer.OpClose, peer.OpChats:
		return true
	}
	return false
}

// leaver sees to the receipts that a session left behind.
type leaver struct {
	g       *edgeNode
	parting *session.Parting
	slot    wire.Slot
}

// Core implements session.Asker.
func (v *leaver) Core(it *peer.Item, tag uint32) bool {
	return v.g.ask(v.parting.Session(), v.slotOf(it.Op, it.Chat), it, tag)
}

func (v *leaver) slotOf(op peer.Op, chat wire.ChatID) wire.Slot {
	if ofUser(op) {
		return v.slot
	}
	return chat.Slot()
}

func (g *edgeNode) leaverOf(ask *session.Ask) *leaver {
	if ask.Op != peer.OpReceipt && ask.Op != peer.OpMark {
		return nil
	}
	return g.leavers[ask.Session]
}

func (g *edgeNode) forget(v *leaver) {
	if v.parting.Done() {
		delete(g.leavers, v.parting.Session())
	}
}

// call is a question of the REST interface.
type call struct {
	slot  wire.Slot
	item  peer.Item
	node  wire.NodeID
	again func()
	done  func(it *peer.Item)
}

// rest asks until there is an answer or the time is up; then done gets nil.
func (g *edgeNode) rest(slot wire.Slot, it peer.Item, patience time.Duration, done func(it *peer.Item)) {
	c := &call{slot: slot, item: it, done: done}
	end := g.w.e.now + patience
	c.again = func() {
		if g.w.e.now >= end {
			done(nil)
			return
		}
		g.callN++
		req := g.callN | callBit | uint64(g.salt)<<32
		c.item.Req, c.item.Shard = req, g.m.ShardOf(slot)
		c.node = g.leader(c.item.Shard)
		g.w.audit.asks(&c.item)
		g.calls[req] = c
		g.p.after(callTry, func() {
			if g.calls[req] == c {
				delete(g.calls, req)
				c.again()
			}
		})
		g.begin()
		g.put(c.node, &c.item)
		g.finish()
	}
	c.again()
}

// called takes the answer to a call.
func (g *edgeNode) called(from wire.NodeID, it *peer.Item) {
	c := g.calls[it.Req]
	if c == nil {
		return
	}
	delete(g.calls, it.Req)
	g.note(c.slot, from, it)
	if it.Code == wire.CodeNotLeader || it.Code == wire.CodeWrongShard {
		pause := callRetry
		if it.Node != 0 && it.Node != from {
			pause = 0
		}
		g.p.after(pause, c.again)
		return
	}
	g.w.audit.answered(&session.Ask{Op: c.item.Op, Chat: c.item.Chat}, it)
	c.done(it)
}

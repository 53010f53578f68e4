package core

import (
	"github.com/godwit-im/godwit/core/fanout"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Events returns the handlers to register with the node's link. They never
// block and copy what they keep.
func (n *Node) Events() link.Events {
	return link.Events{Batch: n.batch, Up: n.up, Down: n.down}
}

// up notes a peer. An edge that comes, or comes back, knows which sessions it
// has: it is asked to open them.
func (n *Node) up(id wire.NodeID) {
	n.mu.Lock()
	n.mu.peers[id] = true
	n.mu.Unlock()
	if n.isCore(id) {
		return
	}
	t := n.turn()
	for _, r := range n.all() {
		if r.leads.Load() {
			t.add(id, &peer.Item{Op: peer.OpReopen, Shard: r.id})
		}
	}
	n.flush(t)
}

// down forgets a peer and the sessions it had.
func (n *Node) down(id wire.NodeID) {
	n.mu.Lock()
	delete(n.mu.peers, id)
	n.mu.Unlock()
	if n.isCore(id) {
		return
	}
	for _, r := range n.all() {
		r.mu.Lock()
		r.mu.live.CloseEdge(id)
		r.mu.Unlock()
	}
}

// edges returns the peers that are up and not cores.
func (n *Node) edges() (ids []wire.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.mu.peers {
		if !n.isCore(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *Node) isCore(id wire.NodeID) bool {
	_, ok := n.cfg.Watcher.Current().Node(id)
	return ok
}

// batch takes what a peer sent.
func (n *Node) batch(from wire.NodeID, b []byte) {
	t := n.turn()
	var it peer.Item
	for len(b) > 0 {
		raw, rest, ok := peer.Next(b, &it)
		if !ok {
			n.c.badBatches.Add(1)
			n.log.Warn("core: a peer sent bytes that are no items; bring both to the same release", "peer", from)
			break
		}
		n.item(from, &it, raw, t)
		b = rest
	}
	n.flush(t)
}

// item takes one item.
func (n *Node) item(from wire.NodeID, it *peer.Item, raw []byte, t *turn) {
	switch {
	case it.Op == peer.OpReply:
		n.answered(from, it)
		return
	case it.Op == peer.OpSeat:
		select {
		case n.seats <- seatAnswer{from, *it}:
		default:
			n.c.seatsFull.Add(1)
		}
		return
	case !it.Op.Known():
		n.c.unknownOps.Add(1)
		if it.Req != 0 {
			t.refuse(from, it.Op, it.Req, wire.CodeUnknownPeer, 0)
		}
		return
	}
	r := n.replica(it.Shard)
	if r == nil {
		if it.Op == peer.OpHello {
			t.seat(from, it, &peer.Item{Code: wire.CodeWrongShard, Node: n.leaderOf(it.Shard)})
		} else if it.Req != 0 {
			t.refuse(from, it.Op, it.Req, wire.CodeWrongShard, n.leaderOf(it.Shard))
		}
		return
	}
	switch it.Op {
	case peer.OpAppend, peer.OpReceipt, peer.OpCreateGroup, peer.OpDevice:
		r.mu.Lock()
		r.enqueue(from, it, raw, t)
		r.mu.Unlock()
	case peer.OpMark:
		r.mu.Lock()
		r.mu.live.Acknowledged(it.User, it.Device, it.Chat, it.Delivered, n.ackTicks())
		r.enqueue(from, it, raw, t)
		r.mu.Unlock()
	case peer.OpHello:
		r.heard(from, it, t)
	case peer.OpBump:
		r.bump(from, it, t)
	case peer.OpTouch:
		r.touch(from, it, t)
	case peer.OpHint:
		r.hint(it, t)
	case peer.OpClose:
		r.mu.Lock()
		r.mu.live.Close(from, it.Session, it.User)
		r.mu.Unlock()
	case peer.OpOpen:
		r.open(from, it, t)
	case peer.OpChanges, peer.OpRange, peer.OpChats, peer.OpTyping:
		n.read(r, from, it, raw, t)
	default:
		n.c.badItems.Add(1)
	}
}

// answered takes the answer to a bump or a touch.
func (n *Node) answered(from wire.NodeID, it *peer.Item) {
	owner, to := fanout.OwnerOf(it.Req)
	r := n.replica(owner)
	if r == nil {
		return
	}
	r.mu.Lock()
	waits := r.mu.fan.Answer(it.Req, it.Code, n.millis())
	r.mu.Unlock()
	if waits {
		n.c.refusedLanes.Add(1)
	}
	if it.Code == wire.CodeNotLeader || it.Code == wire.CodeWrongShard || it.Code == wire.CodeUnavailable {
		n.learn(to, from, it.Node)
	}
}

// learn remembers who leads a shard, as node from said after it was asked in
// vain. When from does not know, the next replica is asked.
func (n *Node) learn(id wire.ShardID, from, leader wire.NodeID) {
	if leader == 0 || leader == from {
		nodes := n.cfg.Watcher.Current().Replicas(id)
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
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.hints[id] = leader
}

// leaderOf returns the node to ask about a shard: by what the replica here
// knows, by what others said, or by the map.
func (n *Node) leaderOf(id wire.ShardID) wire.NodeID {
	if r := n.replica(id); r != nil {
		if l := r.leaderNode(); l != 0 {
			return l
		}
	}
	m := n.cfg.Watcher.Current()
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.mu.hints[id]; h != 0 {
		if _, ok := m.Node(h); ok {
			return h
		}
	}
	if nodes := m.Replicas(id); len(nodes) > 0 {
		return nodes[0]
	}
	return 0
}

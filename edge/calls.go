package edge

import (
	"context"
	"sync"
	"time"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// The numbers of REST's way to the cores.
const (
	// callsMax is how many REST questions may be out at once; a full house
	// answers too_fast after callWait. It keeps a flood of history requests
	// from taking the cores away from messages.
	callsMax = 256
	callWait = time.Second
	// callRetry is how long a question waits that met no leader.
	callRetry = 50 * time.Millisecond
	// callTry is how long one answer is waited for before it is asked again.
	callTry = 2 * time.Second
)

// calls is REST's way to the cores: an api.Caller. It is safe for concurrent
// use.
type calls struct {
	srv  *Server
	room chan struct{}

	mu struct {
		sync.Mutex
		seq  uint64
		open map[uint64]*call
	}
}

// call is one question that is out.
type call struct {
	node  wire.NodeID
	reply chan callReply // holds one
}

// callReply is an answer with the bytes it is a view of; item.Op is 0 when
// there will be none.
type callReply struct{ item peer.Item }

func newCalls(srv *Server) *calls {
	c := &calls{srv: srv, room: make(chan struct{}, callsMax)}
	c.mu.open = make(map[uint64]*call)
	return c
}

// Call implements api.Caller. A question that meets no leader, or whose answer
// is lost with a link, is repeated until ctx ends: reads and the creation of a
// group under an id that is already chosen may be repeated.
func (c *calls) Call(ctx context.Context, slot wire.Slot, it *peer.Item) (peer.Item, error) {
	if err := c.enter(ctx); err != nil {
		return peer.Item{}, err
	}
	defer func() { <-c.room }()
	for {
		rep, hinted := c.try(ctx, slot, it)
		switch {
		case rep.Op == 0 || rep.Code == wire.CodeNotLeader || rep.Code == wire.CodeWrongShard:
		case rep.Code != wire.OK:
			return rep, rep.Code
		default:
			return rep, nil
		}
		pause := callRetry
		if hinted {
			pause = 0
		}
		select {
		case <-ctx.Done():
			return peer.Item{}, wire.CodeUnavailable
		case <-time.After(pause):
		}
	}
}

// enter waits a moment for room.
func (c *calls) enter(ctx context.Context) error {
	select {
	case c.room <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(callWait)
	defer t.Stop()
	select {
	case c.room <- struct{}{}:
		return nil
	case <-t.C:
		c.srv.n.callsFull.Add(1)
		return wire.CodeTooFast
	case <-ctx.Done():
		return wire.CodeUnavailable
	}
}

// try asks once. hinted says that the answer named another leader.
func (c *calls) try(ctx context.Context, slot wire.Slot, it *peer.Item) (rep peer.Item, hinted bool) {
	r := c.srv.router
	shard, ok := r.shard(slot)
	if !ok {
		return rep, false
	}
	node := r.leader(shard)
	if node == 0 {
		return rep, false
	}
	q := &call{node: node, reply: make(chan callReply, 1)}
	q2 := *it
	q2.Shard = shard
	q2.Req = c.add(q)
	defer c.take(q2.Req)
	if !c.srv.send(node, peer.Append(nil, &q2)) {
		return rep, false
	}
	t := time.NewTimer(callTry)
	defer t.Stop()
	select {
	case got := <-q.reply:
		rep = got.item
	case <-t.C:
	case <-ctx.Done():
	}
	if rep.Op != 0 {
		r.note(slot, node, &rep)
	}
	return rep, rep.Code == wire.CodeNotLeader && rep.Node != 0 && rep.Node != node
}

// add numbers a question.
func (c *calls) add(q *call) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.seq++
	low := c.mu.seq & (1<<reqLoopShift - 1)
	high := c.mu.seq>>reqLoopShift + uint64(c.srv.salt)
	req := high<<32 | restLoop<<reqLoopShift | low
	c.mu.open[req] = q
	return req
}

// take removes a question and returns it, nil when it was answered before.
func (c *calls) take(req uint64) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.mu.open[req]
	delete(c.mu.open, req)
	return q
}

// answer brings the item raw, an answer of node.
func (c *calls) answer(node wire.NodeID, raw []byte) {
	var it peer.Item
	if _, _, ok := peer.Next(append([]byte(nil), raw...), &it); !ok {
		return
	}
	if q := c.take(it.Req); q != nil && q.node == node {
		q.reply <- callReply{item: it}
	}
}

// failNode gives up on the questions that node would have answered.
func (c *calls) failNode(node wire.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for req, q := range c.mu.open {
		if q.node == node {
			delete(c.mu.open, req)
			q.reply <- callReply{}
		}
	}
}

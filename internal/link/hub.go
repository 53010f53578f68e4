package link

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/godwit-im/godwit/wire"
)

// Hub links nodes that live in one process, by direct calls on the sender's
// goroutine: Send returns after the receiver's handler has, unless the handler
// is already at work for the same sender; then the batch is copied into a
// queue of at most QueueBytes and delivered by the goroutine that is at work, or
// by one of the hub's own that lives until the queue is empty.
//
// With one goroutine that sends, and handlers that do not, the order of all
// events is fixed: members in the order of their ids.
type Hub struct {
	c counters

	mu struct {
		sync.Mutex
		members map[wire.NodeID]*member
	}
}

// NewHub returns a hub without members.
func NewHub() *Hub {
	h := new(Hub)
	h.mu.members = make(map[wire.NodeID]*member)
	return h
}

// member is one node's Link.
type member struct {
	hub *Hub
	id  wire.NodeID
	ev  Events

	// out holds the pipe to each member. It is replaced, never changed, so
	// that Send takes no lock of the hub.
	out atomic.Pointer[map[wire.NodeID]*pipe]
}

// Join adds a node. Every other member gets Up for it and it gets Up for every
// other member, before Join returns; its own id gets no event. Join panics
// when id is a member already: two nodes of one id are a mistake in the
// program. After Close an id may join again.
func (h *Hub) Join(id wire.NodeID, ev Events) Link {
	m := &member{hub: h, id: id, ev: ev}
	m.out.Store(&map[wire.NodeID]*pipe{id: newSelfPipe(id, ev.Batch, &h.c)})

	h.mu.Lock()
	if h.mu.members[id] != nil {
		h.mu.Unlock()
		panic(fmt.Sprintf("link: node %d is on the hub already", id))
	}
	var up []*pipe
	for _, other := range slices.Sorted(maps.Keys(h.mu.members)) {
		o := h.mu.members[other]
		toOther, toMe := newPipe(id, o.ev, &h.c), newPipe(other, ev, &h.c)
		m.setPipe(other, toOther)
		o.setPipe(id, toMe)
		up = append(up, toOther, toMe)
	}
	h.mu.members[id] = m
	h.mu.Unlock()

	for _, p := range up {
		p.run()
	}
	return m
}

// Stats returns what all members together have done.
func (h *Hub) Stats() Stats { return h.c.stats() }

// setPipe sets, or with nil removes, the pipe to a member. The hub's lock is
// held.
func (m *member) setPipe(to wire.NodeID, p *pipe) {
	next := maps.Clone(*m.out.Load())
	if p == nil {
		delete(next, to)
	} else {
		next[to] = p
	}
	m.out.Store(&next)
}

func (m *member) Send(to wire.NodeID, batch []byte) bool {
	if len(batch) == 0 {
		return true
	}
	if len(batch) > MaxBatch {
		return m.hub.c.drop(DropTooBig, 1)
	}
	p := (*m.out.Load())[to]
	if p == nil {
		if len(*m.out.Load()) == 0 {
			return m.hub.c.drop(DropClosed, 1)
		}
		return m.hub.c.drop(DropNoPeer, 1)
	}
	return p.send(batch)
}

// Close implements Link. It does not wait for handlers that run, so that it
// may be called from anywhere; on a Hub the rule against calling it from a
// handler is not needed but keeps code fit for TCP.
func (m *member) Close() error {
	h := m.hub
	h.mu.Lock()
	if h.mu.members[m.id] != m {
		h.mu.Unlock()
		return nil
	}
	delete(h.mu.members, m.id)
	out := *m.out.Load()
	m.out.Store(new(map[wire.NodeID]*pipe))
	for id, p := range out {
		if id == m.id {
			p.silence()
			continue
		}
		o := h.mu.members[id]
		(*o.out.Load())[m.id].silence()
		o.setPipe(m.id, nil)
	}
	h.mu.Unlock()

	for _, id := range slices.Sorted(maps.Keys(out)) {
		out[id].down()
	}
	return nil
}

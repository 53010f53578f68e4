package core

import (
	"github.com/godwit-im/godwit/core/live"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// bump pushes a new entry to the live sessions of its users, at once and from
// memory, and then proposes the bump itself.
func (r *replica) bump(from wire.NodeID, it *peer.Item, t *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leads.Load() {
		resync := r.collectBump(it, t)
		if len(t.edges) > 0 {
			n := t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: it.Chat, Seq: it.Seq, Body: it.Body})
			r.node.c.pushed.Add(uint64(n))
		}
		if resync {
			r.collect(t.list, t)
			n := t.sendLists(&peer.Item{Op: peer.OpResync})
			r.node.c.resyncJump.Add(uint64(n))
		}
	}
	it.Body = nil
	r.enqueue(from, it, nil, t)
}

// collectBump collects the sessions that get the frame of it, and reports
// whether some user's sessions have to sync instead; those it marks by leaving
// their ids in t.list.
func (r *replica) collectBump(it *peer.Item, t *turn) (resync bool) {
	now := r.node.ackTicks()
	t.list = t.list[:0]
	var user []byte
	for list, ok := it.List, true; ; {
		if user, list, ok = peer.NextBytes(list); !ok {
			break
		}
		switch r.mu.live.Judge(user, it.Chat, it.Seq) {
		case live.Nobody:
			continue
		case live.Repeat:
			r.node.c.repeats.Add(1)
			continue
		case live.Jump:
			t.list = peer.AppendBytes(t.list, user)
			continue
		}
		if len(it.Body) == 0 { // taken up from the outbox: the frame is gone
			t.list = peer.AppendBytes(t.list, user)
			continue
		}
		for p, ok := r.mu.live.First(user); ok; p, ok = r.mu.live.Next(p) {
			s := r.mu.live.At(p)
			if s.ID == it.Session && r.mu.live.IsDevice(p, it.Device) {
				continue // where it was sent from
			}
			t.addSession(s.Edge, s.ID)
			r.mu.live.Pushed(p, it.Chat, it.Seq, now)
		}
	}
	return len(t.list) > 0
}

// collect collects all sessions of the users in a list. r.mu is held.
func (r *replica) collect(users []byte, t *turn) {
	for {
		user, rest, ok := peer.NextBytes(users)
		if !ok {
			return
		}
		users = rest
		for p, ok := r.mu.live.First(user); ok; p, ok = r.mu.live.Next(p) {
			s := r.mu.live.At(p)
			t.addSession(s.Edge, s.ID)
		}
	}
}

// touch pushes the frame of a touch and proposes the touch.
func (r *replica) touch(from wire.NodeID, it *peer.Item, t *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leads.Load() {
		r.pushAll(it, t)
	}
	it.Body = nil
	r.enqueue(from, it, nil, t)
}

// hint pushes a frame that nobody misses.
func (r *replica) hint(it *peer.Item, t *turn) {
	if !r.leads.Load() {
		r.node.c.hintsLost.Add(1)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pushAll(it, t)
}

// pushAll pushes it.Body to all sessions of the users in it.List. r.mu is held.
func (r *replica) pushAll(it *peer.Item, t *turn) {
	if len(it.Body) == 0 {
		return
	}
	r.collect(it.List, t)
	n := t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: it.Chat, Body: it.Body})
	r.node.c.pushed.Add(uint64(n))
}

// pushRead tells the other devices of a user what was read on one. r.mu is
// held.
func (r *replica) pushRead(user, device []byte, chat wire.ChatID, seq wire.Seq, t *turn) {
	for p, ok := r.mu.live.First(user); ok; p, ok = r.mu.live.Next(p) {
		if s := r.mu.live.At(p); !r.mu.live.IsDevice(p, device) {
			t.addSession(s.Edge, s.ID)
		}
	}
	if len(t.edges) == 0 {
		return
	}
	t.frame = wire.AppendMsgpack(t.frame[:0], &wire.Frame{
		Op: wire.OpStatusUpdate, Chat: chat, Seq: seq, User: user, Status: wire.StatusRead,
	})
	n := t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: chat, Body: t.frame})
	r.node.c.pushed.Add(uint64(n))
}

// resyncLate tells sessions that owe an acknowledgement for too long to sync.
func (r *replica) resyncLate() {
	t := r.node.turn()
	r.mu.Lock()
	limit := r.node.ackTicks() - uint32(ackWithin.Seconds())
	r.mu.live.Late(limit, func(s *live.Session) { t.addSession(s.Edge, s.ID) })
	if len(t.edges) > 0 {
		n := t.sendLists(&peer.Item{Op: peer.OpResync})
		r.node.c.resyncLate.Add(uint64(n))
	}
	r.mu.Unlock()
	r.node.flush(t)
}

package sim

import (
	"slices"

	"github.com/godwit-im/godwit/core/live"
	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// bump pushes a new entry to the live sessions of its users and proposes it.
func (r *replica) bump(from wire.NodeID, it *peer.Item, t *turn) {
	if r.leads {
		resync := r.collectBump(it, t)
		t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: it.Chat, Seq: it.Seq, Body: it.Body})
		if len(resync) > 0 {
			r.collect(resync, t)
			t.sendLists(&peer.Item{Op: peer.OpResync})
		}
	}
	it.Body = nil
	r.enqueue(from, it, nil, t)
}

// collectBump collects the sessions that get the frame of it, and returns the
// users whose sessions have to sync instead.
func (r *replica) collectBump(it *peer.Item, t *turn) (resync []byte) {
	now := r.ackTicks()
	var user []byte
	for list, ok := it.List, true; ; {
		if user, list, ok = peer.NextBytes(list); !ok {
			return resync
		}
		verdict := r.live.Judge(user, it.Chat, it.Seq)
		if r.c.w.plant == unguarded && verdict != live.Nobody {
			verdict = live.InOrder
		}
		switch {
		case verdict == live.Nobody || verdict == live.Repeat:
			continue
		case r.c.w.plant == unguarded && len(it.Body) == 0:
			continue
		case verdict == live.Jump, len(it.Body) == 0:
			resync = peer.AppendBytes(resync, user)
			continue
		}
		for p, ok := r.live.First(user); ok; p, ok = r.live.Next(p) {
			s := r.live.At(p)
			if s.ID == it.Session && r.live.IsDevice(p, it.Device) {
				continue // where it was sent from
			}
			t.addSession(s.Edge, s.ID)
			if r.c.w.plant != unguarded {
				r.live.Pushed(p, it.Chat, it.Seq, now)
			}
		}
	}
}

// collect collects all sessions of the users in a list.
func (r *replica) collect(users []byte, t *turn) {
	for {
		user, rest, ok := peer.NextBytes(users)
		if !ok {
			return
		}
		users = rest
		for p, ok := r.live.First(user); ok; p, ok = r.live.Next(p) {
			s := r.live.At(p)
			t.addSession(s.Edge, s.ID)
		}
	}
}

func (r *replica) pushAll(it *peer.Item, t *turn) {
	if len(it.Body) != 0 {
		r.collect(it.List, t)
		t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: it.Chat, Body: it.Body})
	}
}

// pushRead tells the other devices of a user what was read on one.
func (r *replica) pushRead(user, device []byte, chat wire.ChatID, seq wire.Seq, t *turn) {
	for p, ok := r.live.First(user); ok; p, ok = r.live.Next(p) {
		if s := r.live.At(p); !r.live.IsDevice(p, device) {
			t.addSession(s.Edge, s.ID)
		}
	}
	t.sendLists(&peer.Item{Op: peer.OpDeliver, Chat: chat, Body: wire.AppendMsgpack(nil, &wire.Frame{
		Op: wire.OpStatusUpdate, Chat: chat, Seq: seq, User: user, Status: wire.StatusRead,
	})})
}

// resyncLate tells sessions that owe an acknowledgement for too long to sync.
func (r *replica) resyncLate() {
	t := r.c.turn()
	r.live.Late(r.ackTicks()-ackWithin, func(s *live.Session) { t.addSession(s.Edge, s.ID) })
	t.sendLists(&peer.Item{Op: peer.OpResync})
	t.flush()
}

// sendLists adds it once per edge, with the sessions collected there. package
// live hashes with a seed of its own, so only here the order is made ours.
func (t *turn) sendLists(it *peer.Item) {
	slices.SortFunc(t.edges, func(a, b edgeList) int { return int(a.edge) - int(b.edge) })
	for i := range t.edges {
		e := &t.edges[i]
		slices.Sort(e.ids)
		it.List = nil
		for _, id := range e.ids {
			it.List = peer.AppendSession(it.List, id)
		}
		t.add(e.edge, it)
	}
	t.edges = nil
}

// ackTicks is the clock of the unacknowledged guard: seconds.
func (r *replica) ackTicks() uint32 { return uint32(r.c.p.mono() / 1000) }

// act acts on what an entry led to.
func (r *replica) act(effects []shard.Effect, t *turn) {
	for i := range effects {
		switch e := &effects[i]; e.Kind {
		case shard.Appended:
			r.fanOut(e)
		case shard.CursorMoved:
			r.tellCursor(e)
		case shard.Marked:
			if e.Read != 0 {
				r.pushRead(e.User, e.Device, e.Chat, e.Read, t)
			}
		}
	}
}

// fanOut sends a bump with the frame of a new entry to every member's shard.
func (r *replica) fanOut(e *shard.Effect) {
	frame := wire.AppendMsgpack(nil, &wire.Frame{
		Op: wire.OpNewMessage, Chat: e.Chat, Seq: e.Seq, User: e.User, Content: e.Content, Kind: e.ContentKind,
		At: e.At, ClientMsgID: e.ClientMsgID, ReplyTo: e.ReplyTo,
	})
	bump := peer.Item{
		Op: peer.OpBump, Chat: e.Chat, Seq: e.Seq, At: e.At, User: e.User, Device: e.Device, Peer: e.Peer,
		Session: e.Session, Body: frame,
	}
	groups := r.byShard(e.Chat, e.User, e.Peer, nil)
	if !r.fan.Begin(e.Chat, e.Seq) {
		return
	}
	for i := range groups {
		bump.List = groups[i].list
		if r.c.w.plant == doneEarly && i > 0 {
			// Sent, and not waited for.
			r.fan.AddTouch(groups[i].shard, &bump)
			continue
		}
		r.fan.Add(groups[i].shard, &bump)
	}
	r.fan.Settle(e.Chat)
}

// tellCursor sends the other members a touch with the status_update.
func (r *replica) tellCursor(e *shard.Effect) {
	if e.Peer == nil {
		r.sm.settle()
		info, ok, err := shard.ChatInfo(r.sm.store.rows, e.Chat)
		if err != nil || !ok || info.Members > touchMembers {
			return
		}
	}
	f := wire.Frame{Op: wire.OpStatusUpdate, Chat: e.Chat, Seq: e.Delivered, User: e.User, Status: wire.StatusDelivered}
	if e.Read != 0 {
		f.Seq, f.Status = e.Read, wire.StatusRead
	}
	touch := peer.Item{Op: peer.OpTouch, Chat: e.Chat, At: e.At, Body: wire.AppendMsgpack(nil, &f)}
	for _, g := range r.byShard(e.Chat, nil, e.Peer, e.User) {
		touch.List = g.list
		r.fan.AddTouch(g.shard, &touch)
	}
}

// group is the users of one shard, as a list of ids.
type group struct {
	shard wire.ShardID
	list  []byte
}

// byShard groups the members of a conversation by their shards.
func (r *replica) byShard(chat wire.ChatID, user, other, except []byte) (groups []group) {
	add := func(u []byte) {
		id := r.c.m.ShardOf(wire.UserID(u).Slot())
		for i := range groups {
			if groups[i].shard == id {
				groups[i].list = peer.AppendBytes(groups[i].list, u)
				return
			}
		}
		groups = append(groups, group{id, peer.AppendBytes(nil, u)})
	}
	if other != nil {
		add(other)
		if user != nil {
			add(user)
		}
		return groups
	}
	r.sm.settle()
	list, _, err := shard.Members(r.sm.store.rows, chat, nil, memberPage, nil)
	if err != nil {
		r.c.w.fault("node %d reads the members of %v: %v", r.c.p.id, chat, err)
	}
	for {
		id, rest, ok := peer.NextBytes(list)
		if !ok {
			return groups
		}
		if list = rest; string(id) != string(except) {
			add(id)
		}
	}
}

// sendLanes sends what waits in the lanes.
func (r *replica) sendLanes() {
	if !r.leads {
		return
	}
	for {
		now := r.c.p.mono()
		var ready []wire.ShardID
		r.fan.Lanes(now, func(to wire.ShardID) { ready = append(ready, to) })
		slices.Sort(ready) // package fanout offers them in no order
		some, t := false, r.c.turn()
		for _, to := range ready {
			o := t.to(r.c.leaderOf(to))
			before := len(o.buf)
			o.buf = r.fan.Take(to, o.buf, laneBatch, now)
			some = some || len(o.buf) > before
		}
		t.flush()
		if !some {
			return
		}
	}
}

// look looks through the outbox for what is owed and not on its way.
func (r *replica) look() {
	now := r.c.p.mono()
	if !r.leads || r.looking || now < r.lookAt || !r.fan.WantsLook() {
		return
	}
	r.looking, r.lookAt = true, now+lookEvery
	led := r.led
	r.readIndex(func(ok bool) {
		if r.led != led {
			return
		}
		if ok = ok && r.leads; ok {
			r.takeUp()
		}
		r.looking = false
		switch {
		case !ok:
			r.fan.LookFailed()
		case r.fan.Looked():
			r.looked = true
		}
		r.sendLanes()
	})
}

// takeUp takes up the conversations that owe bumps.
func (r *replica) takeUp() {
	r.fan.Look()
	if r.c.w.plant == outboxLost {
		return
	}
	r.sm.settle()
	err := shard.OutboxScan(r.sm.store.rows, func(o *shard.Owed) bool {
		groups := r.byShard(o.Chat, o.From, o.Peer, nil)
		if !r.fan.Resume(o.Chat, o.Last) {
			return true
		}
		bump := peer.Item{Op: peer.OpBump, Chat: o.Chat, Seq: o.Last, At: o.At, User: o.From, Peer: o.Peer}
		for i := range groups {
			bump.List = groups[i].list
			r.fan.Add(groups[i].shard, &bump)
		}
		r.fan.Settle(o.Chat)
		return true
	})
	if err != nil {
		r.c.w.fault("node %d scans the outbox of shard %d: %v", r.c.p.id, r.id, err)
	}
}

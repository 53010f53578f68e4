package core

import (
	"errors"
	"sync/atomic"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// act acts on what an entry led to. It runs on the apply goroutine of the
// leader, after the entry was applied; the store may not have it yet, see
// settle.
func (r *replica) act(effects []shard.Effect, t *turn) {
	for i := range effects {
		switch e := &effects[i]; e.Kind {
		case shard.Appended:
			r.fanOut(e, t)
		case shard.CursorMoved:
			r.tellCursor(e, t)
		case shard.Marked:
			if e.Read != 0 {
				r.mu.Lock()
				r.pushRead(e.User, e.Device, e.Chat, e.Read, t)
				r.mu.Unlock()
			}
		}
	}
}

// fanOut sends a bump with the frame of a new entry to every member's shard.
func (r *replica) fanOut(e *shard.Effect, t *turn) {
	t.frame = wire.AppendMsgpack(t.frame[:0], &wire.Frame{
		Op: wire.OpNewMessage, Chat: e.Chat, Seq: e.Seq, User: e.User, Content: e.Content, Kind: e.ContentKind,
		At: e.At, ClientMsgID: e.ClientMsgID, ReplyTo: e.ReplyTo,
	})
	bump := peer.Item{
		Op: peer.OpBump, Chat: e.Chat, Seq: e.Seq, At: e.At, User: e.User, Device: e.Device, Peer: e.Peer,
		Session: e.Session, Body: t.frame,
	}
	groups, err := r.members.byShard(e.Chat, e.User, e.Peer, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.node.log.Warn("core: members cannot be read; the outbox keeps the message", "chat", e.Chat, "err", err)
		r.mu.fan.LookFailed()
		return
	}
	if !r.mu.fan.Begin(e.Chat, e.Seq) {
		r.node.c.leftToOutbox.Add(1)
		return
	}
	for i := range groups {
		bump.List = groups[i].list
		r.mu.fan.Add(groups[i].shard, &bump)
	}
	r.mu.fan.Settle(e.Chat)
}

// tellCursor sends the other members a touch with the status_update of a
// cursor that rose.
func (r *replica) tellCursor(e *shard.Effect, t *turn) {
	groups, err := r.touched(e)
	if err != nil {
		r.unread(&r.node.c.touchesUnread, "status update", err)
	}
	if err != nil || len(groups) == 0 {
		return
	}
	f := wire.Frame{Op: wire.OpStatusUpdate, Chat: e.Chat, Seq: e.Delivered, User: e.User, Status: wire.StatusDelivered}
	if e.Read != 0 { // what was read was delivered
		f.Seq, f.Status = e.Read, wire.StatusRead
	}
	t.frame = wire.AppendMsgpack(t.frame[:0], &f)
	touch := peer.Item{Op: peer.OpTouch, Chat: e.Chat, At: e.At, Body: t.frame}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range groups {
		touch.List = groups[i].list
		r.mu.fan.AddTouch(groups[i].shard, &touch)
	}
}

// touched returns who is told of a cursor that rose, nobody in a conversation
// of many.
func (r *replica) touched(e *shard.Effect) ([]group, error) {
	if e.Peer == nil {
		if err := r.machine.settle(); err != nil {
			return nil, err
		}
		info, ok, err := shard.ChatInfo(r.members.view, e.Chat)
		if err != nil || !ok || info.Members > touchMembers {
			return nil, err
		}
	}
	return r.members.byShard(e.Chat, nil, e.Peer, e.User)
}

// unread counts something that is not sent because the store could not be
// read, and says so the first time.
func (r *replica) unread(count *atomic.Uint64, what string, err error) {
	if count.Add(1) == 1 {
		r.node.log.Error("core: reading fails, some hints are not sent; check the disk", "shard", r.id, "lost", what, "err", err)
	}
}

// sendLanes sends what waits in the lanes. One goroutine at a time does, so
// that a lane keeps its order; another that comes meanwhile leaves its items
// to it.
func (r *replica) sendLanes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.sending || !r.leads.Load() {
		return
	}
	r.mu.sending = true
	for {
		t, now, some := r.node.turn(), r.node.millis(), false
		r.mu.fan.Lanes(now, func(to wire.ShardID) {
			o := t.to(r.node.leaderOf(to))
			before := len(o.buf)
			o.buf = r.mu.fan.Take(to, o.buf, laneBatch, now)
			some = some || len(o.buf) > before
			o.cut()
		})
		r.mu.Unlock()
		r.node.flush(t)
		r.mu.Lock()
		if !some {
			r.mu.sending = false
			return
		}
	}
}

// look begins to look through the outbox for what is owed and not on its way,
// when there may be such a thing. A leadership has one look under way at most.
// It waits for a quorum and reads, so it has a goroutine of its own.
func (r *replica) look() {
	now := r.node.millis()
	r.mu.Lock()
	due := r.leads.Load() && !r.mu.looking && now >= r.mu.lookAt && r.mu.fan.WantsLook()
	if due {
		r.mu.looking, r.mu.lookAt = true, now+lookEvery.Milliseconds()
	}
	r.mu.Unlock()
	if due {
		r.node.wg.Go(r.lookNow)
	}
}

// lookNow looks through the outbox. What a look saw counts only for the
// leadership that it began under.
func (r *replica) lookNow() {
	r.mu.Lock()
	led, ended := r.mu.led, r.mu.ended
	r.mu.Unlock()
	err := r.node.readIndex(r, ended)
	if err == nil {
		err = r.takeUp(led)
	}
	r.mu.Lock()
	if r.mu.led != led {
		r.mu.Unlock()
		return
	}
	r.mu.looking = false
	switch {
	case err != nil:
		r.mu.fan.LookFailed()
	case r.mu.fan.Looked():
		r.mu.looked = true
	default: // after lookEvery the next one takes up more
		r.node.c.looksPartial.Add(1)
	}
	r.mu.Unlock()
	if err != nil {
		r.node.log.Debug("core: the outbox was not looked through", "shard", r.id, "err", err)
	}
	r.sendLanes()
}

// takeUp takes up the conversations that owe bumps, every one of them: a new
// leader fans out nothing before. What was taken up is sent every lookPage
// conversations; a lane or a table that is full leaves the rest to a later
// look. The store is settled after the look has begun: what is left to the
// outbox from then on is remembered for the next one.
func (r *replica) takeUp(led uint64) error {
	r.mu.Lock()
	if r.mu.led == led {
		r.mu.fan.Look()
	}
	r.mu.Unlock()
	if err := r.machine.settle(); err != nil {
		return err
	}
	v := r.node.store.NewView(r.id)
	members := memberReader{node: r.node, settle: r.machine.settle, view: r.node.store.NewView(r.id)}
	n := 0
	var failed error
	err := shard.OutboxScan(v, func(o *shard.Owed) bool {
		var groups []group
		if groups, failed = members.byShard(o.Chat, o.From, o.Peer, nil); failed != nil {
			return false
		}
		var taken bool
		if taken, failed = r.resume(o, groups, led); failed != nil {
			return false
		}
		if taken {
			if n++; n%lookPage == 0 {
				r.sendLanes()
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

// errNotLeading ends a look whose leadership is over.
var errNotLeading = errors.New("core: another leadership has begun")

// resume takes up one conversation: one bump for the newest entry, without a
// frame, because the older ones are only marks by now. Live sessions are told
// to sync. taken is false when it is on its way already or has no room.
func (r *replica) resume(o *shard.Owed, groups []group, led uint64) (taken bool, err error) {
	bump := peer.Item{Op: peer.OpBump, Chat: o.Chat, Seq: o.Last, At: o.At, User: o.From, Peer: o.Peer}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.leads.Load() || r.mu.led != led {
		return false, errNotLeading
	}
	if !r.mu.fan.Resume(o.Chat, o.Last) {
		return false, nil
	}
	for i := range groups {
		bump.List = groups[i].list
		r.mu.fan.Add(groups[i].shard, &bump)
	}
	r.mu.fan.Settle(o.Chat)
	r.node.c.resumed.Add(1)
	return true, nil
}

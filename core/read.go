package core

import (
	"errors"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// job is a read for a reader. What waits for a quorum is none: readers are
// shared by all shards, and one without quorum would stop the others.
type job struct {
	r    *replica
	from wire.NodeID
	raw  []byte // its own copy
}

// open is a session that waits to be opened.
type open struct {
	from      wire.NodeID
	req       uint64
	session   wire.SessionID
	led       uint64 // the leadership that registered it
	user      []byte
	device    []byte
	after     wire.Cursor
	hasCursor bool
}

// work is a reader's goroutine.
func (n *Node) work() {
	rd := new(reader)
	for {
		select {
		case j := <-n.jobs:
			rd.answer(j)
		case <-n.stop:
			return
		}
	}
}

// reader is what one reading goroutine keeps from read to read.
type reader struct {
	page shard.RangePage
	list []byte
}

// answer answers one read.
func (rd *reader) answer(j job) {
	n := j.r.node
	var it peer.Item
	if _, _, ok := peer.Next(j.raw, &it); !ok {
		return
	}
	v := n.store.NewView(j.r.id)
	t := n.turn()
	defer n.flush(t)
	err := j.r.machine.settle()
	if it.Op == peer.OpTyping {
		if err == nil {
			err = rd.typing(j.r, v, &it, t)
		}
		if err != nil {
			j.r.unread(&n.c.hintsUnread, "typing", err)
		}
		return
	}
	reply := peer.Item{Op: answerTo(it.Op), Req: it.Req}
	switch {
	case err != nil:
	case it.Op == peer.OpRange:
		err = rd.pageOf(v, &it, &reply)
	case it.Op == peer.OpChanges:
		var p shard.Page
		p, err = shard.Changes(v, it.User, it.Device, wire.Cursor(it.After), pageLimit(it.Limit, changesPage), rd.list[:0])
		rd.take(&p, &reply)
	case it.Op == peer.OpChats:
		var p shard.Page
		p, err = shard.Chats(v, it.User, it.Stamp, pageLimit(it.Limit, wire.MaxHistoryPage), rd.list[:0])
		rd.take(&p, &reply)
	}
	n.c.reads.Add(1)
	if j.r.removed.Load() { // its rows may be gone
		reply = peer.Item{Op: answerTo(it.Op), Req: it.Req, Code: wire.CodeNotLeader}
		err = nil
	}
	if err != nil {
		n.log.Error("core: reading fails; check the disk", "shard", j.r.id, "err", err)
		reply = peer.Item{Op: answerTo(it.Op), Req: it.Req, Code: wire.CodeStorage}
	}
	t.reply(j.from, &reply)
}

// pageOf reads a page of a log into reply.
func (rd *reader) pageOf(v *store.View, it, reply *peer.Item) error {
	p := &rd.page
	err := shard.Range(v, &shard.RangeQuery{
		Chat: it.Chat, User: it.User, After: wire.Seq(it.After), Upto: it.Seq,
		Limit: pageLimit(it.Limit, wire.MaxHistoryPage), Desc: it.Flags&peer.FlagDesc != 0,
	}, p)
	reply.Code, reply.Name, reply.Seq, reply.Cursors, reply.List = p.Code, p.Name, p.Last, p.Cursors, p.List
	if p.More {
		reply.Flags = peer.FlagMore
	}
	return err
}

// take puts a page of conversations into reply and keeps its memory.
func (rd *reader) take(p *shard.Page, reply *peer.Item) {
	rd.list = p.List
	reply.List, reply.Stamp = p.List, p.Stamp
	if p.More {
		reply.Flags = peer.FlagMore
	}
}

// pageLimit returns how many to read when limit was asked for: a history page
// when nothing was, no more than most.
func pageLimit(limit uint32, most int) int {
	if limit == 0 {
		return wire.HistoryPage
	}
	return min(int(limit), most)
}

// typing sends the hint that somebody types to the other members' shards.
func (rd *reader) typing(r *replica, v *store.View, it *peer.Item, t *turn) error {
	if member, err := shard.IsMember(v, it.Chat, it.User); err != nil || !member {
		return err
	}
	info, ok, err := shard.ChatInfo(v, it.Chat)
	if err != nil || !ok || info.Members > typingMembers {
		return err
	}
	members := memberReader{node: r.node, settle: r.machine.settle, view: v}
	groups, err := members.byShard(it.Chat, nil, nil, it.User)
	if err != nil {
		return err
	}
	frame := wire.AppendMsgpack(nil, &wire.Frame{
		Op: wire.OpTyping, Chat: it.Chat, Typing: wire.TypingState(it.Flags), User: it.User,
	})
	for i := range groups {
		t.add(r.node.leaderOf(groups[i].shard), &peer.Item{
			Op: peer.OpHint, Shard: groups[i].shard, List: groups[i].list, Body: frame,
		})
	}
	return nil
}

// open registers a session. From then on it gets live pushes; the answer
// follows when this replica is known to have everything that was committed,
// and everything that was taken before: a bump that was pushed when the session
// was not there yet has to be in the inbox when the session reads it.
func (r *replica) open(from wire.NodeID, it *peer.Item, t *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := r.absence()
	switch {
	case code != wire.OK:
	case len(r.mu.opens) >= opensWaiting:
		r.node.c.opensFull.Add(1)
		code = wire.CodeUnavailable
	default:
		code = r.mu.live.Open(from, it.Session, it.User, it.Device)
	}
	if code != wire.OK {
		t.refuse(from, it.Op, it.Req, code, r.leaderNode())
		return
	}
	ids := append(append(make([]byte, 0, len(it.User)+len(it.Device)), it.User...), it.Device...)
	r.mu.opens = append(r.mu.opens, open{
		from: from, req: it.Req, session: it.Session, led: r.mu.led, after: wire.Cursor(it.After),
		hasCursor: it.Flags&peer.FlagCursor != 0, user: ids[:len(it.User):len(it.User)], device: ids[len(it.User):],
	})
	select {
	case r.opens <- struct{}{}:
	default:
	}
}

// answerOpens is the goroutine that answers the sessions that wait. It is the
// replica's own, because it waits for a quorum.
func (r *replica) answerOpens() {
	for {
		select {
		case <-r.opens:
			r.openRounds()
		case <-r.gone:
			return
		case <-r.node.stop:
			return
		}
	}
}

// openRounds answers the sessions that wait, all of them after one read index,
// and again for those that came meanwhile.
func (r *replica) openRounds() {
	for {
		r.mu.Lock()
		opens := r.mu.opens
		r.mu.opens = nil
		last, ended := r.lastTaken(), r.mu.ended
		r.mu.Unlock()
		if len(opens) == 0 {
			return
		}
		r.hurry() // a bump in that entry may linger
		err := r.awaitOver(last)
		if err == nil {
			err = r.node.readIndex(r, ended)
		}
		if err == nil {
			err = r.machine.settle()
		}
		t := r.node.turn()
		v := r.node.store.NewView(r.id)
		for i := range opens {
			r.opened(&opens[i], v, err, t)
		}
		r.node.flush(t)
	}
}

// opened answers one session: where its user's counter is, and from where on
// the device has to be told. A session that an earlier leadership registered is
// not known to this one.
func (r *replica) opened(o *open, v *store.View, err error, t *turn) {
	r.mu.Lock()
	stale := r.mu.led != o.led || !r.leads.Load()
	r.mu.Unlock()
	if stale {
		t.refuse(o.from, peer.OpOpen, o.req, wire.CodeNotLeader, r.leaderNode())
		return
	}
	info, derr := shard.DeviceInfo{}, error(nil)
	if err == nil {
		info, derr = shard.Device(v, o.user, o.device)
	}
	if err = errors.Join(err, derr); err != nil {
		r.mu.Lock()
		if r.mu.led == o.led {
			r.mu.live.Close(o.from, o.session, o.user)
		}
		r.mu.Unlock()
		code := r.unreadable()
		if derr != nil {
			code = wire.CodeStorage
		}
		t.refuse(o.from, peer.OpOpen, o.req, code, 0)
		return
	}
	after := info.Cursor
	if o.hasCursor && o.after <= info.Head {
		after = o.after // a cursor beyond the head is of another server
	}
	reply := peer.Item{Op: peer.OpReply, Req: o.req, Stamp: info.Head, After: uint64(after)}
	if !info.Known {
		reply.Flags = peer.FlagNew
	}
	t.reply(o.from, &reply)
	if !info.Known || after > info.Cursor {
		r.mu.Lock()
		r.enqueue(0, &peer.Item{Op: peer.OpDevice, Shard: r.id, User: o.user, Device: o.device, Stamp: after}, nil, t)
		r.mu.Unlock()
	}
}

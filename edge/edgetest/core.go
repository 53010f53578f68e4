// Package edgetest is a core for tests of the edge: it speaks wire/peer on a
// link.Hub and keeps conversations and inboxes in memory. It answers as a core
// does, in order and at once, and does what a test tells it: lose its
// memory of sessions, say that it is not the leader, or say nothing.
//
// It promises nothing about durability and is not fit for anything but tests.
package edgetest

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Core is one core node that leads every shard. Its methods may be called from
// any goroutine.
type Core struct {
	id  wire.NodeID
	hub *link.Hub

	mu struct {
		sync.Mutex
		link    link.Link
		chats   map[wire.ChatID]*chat
		users   map[string]*user
		edges   map[wire.NodeID]bool
		shards  []wire.ShardID
		refuse  wire.Code   // answer everything with this
		leader  wire.NodeID // named when refuse is CodeNotLeader
		silent  bool
		now     wire.Millis
		counts  map[peer.Op]int
		batches int
		out     map[wire.NodeID][]byte
	}
}

type chat struct {
	name    string
	frames  [][]byte // new_message of seq i+1
	ids     map[string]wire.Seq
	at      []wire.Millis
	members map[string]*cursor
}

type cursor struct{ delivered, read wire.Seq }

type user struct {
	head     wire.Cursor
	rows     map[wire.ChatID]*row
	sessions map[place]string // to device
}

type row struct {
	peer.Row
	delivered map[string]wire.Seq // by device
}

// place is where a session lives.
type place struct {
	edge wire.NodeID
	id   wire.SessionID
}

// NewCore puts a core on the hub. It leads shards.
func NewCore(hub *link.Hub, id wire.NodeID, shards ...wire.ShardID) *Core {
	c := &Core{id: id, hub: hub}
	c.mu.chats = make(map[wire.ChatID]*chat)
	c.mu.users = make(map[string]*user)
	c.mu.edges = make(map[wire.NodeID]bool)
	c.mu.counts = make(map[peer.Op]int)
	c.mu.out = make(map[wire.NodeID][]byte)
	c.mu.shards, c.mu.now = shards, 1_700_000_000_000
	c.Start()
	return c
}

// Start joins the hub. After Stop it is a restart: sessions are forgotten, the
// rest is not.
func (c *Core) Start() {
	l := c.hub.Join(c.id, link.Events{Batch: c.batch, Up: c.up, Down: c.down})
	c.mu.Lock()
	c.mu.link = l
	edges := c.mu.edges
	c.mu.Unlock()
	for edge := range edges { // those that came up within Join
		c.up(edge)
	}
}

// Stop leaves the hub.
func (c *Core) Stop() {
	c.mu.Lock()
	l := c.mu.link
	c.mu.link, c.mu.out = nil, make(map[wire.NodeID][]byte)
	c.mu.edges = make(map[wire.NodeID]bool)
	for _, u := range c.mu.users {
		u.sessions = make(map[place]string)
	}
	c.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
}

// Refuse makes the core answer every question with code, naming leader; OK
// ends that.
func (c *Core) Refuse(code wire.Code, leader wire.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.refuse, c.mu.leader = code, leader
}

// Silence makes the core drop every question, or stops that.
func (c *Core) Silence(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.silent = on
}

// Count returns how many items of op have come, Batches how many batches.
func (c *Core) Count(op peer.Op) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.counts[op]
}

// Batches returns how many batches have come.
func (c *Core) Batches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.batches
}

// Sessions returns how many sessions of a user are open.
func (c *Core) Sessions(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.mu.users[name]; u != nil {
		return len(u.sessions)
	}
	return 0
}

// Push sends an item, such as an OpDeliver with any body, to an edge.
func (c *Core) Push(edge wire.NodeID, it *peer.Item) bool {
	c.mu.Lock()
	l := c.mu.link
	c.mu.Unlock()
	return l != nil && l.Send(edge, peer.Append(nil, it))
}

// SessionsOf appends the session list of a user at an edge.
func (c *Core) SessionsOf(edge wire.NodeID, name string) (list []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.mu.users[name]; u != nil {
		for p := range u.sessions {
			if p.edge == edge {
				list = peer.AppendSession(list, p.id)
			}
		}
	}
	return list
}

func (c *Core) up(edge wire.NodeID) {
	c.mu.Lock()
	c.mu.edges[edge] = true
	if c.mu.link != nil {
		for _, s := range c.mu.shards {
			c.reply(edge, &peer.Item{Op: peer.OpReopen, Shard: s})
		}
	}
	c.flush()
}

func (c *Core) down(edge wire.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.edges, edge)
	for _, u := range c.mu.users {
		for p := range u.sessions {
			if p.edge == edge {
				delete(u.sessions, p)
			}
		}
	}
}

// batch handles what an edge sent.
func (c *Core) batch(from wire.NodeID, b []byte) {
	c.mu.Lock()
	c.mu.batches++
	var it peer.Item
	for len(b) > 0 {
		_, rest, ok := peer.Next(b, &it)
		if !ok {
			panic("edgetest: the edge sent a broken batch")
		}
		b = rest
		c.mu.counts[it.Op]++
		c.mu.now++
		switch {
		case c.mu.silent:
		case c.mu.refuse != wire.OK && it.Req != 0:
			c.reply(from, &peer.Item{Op: answerTo(it.Op), Req: it.Req, Code: c.mu.refuse, Node: c.mu.leader})
		default:
			c.item(from, &it)
		}
	}
	c.flush()
}

// flush sends what was gathered and unlocks.
func (c *Core) flush() {
	l, out := c.mu.link, c.mu.out
	if l == nil {
		c.mu.Unlock()
		return // Start is under way and sends it
	}
	c.mu.out = make(map[wire.NodeID][]byte)
	c.mu.Unlock()
	for edge, b := range out {
		l.Send(edge, b)
	}
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

func (c *Core) reply(to wire.NodeID, it *peer.Item) {
	c.mu.out[to] = peer.Append(c.mu.out[to], it)
}

func (c *Core) item(from wire.NodeID, it *peer.Item) {
	switch it.Op {
	case peer.OpAppend:
		c.append(from, it)
	case peer.OpReceipt:
		c.receipt(from, it)
	case peer.OpMark:
		u := c.user(it.User)
		if r := u.rows[it.Chat]; r != nil {
			r.delivered[string(it.Device)] = max(r.delivered[string(it.Device)], it.Delivered)
			r.Read = max(r.Read, it.Read)
		}
		c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Chat: it.Chat, Stamp: u.head})
	case peer.OpCreateGroup:
		c.createGroup(from, it)
	case peer.OpOpen:
		u := c.user(it.User)
		u.sessions[place{from, it.Session}] = string(it.Device)
		c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Stamp: u.head, After: it.After})
	case peer.OpClose:
		delete(c.user(it.User).sessions, place{from, it.Session})
	case peer.OpChanges:
		c.changes(from, it)
	case peer.OpChats:
		c.chats(from, it)
	case peer.OpRange:
		c.rangeOf(from, it)
	case peer.OpTyping:
		if ch := c.mu.chats[it.Chat]; ch != nil {
			f := wire.Frame{Op: wire.OpTyping, Chat: it.Chat, Typing: wire.TypingState(it.Flags), User: it.User}
			c.deliver(ch, &f, 0, string(it.User), place{})
		}
	}
}

func (c *Core) user(name []byte) *user {
	u := c.mu.users[string(name)]
	if u == nil {
		u = &user{rows: make(map[wire.ChatID]*row), sessions: make(map[place]string)}
		c.mu.users[string(name)] = u
	}
	return u
}

func (c *Core) append(from wire.NodeID, it *peer.Item) {
	ch := c.mu.chats[it.Chat]
	if ch == nil && len(it.Peer) > 0 {
		ch = newChat("", string(it.User), string(it.Peer))
		c.mu.chats[it.Chat] = ch
	}
	code := wire.OK
	switch {
	case ch == nil:
		code = wire.CodeUnknownChat
	case ch.members[string(it.User)] == nil:
		code = wire.CodeNotMember
	}
	if code != wire.OK {
		c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Code: code})
		return
	}
	id := string(it.User) + "\x00" + string(it.ClientMsgID)
	seq, repeat := ch.ids[id]
	if !repeat {
		seq = c.store(ch, it, id, place{from, it.Session})
	}
	rep := peer.Item{Op: peer.OpReply, Req: it.Req, Chat: it.Chat, Seq: seq, At: ch.at[seq-1]}
	if !repeat {
		rep.Flags = peer.FlagNew
	}
	c.reply(from, &rep)
}

func (c *Core) store(ch *chat, it *peer.Item, id string, origin place) wire.Seq {
	seq := wire.Seq(len(ch.frames) + 1)
	f := wire.Frame{Op: wire.OpNewMessage, Chat: it.Chat, Seq: seq, User: it.User, Content: it.Body,
		Kind: it.Kind, At: c.mu.now, ClientMsgID: it.ClientMsgID, ReplyTo: it.ReplyTo}
	ch.frames = append(ch.frames, wire.AppendMsgpack(nil, &f))
	ch.at = append(ch.at, c.mu.now)
	ch.ids[id] = seq
	c.bump(it.Chat, ch, seq)
	c.deliver(ch, &f, seq, "", origin)
	return seq
}

// bump raises the inbox rows of the members.
func (c *Core) bump(id wire.ChatID, ch *chat, seq wire.Seq) {
	for name := range ch.members {
		u := c.user([]byte(name))
		r := u.rows[id]
		if r == nil {
			r = &row{Row: peer.Row{Chat: id}, delivered: make(map[string]wire.Seq)}
			u.rows[id] = r
			if id.Kind() == wire.Direct {
				for other := range ch.members {
					if other != name {
						r.Peer = []byte(other)
					}
				}
			}
		}
		u.head++
		r.Last, r.Stamp, r.At = max(r.Last, seq), u.head, c.mu.now
	}
}

// deliver pushes f to the members' sessions but those of except and origin.
func (c *Core) deliver(ch *chat, f *wire.Frame, seq wire.Seq, except string, origin place) {
	lists := make(map[wire.NodeID][]byte)
	for name := range ch.members {
		u := c.mu.users[name]
		if u == nil || name == except {
			continue
		}
		for p := range u.sessions {
			if p != origin {
				lists[p.edge] = peer.AppendSession(lists[p.edge], p.id)
			}
		}
	}
	body := wire.AppendMsgpack(nil, f)
	for edge, list := range lists {
		c.reply(edge, &peer.Item{Op: peer.OpDeliver, Chat: f.Chat, Seq: seq, List: list, Body: body})
	}
}

func (c *Core) receipt(from wire.NodeID, it *peer.Item) {
	ch := c.mu.chats[it.Chat]
	if ch == nil || ch.members[string(it.User)] == nil {
		c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Code: wire.CodeUnknownChat})
		return
	}
	m := ch.members[string(it.User)]
	for _, s := range []struct {
		cursor *wire.Seq
		to     wire.Seq
		status wire.Status
	}{{&m.delivered, it.Delivered, wire.StatusDelivered}, {&m.read, it.Read, wire.StatusRead}} {
		if s.to > *s.cursor {
			*s.cursor = s.to
			c.deliver(ch, &wire.Frame{Op: wire.OpStatusUpdate, Chat: it.Chat, Seq: s.to, User: it.User, Status: s.status}, 0, string(it.User), place{})
		}
	}
	c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Chat: it.Chat, Seq: wire.Seq(len(ch.frames))})
}

func newChat(name string, members ...string) *chat {
	ch := &chat{name: name, ids: make(map[string]wire.Seq), members: make(map[string]*cursor)}
	for _, m := range members {
		ch.members[m] = new(cursor)
	}
	return ch
}

func (c *Core) createGroup(from wire.NodeID, it *peer.Item) {
	members := []string{string(it.User)}
	for list := it.List; ; {
		m, rest, ok := peer.NextBytes(list)
		if !ok {
			break
		}
		list = rest
		members = append(members, string(m))
	}
	ch := newChat(string(it.Name), members...)
	c.mu.chats[it.Chat] = ch
	created := *it
	created.Body, created.Kind = it.Name, []byte(wire.KindGroupCreated)
	c.store(ch, &created, "\x00", place{})
	c.reply(from, &peer.Item{Op: peer.OpReply, Req: it.Req, Chat: it.Chat, Seq: 1, At: c.mu.now, Flags: peer.FlagNew})
}

func (c *Core) changes(from wire.NodeID, it *peer.Item) {
	u := c.user(it.User)
	var rows []*row
	for _, r := range u.rows {
		if r.Stamp > wire.Cursor(it.After) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.Stamp, b.Stamp) })
	rep := peer.Item{Op: peer.OpChangesReply, Req: it.Req, Stamp: u.head}
	for i, r := range rows {
		if i == int(it.Limit) {
			rep.Flags, rep.Stamp = peer.FlagMore, rows[i-1].Stamp
			break
		}
		pr := r.Row
		pr.Delivered = r.delivered[string(it.Device)]
		rep.List = peer.AppendRow(rep.List, &pr)
	}
	c.reply(from, &rep)
}

func (c *Core) chats(from wire.NodeID, it *peer.Item) {
	var rows []*row
	for _, r := range c.user(it.User).rows {
		if it.Stamp == 0 || r.Stamp < it.Stamp {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(b.Stamp, a.Stamp) })
	rep := peer.Item{Op: peer.OpChatsReply, Req: it.Req}
	for i, r := range rows {
		if i == int(it.Limit) {
			rep.Flags, rep.Stamp = peer.FlagMore, rows[i-1].Stamp
			break
		}
		rep.List = peer.AppendRow(rep.List, &r.Row)
	}
	c.reply(from, &rep)
}

func (c *Core) rangeOf(from wire.NodeID, it *peer.Item) {
	rep := peer.Item{Op: peer.OpRangeReply, Req: it.Req}
	ch := c.mu.chats[it.Chat]
	switch {
	case ch == nil:
		rep.Code = wire.CodeUnknownChat
	case ch.members[string(it.User)] == nil:
		rep.Code = wire.CodeNotMember
	default:
		rep.Name, rep.Seq = []byte(ch.name), wire.Seq(len(ch.frames))
		c.page(ch, it, &rep)
	}
	c.reply(from, &rep)
}

// page fills rep with the entries that it asks for, and the cursors when the
// newest is among them.
func (c *Core) page(ch *chat, it *peer.Item, rep *peer.Item) {
	last := len(ch.frames)
	seq, step := int(it.After)+1, 1
	end := last
	if it.Seq != 0 {
		end = min(end, int(it.Seq))
	}
	if it.Flags&peer.FlagDesc != 0 {
		seq, step, end = last, -1, 1
		if it.Seq != 0 {
			seq = min(last, int(it.Seq)-1)
		}
	}
	newest := last == 0
	for n := 0; seq >= 1 && (end-seq)*step >= 0; seq += step {
		if n++; n > int(it.Limit) {
			rep.Flags = peer.FlagMore
			break
		}
		newest = newest || seq == last
		rep.List = peer.AppendBytes(rep.List, ch.frames[seq-1])
	}
	if newest || int(it.After) >= last {
		for _, name := range slices.Sorted(maps.Keys(ch.members)) {
			m := ch.members[name]
			rep.Cursors = peer.AppendCursor(rep.Cursors, &peer.MemberCursor{User: []byte(name), Delivered: m.delivered, Read: m.read})
		}
	}
}

package shard

import (
	"bytes"
	"slices"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// kindText is what an entry without a kind is; it is not stored.
const kindText = "text"

// chat returns the row of a conversation, existing or not.
func (m *Machine) chat(id wire.ChatID) (*node[chat], error) {
	m.key = appendChatKey(m.key[:0], tableChat, id)
	if n := m.chats.find(m.key); n != nil {
		return n, nil
	}
	c := chat{id: id}
	row, ok, err := m.v.Get(m.key)
	if err == nil && ok {
		err = c.decode(m.key, row)
	}
	if err == nil && ok {
		err = m.loadOutbox(&c)
	}
	if err != nil {
		return nil, err
	}
	m.key = appendChatKey(m.key[:0], tableChat, id)
	n := m.chats.add(m.key)
	n.row = c
	return n, nil
}

func (m *Machine) loadOutbox(c *chat) error {
	m.key = appendChatKey(m.key[:0], tableOutbox, c.id)
	row, ok, err := m.v.Get(m.key)
	if err != nil || !ok {
		return err
	}
	r := reader{b: row}
	c.fanned = wire.Seq(r.uint())
	c.owed = c.fanned + 1
	return r.done(m.key)
}

// member returns the row of a group's member, existing or not.
func (m *Machine) member(id wire.ChatID, user []byte) (*node[member], error) {
	m.key = appendMemberKey(m.key[:0], id, user)
	if n := m.members.find(m.key); n != nil {
		return n, nil
	}
	var row member
	b, ok, err := m.v.Get(m.key)
	if err == nil && ok {
		err = row.decode(m.key, b)
	}
	if err != nil {
		return nil, err
	}
	n := m.members.add(m.key)
	n.row = row
	return n, nil
}

// append carries out OpAppend.
func (m *Machine) append(it *peer.Item, res *Result) error {
	if res.Code = checkAppend(it); res.Code != wire.OK {
		return nil
	}
	n, err := m.chat(it.Chat)
	if err != nil {
		return err
	}
	c := &n.row
	if res.Code, err = m.mayAppend(c, it); err != nil || res.Code != wire.OK {
		return err
	}
	id := dedupeIDOf(it.Chat, it.User, it.ClientMsgID)
	var same seqs
	if c.exists {
		if same, err = m.dedupeRow(&id); err != nil {
			return err
		}
		if res.Seq, res.At, err = m.sent(c, same, it); err != nil || res.Seq != 0 {
			return err
		}
	}
	if it.ReplyTo > c.last {
		res.Code = wire.CodeUnknownMessage
		return nil
	}
	if !c.exists {
		c.begin(it.User, it.Peer)
	}
	e := logEntry{sender: it.User, cmid: it.ClientMsgID, kind: it.Kind, replyTo: it.ReplyTo, content: it.Body}
	if string(e.kind) == kindText {
		e.kind = nil
	}
	m.addEntry(n, &e, it, res)
	m.setDedupe(&id, same.with(res.Seq))
	return nil
}

// checkAppend judges an append by itself.
func checkAppend(it *peer.Item) wire.Code {
	switch {
	case len(it.User) == 0 || len(it.ClientMsgID) == 0 || len(it.Body) == 0:
		return wire.CodeBadRequest
	case len(it.Body) > wire.MaxContentCeiling:
		return wire.CodeContentTooBig
	case bytes.Equal(it.User, it.Peer):
		return wire.CodeSelfChat
	}
	return wire.OK
}

// mayAppend judges an append by the conversation, which need not exist yet
// when the item names the peer.
func (m *Machine) mayAppend(c *chat, it *peer.Item) (wire.Code, error) {
	switch {
	case c.exists && c.id.Kind() == wire.Direct:
		self, other := c.side(it.User)
		if len(it.Peer) > 0 && (self == nil || !bytes.Equal(other.user, it.Peer)) {
			return wire.CodeBadRequest, nil
		}
		if self == nil {
			return wire.CodeNotMember, nil
		}
		return wire.OK, nil
	case len(it.Peer) > 0:
		if c.exists || it.Chat != wire.DirectChat(wire.UserID(it.User), wire.UserID(it.Peer)) {
			return wire.CodeBadRequest, nil
		}
		return wire.OK, nil
	case !c.exists:
		return wire.CodeUnknownChat, nil
	}
	n, err := m.member(c.id, it.User)
	if err == nil && !n.row.exists {
		return wire.CodeNotMember, nil
	}
	return wire.OK, err
}

// begin makes c the direct chat of two users, without entries.
func (c *chat) begin(a, b []byte) {
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	c.exists, c.kept = true, 1
	c.pair[0] = member{exists: true, user: bytes.Clone(a), joined: 1}
	c.pair[1] = member{exists: true, user: bytes.Clone(b), joined: 1}
}

// addEntry appends e to the log and says so. Its time never lies before that
// of the entry in front of it, whatever the leaders' clocks say.
func (m *Machine) addEntry(n *node[chat], e *logEntry, it *peer.Item, res *Result) {
	c := &n.row
	c.last++
	c.at = max(c.at, m.now)
	c.changed = true
	m.chats.change(n)
	e.at = c.at
	m.writeLog(c, c.last, e)
	res.Seq, res.At, res.Flags = c.last, c.at, peer.FlagNew
	eff := Effect{Kind: Appended, Chat: c.id, Seq: c.last, At: c.at, ReplyTo: e.replyTo, Session: it.Session,
		User: e.sender, Device: it.Device, ClientMsgID: e.cmid, ContentKind: e.kind, Content: e.content}
	if c.id.Kind() == wire.Direct {
		_, other := c.side(e.sender)
		eff.Peer = other.user
	}
	m.effect(eff)
}

// createGroup carries out OpCreateGroup.
func (m *Machine) createGroup(it *peer.Item, res *Result) error {
	users, ok := memberList(it)
	if !ok || it.Chat.Kind() != wire.Group || len(it.User) == 0 || len(it.Name) == 0 {
		res.Code = wire.CodeBadRequest
		return nil
	}
	if len(users) > wire.MaxMembers {
		res.Code = wire.CodeTooManyMembers
		return nil
	}
	n, err := m.chat(it.Chat)
	if err != nil {
		return err
	}
	c := &n.row
	if c.exists {
		return m.groupExists(c, it, res)
	}
	*c = chat{id: it.Chat, exists: true, kept: 1, members: uint64(len(users)),
		creator: bytes.Clone(it.User), name: bytes.Clone(it.Name)}
	for _, u := range users {
		p, err := m.member(it.Chat, u)
		if err != nil {
			return err
		}
		p.row = member{exists: true, joined: 1}
		m.members.change(p)
	}
	e := logEntry{sender: it.User, kind: []byte(wire.KindGroupCreated), content: it.Name}
	m.addEntry(n, &e, it, res)
	return nil
}

// groupExists answers a repeated OpCreateGroup.
func (m *Machine) groupExists(c *chat, it *peer.Item, res *Result) error {
	if !bytes.Equal(c.creator, it.User) {
		res.Code = wire.CodeBadRequest
		return nil
	}
	var e logEntry
	err := m.logHead(c, 1, &e)
	res.Seq, res.At = 1, e.at
	return err
}

// memberList returns the creator and the users in List, each once, sorted.
func memberList(it *peer.Item) (users [][]byte, ok bool) {
	users = append(users, it.User)
	ok = eachID(it.List, func(u []byte) { users = append(users, u) })
	slices.SortFunc(users, bytes.Compare)
	return slices.CompactFunc(users, bytes.Equal), ok
}

// eachID calls fn with the ids of a list. It is false when the list is broken
// or holds what cannot be an id.
func eachID(list []byte, fn func(id []byte)) bool {
	for len(list) > 0 {
		id, rest, ok := peer.NextBytes(list)
		if !ok || len(id) == 0 || len(id) > wire.MaxID {
			return false
		}
		fn(id)
		list = rest
	}
	return true
}

// receipt carries out OpReceipt. What is read has been delivered.
func (m *Machine) receipt(it *peer.Item, res *Result) error {
	n, err := m.chat(it.Chat)
	if err != nil {
		return err
	}
	c := &n.row
	if !c.exists {
		res.Code = wire.CodeUnknownChat
		return nil
	}
	eff := Effect{Kind: CursorMoved, Chat: c.id, User: it.User}
	if c.id.Kind() == wire.Direct {
		self, other := c.side(it.User)
		if self == nil {
			res.Code = wire.CodeNotMember
			return nil
		}
		eff.Peer = other.user
		if self.advance(c, it, &eff) {
			c.changed = true
			m.chats.change(n)
			m.effect(eff)
		}
	} else {
		row, err := m.member(c.id, it.User)
		if err != nil {
			return err
		}
		if !row.row.exists {
			res.Code = wire.CodeNotMember
			return nil
		}
		if row.row.advance(c, it, &eff) {
			m.members.change(row)
			m.effect(eff)
		}
	}
	res.Seq = c.last
	return nil
}

// advance raises a member's cursors, as far as the log goes, and puts what
// rose into eff.
func (p *member) advance(c *chat, it *peer.Item, eff *Effect) (rose bool) {
	eff.Delivered = raise(&p.delivered, min(max(it.Delivered, it.Read), c.last))
	eff.Read = raise(&p.read, min(it.Read, c.last))
	return eff.Delivered != 0 || eff.Read != 0
}

// raise sets *p to v when that is more, and returns the new value or zero.
func raise(p *wire.Seq, v wire.Seq) wire.Seq {
	if v <= *p {
		return 0
	}
	*p = v
	return v
}

// fanoutDone carries out OpFanoutDone.
func (m *Machine) fanoutDone(it *peer.Item, res *Result) error {
	n, err := m.chat(it.Chat)
	if err != nil {
		return err
	}
	c := &n.row
	if !c.exists {
		res.Code = wire.CodeUnknownChat
		return nil
	}
	res.Seq = c.last
	if raise(&c.fanned, min(it.Seq, c.last)) != 0 {
		m.chats.change(n)
	}
	return nil
}

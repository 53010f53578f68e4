package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

// book is what the terminal client knows: conversations, their messages and
// how far these have come. It is pure; the screen draws it.
type book struct {
	me    client.UserID
	rooms map[client.ChatID]*room
	open  client.ChatID // zero: none
}

// room is one conversation. lines are those with an id in ascending order,
// then those on their way in the order of sending.
type room struct {
	id      client.ChatID
	title   string
	peer    client.UserID // of a direct conversation
	lines   []line
	cursors map[client.UserID]client.MemberCursor // of the others
	typing  map[client.UserID]time.Time           // until when
	unread  int
	read    client.Seq // what this user has read
	updated time.Time
	older   client.Seq // Before of the next page of history
	loaded  bool       // the first page came
	loading bool
}

type line struct {
	id     client.Seq // 0 while it is not stored
	from   client.UserID
	text   string
	at     time.Time
	cmid   string
	failed string
}

// maxLines bounds what a room keeps on the screen's side; older lines are
// loaded again when somebody scrolls there.
const maxLines = 2000

func newBook(me client.UserID) *book {
	return &book{me: me, rooms: map[client.ChatID]*room{}}
}

// room returns the conversation, making it when it is new here.
func (b *book) room(id client.ChatID) *room {
	r := b.rooms[id]
	if r == nil {
		r = &room{id: id, title: id.String()[:8], cursors: map[client.UserID]client.MemberCursor{}, typing: map[client.UserID]time.Time{}}
		b.rooms[id] = r
	}
	return r
}

// with returns the direct conversation with a user.
func (b *book) with(peer client.UserID) *room {
	r := b.room(client.DirectChat(b.me, peer))
	r.peer, r.title = peer, plainText(string(peer))
	return r
}

// list returns the rooms, the most recently changed first.
func (b *book) list() []*room {
	rs := make([]*room, 0, len(b.rooms))
	for _, r := range b.rooms {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(x, y *room) int {
		return cmp.Or(y.updated.Compare(x.updated), strings.Compare(x.title, y.title))
	})
	return rs
}

// conversations takes rows of the conversation list.
func (b *book) conversations(rows []client.Conversation) {
	for i := range rows {
		c := &rows[i]
		r := b.room(c.ChatID)
		r.peer = c.PeerID
		if r.title = plainText(string(c.PeerID)); c.Group {
			r.title = plainText(c.Name)
		}
		r.read = max(r.read, c.ReadID)
		if c.ChatID != b.open {
			r.unread = int(c.Unread)
		}
		if c.UpdatedAt.After(r.updated) {
			r.updated = c.UpdatedAt
		}
	}
}

// message takes a message from the socket or from history, and reports
// whether its room has no name yet.
func (b *book) message(m client.Message) (unnamed bool) {
	r := b.room(m.ChatID)
	delete(r.typing, m.SenderID)
	if m.ChatID.Kind() == wire.Direct && m.SenderID != b.me {
		r.peer, r.title = m.SenderID, plainText(string(m.SenderID))
	}
	if r.add(line{id: m.MessageID, from: m.SenderID, text: printable(&m), at: m.CreatedAt, cmid: m.ClientMsgID}) &&
		m.SenderID != b.me && m.ChatID != b.open && m.MessageID > r.read {
		r.unread++
	}
	if m.CreatedAt.After(r.updated) {
		r.updated = m.CreatedAt
	}
	return r.peer == "" && r.title == r.id.String()[:8]
}

// add puts a stored line into its place and reports whether it is new.
func (r *room) add(l line) bool {
	if i := slices.IndexFunc(r.lines, func(o line) bool { return o.id == 0 && o.cmid == l.cmid && l.cmid != "" }); i >= 0 {
		r.lines = slices.Delete(r.lines, i, i+1)
	}
	stored := r.lines[:r.stored()]
	i, found := slices.BinarySearchFunc(stored, l.id, func(o line, id client.Seq) int { return cmp.Compare(o.id, id) })
	if found {
		return false
	}
	r.lines = slices.Insert(r.lines, i, l)
	if n := len(r.lines) - maxLines; n > 0 && i > n {
		r.lines = slices.Delete(r.lines, 0, n)
		r.older = r.lines[0].id
	}
	return true
}

// stored returns how many lines have an id.
func (r *room) stored() int {
	n := len(r.lines)
	for n > 0 && r.lines[n-1].id == 0 {
		n--
	}
	return n
}

// history takes a page, newest first.
func (b *book) history(id client.ChatID, page client.HistoryPage) {
	r := b.room(id)
	r.loaded, r.loading, r.older = true, false, page.Next
	for _, m := range page.Messages {
		r.add(line{id: m.MessageID, from: m.SenderID, text: printable(&m), at: m.CreatedAt, cmid: m.ClientMsgID})
	}
	for _, c := range page.Cursors {
		b.cursor(r, c)
	}
}

func (b *book) cursor(r *room, c client.MemberCursor) {
	if c.UserID == b.me {
		r.read = max(r.read, c.Read)
		return
	}
	old := r.cursors[c.UserID]
	c.Delivered, c.Read = max(c.Delivered, c.Read, old.Delivered), max(c.Read, old.Read)
	r.cursors[c.UserID] = c
}

// status takes a moved cursor.
func (b *book) status(s client.Status) {
	c := client.MemberCursor{UserID: s.UserID, Delivered: s.MessageID}
	if s.Status == wire.StatusRead {
		c.Read = s.MessageID
	}
	b.cursor(b.room(s.ChatID), c)
}

// sending shows a message before the server has it.
func (b *book) sending(r *room, cmid, text string, now time.Time) {
	r.lines = append(r.lines, line{from: b.me, text: plainText(text), at: now, cmid: cmid})
	r.updated = now
}

// sent ends sending: with the message's place, or with why there is none.
func (b *book) sent(id client.ChatID, cmid string, ack client.Ack, err error) {
	r := b.room(id)
	i := slices.IndexFunc(r.lines, func(l line) bool { return l.id == 0 && l.cmid == cmid })
	switch {
	case i < 0:
	case err != nil:
		r.lines[i].failed = err.Error()
	default:
		l := r.lines[i]
		l.id, l.at = ack.MessageID, ack.CreatedAt
		r.add(l)
	}
}

// typingHint takes a typing event.
func (b *book) typingHint(t client.Typing, now time.Time) {
	r := b.room(t.ChatID)
	if t.Start {
		r.typing[t.UserID] = now.Add(wire.TypingShown)
	} else {
		delete(r.typing, t.UserID)
	}
}

// whoTypes returns who is typing now, and forgets who has stopped.
func (r *room) whoTypes(now time.Time) (names []string) {
	for u, until := range r.typing {
		if now.After(until) {
			delete(r.typing, u)
			continue
		}
		names = append(names, plainText(string(u)))
	}
	slices.Sort(names)
	return names
}

// tick is how far a line of one's own has come: sending, stored, then as far
// as the slowest of the others.
func (r *room) tick(l *line) wire.Status {
	if l.failed != "" {
		return wire.StatusFailed
	}
	if l.id == 0 {
		return 0
	}
	status := wire.StatusRead
	for _, c := range r.cursors {
		switch {
		case c.Delivered < l.id:
			return wire.StatusStored
		case c.Read < l.id:
			status = wire.StatusDelivered
		}
	}
	if len(r.cursors) == 0 {
		return wire.StatusStored
	}
	return status
}

// newestOfOthers returns what reading the room to its end has read.
func (b *book) newestOfOthers(r *room) client.Seq {
	for i := r.stored() - 1; i >= 0; i-- {
		if r.lines[i].from != b.me {
			return r.lines[i].id
		}
	}
	return 0
}

package shard

import (
	"bytes"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Page is one page of a user's conversations.
type Page struct {
	// List is peer.Row elements, appended to the buffer that was passed in.
	List []byte
	// Stamp is where the next page starts: of Changes, the stamp that the
	// device has reached with this page (the head of the counter on the last
	// page); of Chats, the before of the next page.
	Stamp wire.Cursor
	More  bool
}

// indexed is one row of the change index.
type indexed struct {
	stamp wire.Cursor
	chat  wire.ChatID
}

// Changes lists the conversations of user that changed after stamp after,
// oldest change first, at most limit. Row.Delivered is where device continues:
// its own delivered cursor; in a row that does not know the device, the newest
// page or what no device of the user has received, whichever is older. An
// empty device means the user as a whole.
//
// A cursor beyond the head is from a history that this shard does not have (it
// was restored from a backup): the page is empty and Stamp is below after; the
// device has to start again from 0.
//
// What changes while Changes runs is in this page or behind its Stamp.
func Changes(v View, user, device []byte, after wire.Cursor, limit int, list []byte) (Page, error) {
	var key []byte
	u, err := loadUser(v, user, &key)
	if err != nil {
		return Page{}, err
	}
	p := Page{List: list, Stamp: u.head}
	if after >= u.head {
		return p, nil
	}
	if limit <= 0 {
		p.Stamp, p.More = after, true
		return p, nil
	}
	found, more, err := scanIndex(v, user, after+1, u.head, limit, false)
	if err != nil {
		return Page{}, err
	}
	if p.More = more; more {
		p.Stamp = found[len(found)-1].stamp
	}
	p.List, err = appendRows(v, user, found, func(x *inbox) wire.Seq { return x.continues(&u, device) }, list)
	return p, err
}

// continues returns where a device goes on in the conversation.
func (x *inbox) continues(u *user, device []byte) wire.Seq {
	if len(device) == 0 {
		return x.delivered
	}
	if d := u.device(device); d != nil {
		if k := x.mark(d.number); k != nil {
			return k.delivered
		}
	}
	return x.startOf()
}

// Chats lists the conversations of user, most recently changed first, those
// that changed before stamp before (0: all), at most limit. Row.Delivered is
// what any device of the user has received.
func Chats(v View, user []byte, before wire.Cursor, limit int, list []byte) (Page, error) {
	upto := before - 1 // 0: wraps round to the greatest stamp
	p := Page{List: list}
	if limit <= 0 {
		return p, nil
	}
	found, more, err := scanIndex(v, user, 1, upto, limit, true)
	if err != nil {
		return Page{}, err
	}
	if p.More = more; len(found) > 0 {
		p.Stamp = found[len(found)-1].stamp
	}
	p.List, err = appendRows(v, user, found, func(x *inbox) wire.Seq { return x.delivered }, list)
	return p, err
}

// scanIndex returns the rows of user's change index with from <= stamp <= to,
// at most limit, and whether there are more.
func scanIndex(v View, user []byte, from, to wire.Cursor, limit int, reverse bool) (found []indexed, more bool, err error) {
	prefix := appendUserPrefix(nil, tableStamp, user)
	lower := appendStamp(bytes.Clone(prefix), from)
	upper := append(appendStamp(prefix, to), 0)
	err = v.Scan(lower, upper, reverse, func(key, value []byte) bool {
		if len(found) == limit {
			more = true
			return false
		}
		if len(value) == len(wire.ChatID{}) {
			found = append(found, indexed{wire.Cursor(lastNumber(key)), wire.ChatID(value)})
		}
		return true
	})
	return found, more, err
}

// appendRows appends the inbox rows that an index page names. One that is gone
// moved on while the page was read; it is not lost, its new stamp is greater.
func appendRows(v View, user []byte, found []indexed, delivered func(*inbox) wire.Seq, list []byte) ([]byte, error) {
	var (
		x   inbox
		key []byte
	)
	for _, f := range found {
		key = appendInboxKey(key[:0], user, f.chat)
		row, ok, err := v.Get(key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := x.decode(key, row); err != nil {
			return nil, err
		}
		list = peer.AppendRow(list, &peer.Row{Chat: f.chat, Last: x.last, Read: x.read, Delivered: delivered(&x),
			Stamp: x.stamp, At: x.at, Peer: x.peer})
	}
	return list, nil
}

// UserHead returns the newest stamp of user's change counter.
func UserHead(v View, user []byte) (head wire.Cursor, err error) {
	lower := appendUserPrefix(nil, tableStamp, user)
	upper := after(bytes.Clone(lower))
	err = v.Scan(lower, upper, true, func(key, _ []byte) bool {
		head = wire.Cursor(lastNumber(key))
		return false
	})
	return head, err
}

// DeviceInfo is what a shard knows about a device.
type DeviceInfo struct {
	Known   bool
	Cursor  wire.Cursor // the last that OpDevice recorded
	Created wire.Millis
	Head    wire.Cursor // of the user's change counter, also when not Known
}

// Device looks up device of user.
func Device(v View, user, device []byte) (DeviceInfo, error) {
	var key []byte
	u, err := loadUser(v, user, &key)
	if err != nil {
		return DeviceInfo{}, err
	}
	info := DeviceInfo{Head: u.head}
	if d := u.device(device); d != nil {
		info.Known, info.Cursor, info.Created = true, d.cursor, d.created
	}
	return info, nil
}

// Info is what a conversation's shard knows about it.
type Info struct {
	Last    wire.Seq // newest entry
	At      wire.Millis
	Members int
	Name    []byte    // of a group
	Users   [2][]byte // of a direct chat
}

// ChatInfo looks up chat; ok is false when there is none. The slices of Info
// are copies.
func ChatInfo(v View, chat wire.ChatID) (info Info, ok bool, err error) {
	c, err := readChat(v, chat)
	if err != nil || !c.exists {
		return Info{}, false, err
	}
	info = Info{Last: c.last, At: c.at, Members: int(c.members), Name: c.name}
	if chat.Kind() == wire.Direct {
		info.Members = len(c.pair)
		info.Users = [2][]byte{c.pair[0].user, c.pair[1].user}
	}
	return info, true, nil
}

// readChat reads a committed chat row, without its outbox row.
func readChat(v View, id wire.ChatID) (c chat, err error) {
	c.id = id
	key := appendChatKey(nil, tableChat, id)
	row, ok, err := v.Get(key)
	if err != nil || !ok {
		return c, err
	}
	return c, c.decode(key, row)
}

// readMember reads the committed row of one member of c.
func readMember(v View, c *chat, user []byte) (row member, err error) {
	if c.id.Kind() == wire.Direct {
		if self, _ := c.side(user); self != nil {
			return *self, nil
		}
		return row, nil
	}
	key := appendMemberKey(nil, c.id, user)
	b, ok, err := v.Get(key)
	if err != nil || !ok {
		return row, err
	}
	return row, row.decode(key, b)
}

// IsMember reports whether user is a member of chat.
func IsMember(v View, chat wire.ChatID, user []byte) (bool, error) {
	c, err := readChat(v, chat)
	if err != nil || !c.exists || len(user) == 0 {
		return false, err
	}
	row, err := readMember(v, &c, user)
	return row.exists, err
}

// Members appends user ids of chat to list (peer.AppendBytes elements), those
// behind user after in the table's order (empty: from the start), at most
// limit. The next page starts after the last one returned. A conversation that
// does not exist has no members.
func Members(v View, chat wire.ChatID, after []byte, limit int, list []byte) (out []byte, more bool, err error) {
	c, err := readChat(v, chat)
	if err != nil || !c.exists {
		return list, false, err
	}
	n := 0
	err = eachMember(v, &c, after, func(user []byte, _ *member) bool {
		if n++; n > limit {
			more = true
			return false
		}
		list = peer.AppendBytes(list, user)
		return true
	})
	return list, more, err
}

// eachMember calls fn with the members of c behind user after, in order. The
// arguments are valid until fn returns.
func eachMember(v View, c *chat, behind []byte, fn func(user []byte, row *member) bool) error {
	if c.id.Kind() == wire.Direct {
		for i := range c.pair {
			if p := &c.pair[i]; bytes.Compare(p.user, behind) > 0 && !fn(p.user, p) {
				return nil
			}
		}
		return nil
	}
	prefix := appendChatKey(nil, tableMember, c.id)
	lower := append(appendMemberKey(nil, c.id, behind), 0)
	var bad error
	err := v.Scan(lower, after(bytes.Clone(prefix)), false, func(key, value []byte) bool {
		var row member
		if bad = row.decode(key, value); bad != nil {
			return false
		}
		return fn(key[len(prefix):], &row)
	})
	if err == nil {
		err = bad
	}
	return err
}

// Owed is a conversation whose newest entries have not reached every member's
// shard.
type Owed struct {
	Chat   wire.ChatID
	Fanned wire.Seq    // every member's shard has it up to here
	Last   wire.Seq    // newest entry
	At     wire.Millis // of the newest entry
	From   []byte      // sender of the newest entry
	Peer   []byte      // the other user of a direct chat
}

// outboxPage is how many outbox rows are read before fn hears of them.
const outboxPage = 256

// OutboxScan calls fn with every conversation that owes bumps, in order of
// chat id, until fn returns false. The slices of Owed are valid until fn
// returns. fn may call v.
func OutboxScan(v View, fn func(o *Owed) (more bool)) error {
	lower, upper := []byte{tableOutbox}, []byte{tableOutbox + 1}
	for {
		var (
			page []Owed
			bad  error
		)
		err := v.Scan(lower, upper, false, func(key, value []byte) bool {
			r := reader{b: value}
			o := Owed{Fanned: wire.Seq(r.uint())}
			r.bad = r.bad || copy(o.Chat[:], key[1:]) != len(o.Chat)
			bad = r.done(key)
			page = append(page, o)
			return bad == nil && len(page) < outboxPage
		})
		if err == nil {
			err = bad
		}
		for i := range page {
			if err != nil {
				return err
			}
			var more bool
			if more, err = owed(v, &page[i], fn); !more {
				return err
			}
		}
		if err != nil || len(page) < outboxPage {
			return err
		}
		lower = append(appendChatKey(lower[:0], tableOutbox, page[len(page)-1].Chat), 0)
	}
}

// owed completes o with the newest entry and hands it on. more is false when
// fn or an error ends the scan.
func owed(v View, o *Owed, fn func(o *Owed) bool) (more bool, err error) {
	c, err := readChat(v, o.Chat)
	if err != nil {
		return false, err
	}
	if c.last <= o.Fanned {
		return true, nil // done while the page was read
	}
	key := appendLogKey(nil, c.id, c.last)
	row, ok, err := v.Get(key)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, missing(&c, c.last)
	}
	var e logEntry
	if _, err := e.decode(key, row, &c, c.last, nil); err != nil {
		return false, err
	}
	o.Last, o.At, o.From = c.last, c.at, e.sender
	if _, other := c.side(e.sender); other != nil && c.id.Kind() == wire.Direct {
		o.Peer = other.user
	}
	return fn(o), nil
}

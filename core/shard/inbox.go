package shard

import (
	"bytes"
	"slices"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// user returns the devices and the counter of a user, who need not be known.
func (m *Machine) user(id []byte) (*node[user], error) {
	m.key = appendUserKey(m.key[:0], id)
	if n := m.users.find(m.key); n != nil {
		return n, nil
	}
	u, err := loadUser(m.v, id, &m.key)
	if err != nil {
		return nil, err
	}
	m.key = appendUserKey(m.key[:0], id)
	n := m.users.add(m.key)
	n.row = u
	return n, nil
}

// loadUser reads a user from committed rows; key is scratch.
func loadUser(v View, id []byte, key *[]byte) (u user, err error) {
	*key = appendUserKey((*key)[:0], id)
	row, ok, err := v.Get(*key)
	if err == nil && ok {
		err = u.decode(*key, row)
	}
	if err != nil {
		return u, err
	}
	u.head, err = UserHead(v, id)
	return u, err
}

// inbox returns the row of one of a user's conversations, existing or not.
func (m *Machine) inbox(id []byte, chat wire.ChatID) (*node[inbox], error) {
	m.key = appendInboxKey(m.key[:0], id, chat)
	if n := m.inboxes.find(m.key); n != nil {
		return n, nil
	}
	var x inbox
	row, ok, err := m.v.Get(m.key)
	if err == nil && ok {
		err = x.decode(m.key, row)
	}
	if err != nil {
		return nil, err
	}
	x.peer = bytes.Clone(x.peer)
	n := m.inboxes.add(m.key)
	n.row = x
	return n, nil
}

// entryOf returns both rows.
func (m *Machine) entryOf(id []byte, chat wire.ChatID) (u *node[user], x *node[inbox], err error) {
	if u, err = m.user(id); err != nil {
		return nil, nil, err
	}
	x, err = m.inbox(id, chat)
	return u, x, err
}

// stamp says that a row changed, at the next point of the user's counter.
func (m *Machine) stamp(u *node[user], x *node[inbox]) wire.Cursor {
	u.row.head++
	m.users.pin(u) // the index has the head only once it is committed
	x.row.stamp = u.row.head
	m.inboxes.change(x)
	return x.row.stamp
}

// bump carries out OpBump for each user in List.
func (m *Machine) bump(it *peer.Item, res *Result) error {
	if it.Seq == 0 || len(it.User) == 0 || !eachID(it.List, func([]byte) {}) {
		res.Code = wire.CodeBadRequest
		return nil
	}
	for list := it.List; len(list) > 0; {
		id, rest, _ := peer.NextBytes(list)
		u, x, err := m.entryOf(id, it.Chat)
		if err != nil {
			return err
		}
		m.bumpRow(it, id, u, x)
		list = rest
	}
	return nil
}

// bumpRow merges a bump into one row. A sender has read what they sent; the
// device they sent it from has received it, provided that it had everything
// before: cursors say "up to and including".
func (m *Machine) bumpRow(it *peer.Item, id []byte, u *node[user], x *node[inbox]) {
	row := &x.row
	own := bytes.Equal(id, it.User)
	var origin *device
	if own && row.continues(&u.row, it.Device)+1 == it.Seq {
		origin = u.row.device(it.Device)
	}
	stamped := it.Seq > row.last || own && it.Seq > row.read
	if !stamped && origin == nil {
		return
	}
	row.complete(&u.row)
	m.inboxes.change(x)
	if !row.exists {
		row.exists = true
		row.peer = peerOf(it, own)
	}
	if raise(&row.last, it.Seq) != 0 {
		row.at = max(row.at, it.At)
	}
	if own {
		raise(&row.read, it.Seq)
	}
	if origin != nil {
		row.mark(origin.number).delivered = it.Seq
		raise(&row.delivered, it.Seq)
	}
	if stamped {
		m.effect(Effect{Kind: Bumped, Chat: it.Chat, User: id, Seq: row.last, Stamp: m.stamp(u, x)})
	}
}

// peerOf returns the other user of a direct chat, nil in a group.
func peerOf(it *peer.Item, own bool) []byte {
	switch {
	case len(it.Peer) == 0:
		return nil
	case own:
		return bytes.Clone(it.Peer)
	}
	return bytes.Clone(it.User)
}

// touch carries out OpTouch for each user in List who has the conversation.
// Others learn of it with its first bump.
func (m *Machine) touch(it *peer.Item, res *Result) error {
	if !eachID(it.List, func([]byte) {}) {
		res.Code = wire.CodeBadRequest
		return nil
	}
	for list := it.List; len(list) > 0; {
		id, rest, _ := peer.NextBytes(list)
		list = rest
		u, x, err := m.entryOf(id, it.Chat)
		if err != nil {
			return err
		}
		if !x.row.exists {
			continue
		}
		x.row.complete(&u.row)
		m.effect(Effect{Kind: Touched, Chat: it.Chat, User: id, Seq: x.row.last, Stamp: m.stamp(u, x)})
	}
	return nil
}

// mark carries out OpMark. A device that reads has received; one that was never
// seen is recorded.
func (m *Machine) mark(it *peer.Item, res *Result) error {
	if len(it.User) == 0 {
		res.Code = wire.CodeBadRequest
		return nil
	}
	x, err := m.inbox(it.User, it.Chat)
	if err != nil {
		return err
	}
	if !x.row.exists {
		res.Code = wire.CodeUnknownChat
		return nil
	}
	u, err := m.user(it.User)
	if err != nil {
		return err
	}
	if len(it.Device) > 0 && u.row.device(it.Device) == nil {
		m.register(u, it.Device)
	}
	m.effect(m.raiseMarks(it, u, x))
	res.Stamp = u.row.head
	return nil
}

// raiseMarks raises the cursors of an inbox row and says where they are.
func (m *Machine) raiseMarks(it *peer.Item, u *node[user], x *node[inbox]) Effect {
	row := &x.row
	read := min(it.Read, row.last)
	delivered := max(min(it.Delivered, row.last), read)
	has := row.continues(&u.row, it.Device)
	eff := Effect{Kind: Marked, Chat: it.Chat, User: it.User, Device: it.Device, Delivered: max(has, delivered)}
	if delivered <= has && delivered <= row.delivered && read <= row.read {
		return eff
	}
	row.complete(&u.row)
	m.inboxes.change(x)
	if d := u.row.device(it.Device); d != nil {
		raise(&row.mark(d.number).delivered, delivered)
	}
	raise(&row.delivered, delivered)
	if eff.Read = raise(&row.read, read); eff.Read != 0 {
		eff.Stamp = m.stamp(u, x)
	}
	return eff
}

// device carries out OpDevice.
func (m *Machine) device(it *peer.Item, res *Result) error {
	if len(it.User) == 0 || len(it.Device) == 0 {
		res.Code = wire.CodeBadRequest
		return nil
	}
	u, err := m.user(it.User)
	if err != nil {
		return err
	}
	d := u.row.device(it.Device)
	if d == nil {
		d = m.register(u, it.Device)
		res.Flags = peer.FlagNew
	}
	if cursor := min(it.Stamp, u.row.head); cursor > d.cursor {
		d.cursor = cursor
		m.users.change(u)
	}
	res.Stamp, res.After = u.row.head, d.cursor
	return nil
}

// register adds a device to a user; when there are too many, the one whose
// cursor is furthest behind makes room.
func (m *Machine) register(u *node[user], id []byte) *device {
	row := &u.row
	if len(row.devices) >= MaxDevices {
		oldest := 0
		for i := range row.devices {
			if row.devices[i].cursor < row.devices[oldest].cursor {
				oldest = i
			}
		}
		row.devices = slices.Delete(row.devices, oldest, oldest+1)
	}
	row.next++
	row.devices = append(row.devices, device{id: bytes.Clone(id), number: row.next, created: m.now})
	m.users.change(u)
	return &row.devices[len(row.devices)-1]
}

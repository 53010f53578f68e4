package shard

import (
	"fmt"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Machine applies the entries of one shard. It belongs to one goroutine.
//
// It keeps rows decoded in caches that are written through: a row that an
// entry changed is encoded once, when all items of the entry are done. What is
// not committed yet stays in memory, so that reads never need to see through
// the Writer.
type Machine struct {
	id wire.ShardID

	chats   cache[chat]
	members cache[member]
	inboxes cache[inbox]
	users   cache[user]
	recent  overlay
	seen    filter
	expiry  expiry

	// Of the Apply that runs.
	v   View
	w   Writer
	now wire.Millis
	out *Outcome
	it  peer.Item

	// Scratch: a key, a value and unpacked ids.
	key, val, ids []byte
}

// New returns the machine of shard id.
func New(id wire.ShardID) *Machine {
	return newSized(id, cachedChats, cachedMembers, cachedInboxes, cachedUsers)
}

func newSized(id wire.ShardID, chats, members, inboxes, users int) *Machine {
	return &Machine{
		id:      id,
		chats:   newCache[chat](chats),
		members: newCache[member](members),
		inboxes: newCache[inbox](inboxes),
		users:   newCache[user](users),
		recent:  newOverlay(),
		seen:    newFilter(),
	}
}

// Apply carries out the items of entry against the rows in v plus what earlier
// Applies since Committed wrote, sends its writes to w and overwrites out.
//
// A bad request is a Result with a code; an item of another shard is
// CodeWrongShard. An error means that the store failed or that the entry
// cannot be read (ErrEntry); the machine is then of no use and the replica has
// to stop.
func (m *Machine) Apply(v View, w Writer, entry []byte, out *Outcome) error {
	out.Results, out.Effects = out.Results[:0], out.Effects[:0]
	now, items, err := readHeader(entry)
	if err != nil {
		return fmt.Errorf("shard %d: %w", m.id, err)
	}
	m.v, m.w, m.now, m.out = v, w, now, out
	if err := m.buildFilter(); err != nil {
		return fmt.Errorf("shard %d: reading dedupe rows: %w", m.id, err)
	}
	for len(items) > 0 && err == nil {
		at := len(entry) - len(items)
		if items, err = m.next(items); err != nil {
			return fmt.Errorf("shard %d: item %d at byte %d: %w", m.id, len(out.Results), at, err)
		}
	}
	m.flush()
	m.v, m.w, m.out, m.it = nil, nil, nil, peer.Item{}
	return nil
}

// next decodes the first item and carries it out.
func (m *Machine) next(items []byte) (rest []byte, err error) {
	const opAt = 4 // behind the length
	if len(items) > opAt && !peer.Op(items[opAt]).IsWrite() {
		return nil, fmt.Errorf("%w: op %d (%s) is no command this binary knows; run the version that wrote it or a later one",
			ErrEntry, items[opAt], peer.Op(items[opAt]))
	}
	_, rest, ok := peer.Next(items, &m.it)
	if !ok {
		return nil, fmt.Errorf("%w: broken item", ErrEntry)
	}
	m.out.Results = append(m.out.Results, Result{Chat: m.it.Chat})
	res := &m.out.Results[len(m.out.Results)-1]
	if m.it.Shard != m.id {
		res.Code = wire.CodeWrongShard
		return rest, nil
	}
	return rest, m.item(&m.it, res)
}

// item carries out one command.
func (m *Machine) item(it *peer.Item, res *Result) error {
	switch it.Op {
	case peer.OpAppend:
		return m.append(it, res)
	case peer.OpReceipt:
		return m.receipt(it, res)
	case peer.OpMark:
		return m.mark(it, res)
	case peer.OpBump:
		return m.bump(it, res)
	case peer.OpTouch:
		return m.touch(it, res)
	case peer.OpCreateGroup:
		return m.createGroup(it, res)
	case peer.OpFanoutDone:
		return m.fanoutDone(it, res)
	case peer.OpDevice:
		return m.device(it, res)
	case peer.OpExpire:
		return m.expire(it, res)
	}
	return fmt.Errorf("%w: op %d has no handler", ErrEntry, it.Op)
}

// Committed tells the machine that the writes of all Applies so far are in the
// View that the next Apply gets. It lets go of what it kept because of them.
func (m *Machine) Committed() {
	m.chats.committed()
	m.members.committed()
	m.inboxes.committed()
	m.users.committed()
	m.recent.committed()
}

// Reset makes the machine forget everything it remembers of the rows, because
// they were replaced (after a snapshot was recovered) or writes were dropped.
func (m *Machine) Reset() {
	m.chats.reset()
	m.members.reset()
	m.inboxes.reset()
	m.users.reset()
	m.recent = newOverlay()
	m.seen = newFilter()
	m.expiry = expiry{}
}

// effect appends an effect of the current item.
func (m *Machine) effect(e Effect) {
	e.Item = len(m.out.Results) - 1
	m.out.Effects = append(m.out.Effects, e)
}

// flush writes the rows that the entry changed.
func (m *Machine) flush() {
	m.chats.flush(m.writeChat)
	m.members.flush(func(n *node[member]) { m.set(n.key, n.row.append(m.val[:0])) })
	m.users.flush(func(n *node[user]) { m.set(n.key, n.row.append(m.val[:0])) })
	m.inboxes.flush(m.writeInbox)
	m.expiry.flush(m)
}

// set writes a row whose value was built in m.val.
func (m *Machine) set(key string, val []byte) {
	m.val = val
	m.key = append(m.key[:0], key...)
	m.w.Set(m.key, val)
}

// writeChat writes the chat row and brings the outbox row in line.
func (m *Machine) writeChat(n *node[chat]) {
	c := &n.row
	if c.changed {
		m.set(n.key, c.append(m.val[:0]))
		c.changed = false
	}
	var owed wire.Seq
	if c.fanned < c.last {
		owed = c.fanned + 1
	}
	if owed == c.owed {
		return
	}
	was := c.owed
	c.owed = owed
	m.key = appendChatKey(m.key[:0], tableOutbox, c.id)
	if owed == 0 {
		m.w.Delete(m.key)
		return
	}
	m.val = appendUint(m.val[:0], c.fanned)
	if was == 0 {
		m.w.Create(m.key, m.val)
		return
	}
	m.w.Set(m.key, m.val)
}

// writeInbox writes the inbox row and moves it in the change index.
func (m *Machine) writeInbox(n *node[inbox]) {
	x := &n.row
	m.set(n.key, x.append(m.val[:0]))
	if x.stamp == x.indexed {
		return
	}
	prefix := n.key[:len(n.key)-len(wire.ChatID{})]
	chat := n.key[len(prefix):]
	m.val = append(append(m.val[:0], tableStamp), prefix[1:]...)
	if x.indexed != 0 {
		m.key = appendStamp(append(m.key[:0], m.val...), x.indexed)
		m.w.Delete(m.key)
	}
	m.key = appendStamp(append(m.key[:0], m.val...), x.stamp)
	m.val = append(m.val[:0], chat...)
	m.w.Create(m.key, m.val) // no stamp is given twice
	x.indexed = x.stamp
}

package shard

import (
	"bytes"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// expiry is the place at which OpExpire goes on: behind conversation chat, or
// in it when it is not done. It is the value of row e.
type expiry struct {
	known   bool // read from the store or set
	changed bool
	chat    wire.ChatID
}

func (x *expiry) load(m *Machine) error {
	if x.known {
		return nil
	}
	row, ok, err := m.v.Get([]byte{tableExpire})
	if err != nil {
		return err
	}
	if ok {
		copy(x.chat[:], row)
	}
	x.known = true
	return nil
}

func (x *expiry) flush(m *Machine) {
	if x.changed {
		x.changed = false
		m.w.Set([]byte{tableExpire}, x.chat[:])
	}
}

// expire carries out OpExpire: it goes from conversation to conversation and
// forgets the dedupe rows of entries that are older than the window, until it
// has looked at Limit rows or has been everywhere.
func (m *Machine) expire(it *peer.Item, res *Result) error {
	if err := m.expiry.load(m); err != nil {
		return err
	}
	before := m.expiry.chat
	at := before
	var err error
	for budget := int(min(max(it.Limit, 1), MaxExpireStep)); ; budget-- {
		if budget <= 0 {
			res.Flags = peer.FlagMore
			break
		}
		var ok bool
		if at, ok, err = m.nextChat(at); err != nil {
			return err
		}
		if !ok {
			at = wire.ChatID{}
			break
		}
		n, err := m.chat(at)
		if err != nil {
			return err
		}
		done, err := m.forget(n, &budget, res)
		if err != nil {
			return err
		}
		n.used = false // a round must not push the busy ones out of the cache
		if !done {
			at = previous(at)
		}
	}
	m.expiry.chat = at
	m.expiry.changed = m.expiry.changed || at != before
	return nil
}

// forget drops the dedupe rows of n that are too old, for as long as there is
// budget; it counts them in res.Seq. done is false when there may be more.
func (m *Machine) forget(n *node[chat], budget *int, res *Result) (done bool, err error) {
	c := &n.row
	window := wire.Millis(wire.DedupeWindow.Milliseconds())
	for ; c.kept <= c.last; *budget-- {
		if *budget <= 0 {
			return false, nil
		}
		var e logEntry
		if err := m.logHead(c, c.kept, &e); err != nil {
			return false, err
		}
		if e.at+window > m.now {
			break
		}
		if len(e.cmid) > 0 {
			id := dedupeIDOf(c.id, e.sender, e.cmid)
			row, err := m.dedupeRow(&id)
			if err != nil {
				return false, err
			}
			m.setDedupe(&id, row.without(c.kept))
			res.Seq++
		}
		c.kept++
		c.changed = true
		m.chats.change(n)
	}
	return true, nil
}

// nextChat returns the least conversation behind id, committed or not.
func (m *Machine) nextChat(id wire.ChatID) (next wire.ChatID, ok bool, err error) {
	for _, n := range m.chats.pinned {
		c := &n.row
		if c.exists && bytes.Compare(c.id[:], id[:]) > 0 && (!ok || bytes.Compare(c.id[:], next[:]) < 0) {
			next, ok = c.id, true
		}
	}
	m.key = append(appendChatKey(m.key[:0], tableChat, id), 0)
	err = m.v.Scan(m.key, []byte{tableChat + 1}, false, func(key, _ []byte) bool {
		if len(key) != 1+len(next) {
			return false
		}
		if stored := wire.ChatID(key[1:]); !ok || bytes.Compare(stored[:], next[:]) < 0 {
			next, ok = stored, true
		}
		return false
	})
	return next, ok, err
}

// previous returns the id right before id, which is not zero.
func previous(id wire.ChatID) wire.ChatID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]--; id[i] != 0xff {
			break
		}
	}
	return id
}

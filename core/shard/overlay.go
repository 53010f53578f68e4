package shard

import (
	"bytes"
	"crypto/sha256"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// overlay is the log heads and dedupe rows written since the last commit. They
// are too many and too seldom read again to be cached; only a retry that
// arrives within the same commit, and OpExpire, look here.
type overlay struct {
	heads  map[logID]span
	bytes  []byte
	dedupe map[dedupeID]seqs
}

type logID struct {
	chat wire.ChatID
	seq  wire.Seq
}

type span struct{ from, to int }

// dedupeID is the key of a dedupe row behind the table's byte.
type dedupeID [len(wire.ChatID{}) + dedupeHash]byte

// seqs is a dedupe row: the entries whose (sender, client_msg_id) have the
// same hash, oldest first. There is nearly always one.
//
//	d: seq, each a uvarint, to the end
type seqs struct {
	first wire.Seq // 0: no row
	more  []wire.Seq
}

func newOverlay() overlay {
	return overlay{heads: make(map[logID]span), dedupe: make(map[dedupeID]seqs)}
}

func (o *overlay) committed() {
	if len(o.heads) > keptOverlayRows || len(o.dedupe) > keptOverlayRows || cap(o.bytes) > keptOverlayBytes {
		*o = newOverlay()
		return
	}
	clear(o.heads)
	clear(o.dedupe)
	o.bytes = o.bytes[:0]
}

// dedupeIDOf hashes sender and client message id. SHA-256 keeps one member of
// a chat from crafting ids that collide with another's and slow it down.
func dedupeIDOf(chat wire.ChatID, sender, cmid []byte) (id dedupeID) {
	var buf [1 + 2*wire.MaxID]byte
	b := append(append(append(buf[:0], byte(len(sender))), sender...), cmid...)
	sum := sha256.Sum256(b)
	copy(id[copy(id[:], chat[:]):], sum[:])
	return id
}

func (id *dedupeID) appendKey(b []byte) []byte { return append(append(b, tableDedupe), id[:]...) }

// dedupeRow reads the seqs kept under id.
func (m *Machine) dedupeRow(id *dedupeID) (s seqs, err error) {
	s, ok := m.recent.dedupe[*id]
	if ok {
		return s, nil
	}
	if m.seen.absent(id) {
		return seqs{}, nil
	}
	m.key = id.appendKey(m.key[:0])
	row, ok, err := m.v.Get(m.key)
	if err != nil || !ok {
		return seqs{}, err
	}
	r := reader{b: row}
	s.first = wire.Seq(r.uint())
	for len(r.b) > 0 {
		s.more = append(s.more, wire.Seq(r.uint()))
	}
	return s, r.done(m.key)
}

// setDedupe writes the seqs kept under id.
func (m *Machine) setDedupe(id *dedupeID, s seqs) {
	m.recent.dedupe[*id] = s
	m.key = id.appendKey(m.key[:0])
	if s.first == 0 {
		m.seen.gone++
		m.w.Delete(m.key)
		return
	}
	m.seen.add(id)
	m.val = appendUint(m.val[:0], s.first)
	for _, q := range s.more {
		m.val = appendUint(m.val, q)
	}
	m.w.Set(m.key, m.val)
}

// with returns s and seq, which is newer than all in s.
func (s seqs) with(seq wire.Seq) seqs {
	if s.first == 0 {
		return seqs{first: seq}
	}
	return seqs{first: s.first, more: append(s.more[:len(s.more):len(s.more)], seq)}
}

// without returns s less seq.
func (s seqs) without(seq wire.Seq) (left seqs) {
	if s.first != 0 && s.first != seq {
		left = left.with(s.first)
	}
	for _, q := range s.more {
		if q != seq {
			left = left.with(q)
		}
	}
	return left
}

// sent looks for the entry that the item appended when it came before. The
// dedupe row narrows it down to entries of an equal hash, their heads decide.
func (m *Machine) sent(c *chat, s seqs, it *peer.Item) (seq wire.Seq, at wire.Millis, err error) {
	for i, q := 0, s.first; q != 0; i++ {
		var e logEntry
		if err := m.logHead(c, q, &e); err != nil {
			return 0, 0, err
		}
		if bytes.Equal(e.sender, it.User) && bytes.Equal(e.cmid, it.ClientMsgID) {
			return q, e.at, nil
		}
		if q = 0; i < len(s.more) {
			q = s.more[i]
		}
	}
	return 0, 0, nil
}

// logHead reads the head of an entry that exists. e is valid until the next
// logHead.
func (m *Machine) logHead(c *chat, seq wire.Seq, e *logEntry) error {
	row := []byte(nil)
	m.key = appendLogKey(m.key[:0], c.id, seq)
	if at, ok := m.recent.heads[logID{c.id, seq}]; ok {
		row = m.recent.bytes[at.from:at.to]
	} else {
		stored, ok, err := m.v.Get(m.key)
		if err != nil {
			return err
		}
		if !ok {
			return missing(c, seq)
		}
		row = stored
	}
	var err error
	m.ids, err = e.decode(m.key, row, c, seq, m.ids[:0])
	return err
}

// writeLog writes the row of an entry.
func (m *Machine) writeLog(c *chat, seq wire.Seq, e *logEntry) {
	from := len(m.recent.bytes)
	m.recent.bytes = e.appendHead(m.recent.bytes, c, seq)
	head := m.recent.bytes[from:]
	m.recent.heads[logID{c.id, seq}] = span{from, from + len(head)}
	m.val = append(append(m.val[:0], head...), e.content...)
	m.key = appendLogKey(m.key[:0], c.id, seq)
	m.w.Set(m.key, m.val)
}

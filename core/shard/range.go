package shard

import (
	"fmt"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// RangeQuery asks for entries of a conversation, as OpRange does.
type RangeQuery struct {
	Chat  wire.ChatID
	User  []byte   // who asks; must be a member
	After wire.Seq // entries with a greater seq
	// Upto bounds the other end, 0 for none: oldest first seq <= Upto, with
	// Desc seq < Upto.
	Upto  wire.Seq
	Limit int // entries; the page also ends once it holds MaxRangeBytes
	Desc  bool
}

// RangePage is the answer to a RangeQuery. Range overwrites it and reuses its
// slices.
type RangePage struct {
	Code wire.Code // CodeUnknownChat, CodeNotMember or OK
	More bool      // there are more entries in that direction
	Last wire.Seq  // newest entry of the conversation
	Name []byte    // of a group
	List []byte    // new_message frames in msgpack, peer.AppendBytes elements
	// Cursors is all members' cursors (peer.AppendCursor elements). It comes
	// with the last page of a range that is read oldest first and with the
	// first of one that starts at the newest entry; it is empty otherwise.
	Cursors []byte
}

// Range reads a page of a conversation's log.
func Range(v View, q *RangeQuery, p *RangePage) error {
	*p = RangePage{List: p.List[:0], Cursors: p.Cursors[:0]}
	c, err := readChat(v, q.Chat)
	if err != nil {
		return err
	}
	if !c.exists {
		p.Code = wire.CodeUnknownChat
		return nil
	}
	self, err := readMember(v, &c, q.User)
	if err != nil {
		return err
	}
	if !self.exists {
		p.Code = wire.CodeNotMember
		return nil
	}
	p.Last, p.Name = c.last, c.name
	if err := p.read(v, q, &c, &self); err != nil {
		return err
	}
	if q.Desc && q.Upto != 0 || !q.Desc && p.More {
		return nil
	}
	return eachMember(v, &c, nil, func(user []byte, row *member) bool {
		p.Cursors = peer.AppendCursor(p.Cursors, &peer.MemberCursor{User: user, Delivered: row.delivered, Read: row.read})
		return true
	})
}

// read fills in the entries. Those that were appended after c was read are
// left for the next page.
func (p *RangePage) read(v View, q *RangeQuery, c *chat, self *member) error {
	from, to := max(q.After+1, self.joined), c.last
	if q.Upto != 0 && !q.Desc {
		to = min(to, q.Upto)
	} else if q.Upto != 0 {
		to = min(to, q.Upto-1)
	}
	if from > to {
		return nil
	}
	if q.Limit <= 0 {
		p.More = true
		return nil
	}
	w := rangeWriter{page: p, chat: c, left: q.Limit}
	lower, upper := appendLogKey(nil, c.id, from), append(appendLogKey(nil, c.id, to), 0)
	if err := v.Scan(lower, upper, q.Desc, w.entry); err != nil {
		return err
	}
	if w.err == nil && w.seen == 0 {
		w.err = missing(c, from)
	}
	if q.Desc {
		p.More = w.seen > from
	} else {
		p.More = w.seen < to
	}
	return w.err
}

// rangeWriter turns log rows into frames.
type rangeWriter struct {
	page *RangePage
	chat *chat
	left int
	seen wire.Seq
	err  error
	// Scratch: a frame and the ids in it.
	buf, ids []byte
}

// entry takes one row of the log; it is the callback of Scan.
func (w *rangeWriter) entry(key, row []byte) (more bool) {
	seq := wire.Seq(lastNumber(key))
	var e logEntry
	if w.ids, w.err = e.decode(key, row, w.chat, seq, w.ids[:0]); w.err != nil {
		return false
	}
	f := wire.Frame{Op: wire.OpNewMessage, Chat: w.chat.id, Seq: seq, User: e.sender, Content: e.content,
		Kind: e.kind, At: e.at, ClientMsgID: e.cmid, ReplyTo: e.replyTo}
	w.buf = wire.AppendMsgpack(w.buf[:0], &f)
	w.page.List = peer.AppendBytes(w.page.List, w.buf)
	w.seen = seq
	w.left--
	return w.left > 0 && len(w.page.List) < MaxRangeBytes
}

// missing says that an entry which has to exist does not.
func missing(c *chat, seq wire.Seq) error {
	return fmt.Errorf("shard: entry %d of conversation %s is missing; restore this replica from another one or from a backup", seq, c.id)
}

package shard

import (
	"bytes"
	"slices"

	"github.com/godwit-im/godwit/wire"
)

// rowVersion is the first byte of the rows that may grow: chat, inbox, user.
const rowVersion = 1

// version takes the first byte of such a row.
func (r *reader) version() {
	if r.byte() != rowVersion {
		r.bad = true
	}
}

// chat is a chat row and its outbox row.
//
//	c: version | last | at | kept | direct: 2 x (user, delivered, read)
//	                              | group:  members | creator | name
//	o: fanned
//
// Numbers are uvarints, users and names have their length in front. The slices
// are never changed once they are set, so effects may hand them out.
type chat struct {
	exists bool
	id     wire.ChatID
	last   wire.Seq // newest entry
	at     wire.Millis
	kept   wire.Seq // entries before it have no dedupe rows any more
	fanned wire.Seq // members' shards have it up to here; <= last
	owed   wire.Seq // value of the outbox row as written + 1, 0 when there is none

	pair [2]member // direct

	members uint64 // group
	creator []byte
	name    []byte

	changed bool // the chat row and not just the outbox row is to be written
}

// member is how far a member has come. In a direct chat it lies in the chat
// row, in a group it is a row of its own:
//
//	m: joined | delivered | read
type member struct {
	exists    bool
	user      []byte   // direct
	joined    wire.Seq // group: sees entries from here
	delivered wire.Seq
	read      wire.Seq
}

func (c *chat) append(b []byte) []byte {
	b = appendUint(append(b, rowVersion), c.last)
	b = appendUint(b, c.at)
	b = appendUint(b, c.kept)
	if c.id.Kind() == wire.Direct {
		for i := range c.pair {
			p := &c.pair[i]
			b = appendUint(appendUint(appendBytes(b, p.user), p.delivered), p.read)
		}
		return b
	}
	b = appendUint(b, c.members)
	return appendBytes(appendBytes(b, c.creator), c.name)
}

// decode reads a chat row; c.id is set. What c keeps of row are copies.
func (c *chat) decode(key, row []byte) error {
	r := reader{b: row}
	r.version()
	c.exists = true
	c.last, c.at, c.kept = wire.Seq(r.uint()), wire.Millis(r.uint()), wire.Seq(r.uint())
	c.fanned = c.last
	if c.id.Kind() == wire.Direct {
		for i := range c.pair {
			c.pair[i] = member{exists: true, user: bytes.Clone(r.bytes()), joined: 1,
				delivered: wire.Seq(r.uint()), read: wire.Seq(r.uint())}
		}
		return r.done(key)
	}
	c.members, c.creator, c.name = r.uint(), bytes.Clone(r.bytes()), bytes.Clone(r.bytes())
	return r.done(key)
}

// side returns the member of a direct chat that is user, and the other one.
func (c *chat) side(user []byte) (self, other *member) {
	switch {
	case bytes.Equal(c.pair[0].user, user):
		return &c.pair[0], &c.pair[1]
	case bytes.Equal(c.pair[1].user, user):
		return &c.pair[1], &c.pair[0]
	}
	return nil, nil
}

func (m *member) append(b []byte) []byte {
	return appendUint(appendUint(appendUint(b, m.joined), m.delivered), m.read)
}

func (m *member) decode(key, row []byte) error {
	r := reader{b: row}
	m.exists = true
	m.joined, m.delivered, m.read = wire.Seq(r.uint()), wire.Seq(r.uint()), wire.Seq(r.uint())
	return r.done(key)
}

// logEntry is a log row:
//
//	flags 1 | at | group: sender, packed | client_msg_id, packed
//	| with logKind: kind | with logReply: seq - reply_to | content to the end
//
// Everything but the content is its head. Slices are views.
type logEntry struct {
	at      wire.Millis
	sender  []byte
	cmid    []byte
	kind    []byte
	replyTo wire.Seq
	content []byte
}

// Flags of a log row.
const (
	logSecond = 1 << iota // direct chat: sent by the second of the pair
	logKind
	logReply
	logFlags = logSecond | logKind | logReply
)

// appendHead appends the row of entry seq of c without its content.
func (e *logEntry) appendHead(b []byte, c *chat, seq wire.Seq) []byte {
	var flags byte
	direct := c.id.Kind() == wire.Direct
	if direct && bytes.Equal(c.pair[1].user, e.sender) {
		flags |= logSecond
	}
	if len(e.kind) > 0 {
		flags |= logKind
	}
	if e.replyTo != 0 {
		flags |= logReply
	}
	b = appendUint(append(b, flags), e.at)
	if !direct {
		b = appendPacked(b, e.sender)
	}
	b = appendPacked(b, e.cmid)
	if flags&logKind != 0 {
		b = appendBytes(b, e.kind)
	}
	if flags&logReply != 0 {
		b = appendUint(b, seq-e.replyTo)
	}
	return b
}

// decode reads the row of entry seq of c, or its head. Packed ids are unpacked
// behind what buf holds; e refers to the buffer that decode returns.
func (e *logEntry) decode(key, row []byte, c *chat, seq wire.Seq, buf []byte) ([]byte, error) {
	r := reader{b: row}
	flags := r.byte()
	r.bad = r.bad || flags&^logFlags != 0
	*e = logEntry{at: wire.Millis(r.uint())}
	from := len(buf)
	if c.id.Kind() != wire.Direct {
		buf = r.packed(buf)
	}
	to := len(buf)
	buf = r.packed(buf)
	e.sender, e.cmid = buf[from:to:to], buf[to:]
	if c.id.Kind() == wire.Direct {
		e.sender = c.pair[flags&logSecond].user
	}
	if flags&logKind != 0 {
		e.kind = r.bytes()
	}
	if flags&logReply != 0 {
		back := wire.Seq(r.uint())
		r.bad = r.bad || back > seq
		e.replyTo = seq - back
	}
	e.content = r.b
	return buf, r.done(key)
}

// inbox is what a user's shard knows of one of the user's conversations:
//
//	i: version | last | at | stamp | last - read | last - delivered | peer
//	   | devices to the end: number, last - delivered
type inbox struct {
	exists    bool
	last      wire.Seq
	read      wire.Seq // <= last, as is delivered
	delivered wire.Seq // by any device
	at        wire.Millis
	stamp     wire.Cursor
	indexed   wire.Cursor // the stamp that is in the change index, 0: none
	peer      []byte
	marks     []mark // by number
}

// mark is what one device has received. A known device without a mark: the row
// has not been written since the device was first seen (see inbox.complete).
type mark struct {
	device    uint64 // number in the user row
	delivered wire.Seq
}

func (x *inbox) append(b []byte) []byte {
	b = appendUint(append(b, rowVersion), x.last)
	b = appendUint(b, x.at)
	b = appendUint(b, x.stamp)
	b = appendUint(b, x.last-x.read)
	b = appendUint(b, x.last-x.delivered)
	b = appendBytes(b, x.peer)
	for _, k := range x.marks {
		b = appendUint(appendUint(b, k.device), x.last-k.delivered)
	}
	return b
}

// decode reads an inbox row; x.peer is a view of row.
func (x *inbox) decode(key, row []byte) error {
	r := reader{b: row}
	r.version()
	x.exists = true
	x.last, x.at, x.stamp = wire.Seq(r.uint()), wire.Millis(r.uint()), wire.Cursor(r.uint())
	x.indexed = x.stamp
	x.read, x.delivered = x.behind(&r), x.behind(&r)
	x.peer = r.bytes()
	x.marks = x.marks[:0]
	for len(r.b) > 0 {
		x.marks = append(x.marks, mark{r.uint(), x.behind(&r)})
	}
	return r.done(key)
}

// behind reads a seq that is stored as its distance to last.
func (x *inbox) behind(r *reader) wire.Seq {
	d := wire.Seq(r.uint())
	if d > x.last {
		r.bad = true
		return 0
	}
	return x.last - d
}

// mark returns the mark of the device of that number, or nil.
func (x *inbox) mark(device uint64) *mark {
	for i := range x.marks {
		if x.marks[i].device == device {
			return &x.marks[i]
		}
	}
	return nil
}

// startOf returns where a device begins that the row has no mark for: at the
// newest page, or at what no device of the user has received, whichever is
// older.
func (x *inbox) startOf() wire.Seq {
	if x.last <= NewDevicePage {
		return 0
	}
	return min(x.last-NewDevicePage, x.delivered)
}

// complete makes the marks those of the user's devices. It is called before
// anything in the row changes: a device that was first seen since the row was
// written gets the start that the row had then, and keeps it.
func (x *inbox) complete(u *user) {
	start := x.startOf()
	if len(x.marks) == len(u.devices) {
		same := true
		for i := range u.devices {
			same = same && u.devices[i].number == x.marks[i].device
		}
		if same {
			return
		}
	}
	old := slices.Clone(x.marks)
	x.marks = x.marks[:0]
	for i := range u.devices {
		k := mark{u.devices[i].number, start}
		for _, o := range old {
			if o.device == k.device {
				k = o
			}
		}
		x.marks = append(x.marks, k)
	}
}

// user is a user row and the head of the change counter.
//
//	u: version | next number | devices to the end: id, number, cursor, created
//
// A number stands for a device in the user's inbox rows; it is never reused.
type user struct {
	next    uint64
	devices []device // by number
	head    wire.Cursor
}

type device struct {
	id      []byte
	number  uint64
	cursor  wire.Cursor
	created wire.Millis
}

func (u *user) append(b []byte) []byte {
	b = appendUint(append(b, rowVersion), u.next)
	for i := range u.devices {
		d := &u.devices[i]
		b = appendUint(appendBytes(b, d.id), d.number)
		b = appendUint(appendUint(b, d.cursor), d.created)
	}
	return b
}

func (u *user) decode(key, row []byte) error {
	r := reader{b: row}
	r.version()
	u.next = r.uint()
	for len(r.b) > 0 {
		u.devices = append(u.devices, device{id: bytes.Clone(r.bytes()), number: r.uint(),
			cursor: wire.Cursor(r.uint()), created: wire.Millis(r.uint())})
	}
	return r.done(key)
}

// device returns the device of that id, or nil.
func (u *user) device(id []byte) *device {
	for i := range u.devices {
		if bytes.Equal(u.devices[i].id, id) {
			return &u.devices[i]
		}
	}
	return nil
}

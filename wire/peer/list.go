package peer

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/wire"
)

// The lists that an Item's List and Cursors carry. Each is its elements one
// after the other; the Next functions take one from the front and return ok =
// false at the end or where the bytes are broken (then rest is not empty).

// AppendBytes appends one length-prefixed element: a user id of an ID list, or
// a client frame of OpRangeReply.
func AppendBytes[T ~string | ~[]byte](list []byte, s T) []byte {
	list = binary.AppendUvarint(list, uint64(len(s)))
	return append(list, s...)
}

// NextBytes takes one length-prefixed element.
func NextBytes(list []byte) (s, rest []byte, ok bool) {
	v, n := binary.Uvarint(list)
	if n <= 0 || v > uint64(len(list)-n) {
		return nil, list, false
	}
	end := n + int(v)
	return list[n:end:end], list[end:], true
}

// AppendSession appends an element of a session list.
func AppendSession(list []byte, id wire.SessionID) []byte {
	return binary.LittleEndian.AppendUint64(list, uint64(id))
}

// NextSession takes one element of a session list.
func NextSession(list []byte) (id wire.SessionID, rest []byte, ok bool) {
	if len(list) < 8 {
		return 0, list, false
	}
	return wire.SessionID(binary.LittleEndian.Uint64(list)), list[8:], true
}

// Row is one conversation of a user, as the user's shard knows it.
type Row struct {
	Chat      wire.ChatID
	Last      wire.Seq    // the newest entry
	Read      wire.Seq    // what the user has read
	Delivered wire.Seq    // what the asking device has received
	Stamp     wire.Cursor // when the row last changed
	At        wire.Millis // time of the newest entry
	Peer      []byte      // the other user of a direct chat
}

// AppendRow appends an element of a row list.
func AppendRow(list []byte, r *Row) []byte {
	list = append(list, r.Chat[:]...)
	for _, v := range [...]uint64{uint64(r.Last), uint64(r.Read), uint64(r.Delivered), uint64(r.Stamp), uint64(r.At)} {
		list = binary.AppendUvarint(list, v)
	}
	return AppendBytes(list, r.Peer)
}

// NextRow takes one element of a row list.
func NextRow(list []byte) (r Row, rest []byte, ok bool) {
	if len(list) < len(r.Chat) {
		return r, list, false
	}
	r.Chat = wire.ChatID(list)
	rest = list[len(r.Chat):]
	var v [5]uint64
	for i := range v {
		x, n := binary.Uvarint(rest)
		if n <= 0 {
			return r, list, false
		}
		v[i], rest = x, rest[n:]
	}
	r.Last, r.Read, r.Delivered = wire.Seq(v[0]), wire.Seq(v[1]), wire.Seq(v[2])
	r.Stamp, r.At = wire.Cursor(v[3]), wire.Millis(v[4])
	if r.Peer, rest, ok = NextBytes(rest); !ok {
		return r, list, false
	}
	return r, rest, true
}

// MemberCursor is how far one member of a conversation has come.
type MemberCursor struct {
	User      []byte
	Delivered wire.Seq
	Read      wire.Seq
}

// AppendCursor appends an element of a cursor list.
func AppendCursor(list []byte, c *MemberCursor) []byte {
	list = AppendBytes(list, c.User)
	list = binary.AppendUvarint(list, uint64(c.Delivered))
	return binary.AppendUvarint(list, uint64(c.Read))
}

// NextCursor takes one element of a cursor list.
func NextCursor(list []byte) (c MemberCursor, rest []byte, ok bool) {
	if c.User, rest, ok = NextBytes(list); !ok {
		return c, list, false
	}
	for _, p := range [...]*wire.Seq{&c.Delivered, &c.Read} {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return c, list, false
		}
		*p, rest = wire.Seq(v), rest[n:]
	}
	return c, rest, true
}

package shard

import "github.com/godwit-im/godwit/wire"

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

// Changes lists the conversations of user that changed after stamp after,
// oldest change first, at most limit. Row.Delivered is where device continues:
// its own delivered cursor, or for a device the row does not know what the
// package's rule for new devices says (see startOf). An empty device means the user as
// a whole.
func Changes(v View, user, device []byte, after wire.Cursor, limit int, list []byte) (Page, error) {
	return Page{}, nil
}

// Chats lists the conversations of user, most recently changed first, those
// that changed before stamp before (0: all), at most limit. Row.Delivered is
// what any device of the user has received.
func Chats(v View, user []byte, before wire.Cursor, limit int, list []byte) (Page, error) {
	return Page{}, nil
}

// UserHead returns the newest stamp of user's change counter.
func UserHead(v View, user []byte) (wire.Cursor, error) { return 0, nil }

// DeviceInfo is what a shard knows about a device.
type DeviceInfo struct {
	Known   bool
	Cursor  wire.Cursor // the last that OpDevice recorded
	Created wire.Millis
	Head    wire.Cursor // of the user's change counter, also when not Known
}

// Device looks up device of user.
func Device(v View, user, device []byte) (DeviceInfo, error) { return DeviceInfo{}, nil }

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
func ChatInfo(v View, chat wire.ChatID) (info Info, ok bool, err error) { return Info{}, false, nil }

// IsMember reports whether user is a member of chat.
func IsMember(v View, chat wire.ChatID, user []byte) (bool, error) { return false, nil }

// Members appends user ids of chat to list (peer.AppendBytes elements), those
// behind user after in the table's order (empty: from the start), at most
// limit. The next page starts after the last one returned.
func Members(v View, chat wire.ChatID, after []byte, limit int, list []byte) (out []byte, more bool, err error) {
	return list, false, nil
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

// OutboxScan calls fn with every conversation that owes bumps, in order of
// chat id, until fn returns false. The slices of Owed are valid until fn
// returns. fn may call v.
func OutboxScan(v View, fn func(o *Owed) (more bool)) error { return nil }

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
	// Cursors is the members' cursors (peer.AppendCursor elements). It comes
	// with the page that reaches the newest entry and is empty otherwise.
	Cursors []byte
}

// MaxRangeBytes is where a page ends although Limit is not reached. With one
// entry of the largest content behind it a page stays below peer.MaxItem.
const MaxRangeBytes = 1 << 20

// Range reads a page of a conversation's log.
func Range(v View, q *RangeQuery, p *RangePage) error { return nil }

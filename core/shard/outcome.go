package shard

import "github.com/godwit-im/godwit/wire"

// Outcome is what an entry led to. Apply overwrites it; its slices are reused.
type Outcome struct {
	Results []Result // one per item of the entry, in order
	Effects []Effect // in the order of the items that caused them
}

// Result answers one item. Which fields mean something depends on the op:
//
//	Append       Chat, Seq, At, FlagNew      a retry: the first answer, no FlagNew
//	CreateGroup  Chat, Seq (1), At, FlagNew
//	Receipt      Chat, Seq                   Seq is the newest entry
//	Mark         Chat, Stamp                 Stamp is the head of the user's counter
//	Bump, Touch  Chat                        the effects carry the stamps
//	Device       Stamp, After, FlagNew       head of the counter, the device's cursor
//	Expire       Seq, FlagMore               rows forgotten; the round is not over
type Result struct {
	Code  wire.Code // wire.OK, or why nothing was done
	Flags uint8     // peer.FlagNew, peer.FlagMore
	Chat  wire.ChatID
	Seq   wire.Seq
	At    wire.Millis
	Stamp wire.Cursor
	After wire.Cursor
}

// EffectKind says what happened.
type EffectKind uint8

// The kinds of effect, with the fields of Effect they set beside Kind, Item
// and Chat.
const (
	// Appended: Chat has a new entry. Seq, At, User (the sender), Device and
	// Session (where it was sent from), Peer (the other user of a direct
	// chat), ClientMsgID, ContentKind, ReplyTo, Content. The leader owes every
	// member a bump.
	Appended EffectKind = 1 + iota
	// CursorMoved: at the conversation's shard, User's cursors rose. Delivered
	// and Read are the new values, zero for one that did not rise; Peer is the
	// other user of a direct chat. The leader owes the other members a touch.
	CursorMoved
	// Marked: at the user's shard, Device of User has Chat up to Delivered.
	// Read is the user's read cursor when it rose, zero otherwise; then Stamp
	// is the new stamp and the user's other devices want to know.
	Marked
	// Bumped: User's inbox row of Chat rose to Seq; Stamp is its new stamp.
	Bumped
	// Touched: something else about Chat changed for User; Stamp is the row's
	// new stamp and Seq the newest entry it knows.
	Touched
)

// Effect is something that happened and that a leader has to act on. Followers
// drop effects. Slices are views of the entry or of memory that never changes:
// valid until the entry's buffer is reused.
type Effect struct {
	Kind EffectKind
	Item int // index of the item in the entry, and of its Result
	Chat wire.ChatID

	Seq       wire.Seq
	ReplyTo   wire.Seq
	Delivered wire.Seq
	Read      wire.Seq
	At        wire.Millis
	Stamp     wire.Cursor
	Session   wire.SessionID

	User        []byte
	Device      []byte
	Peer        []byte
	ClientMsgID []byte
	ContentKind []byte
	Content     []byte
}

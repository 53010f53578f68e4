package wire

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// UserID names an account. It is the `sub` of the token: 1 to MaxID bytes of
// UTF-8 without control characters. godwit never looks inside it.
type UserID string

// DeviceID names one device of a user; same form as UserID.
type DeviceID string

// ClientMsgID is the sender's own name for a message, 1 to MaxID bytes. Within
// one conversation (sender, ClientMsgID) names one message for DedupeWindow.
type ClientMsgID string

// Seq numbers the entries of one conversation from 1, without gaps. It is the
// `message_id` of the protocol. Zero means "none".
type Seq uint64

// Cursor is a point in a user's change counter: "everything up to here has
// reached this device". Zero means "nothing has".
type Cursor uint64

// Millis is a time in milliseconds since 1970-01-01 UTC, as stamped by the
// leader of a conversation's shard.
type Millis uint64

// Slot is a point of the fixed hash space that users and conversations fall
// into. The shard map gives each slot a shard.
type Slot uint16

// Slots is the size of the hash space, fixed for ever: it is in every data
// directory and every shard map.
const Slots = 1 << 14

// ShardID names one Raft group, from 1.
type ShardID uint32

// NodeID names one process of the fleet, edge or core, from 1. Zero means
// "unknown".
type NodeID uint32

// SessionID names one live connection within one edge process. It is never
// reused by that process.
type SessionID uint64

// ChatKind is the first byte of a ChatID.
type ChatKind byte

// The kinds of conversation. Append-only.
const (
	Direct ChatKind = 'd'
	Group  ChatKind = 'g'
)

// ChatID names a conversation: its kind and 15 bytes that are the hash of the
// two members for a direct chat, random otherwise. Zero means "none". Its text
// form is the kind followed by 24 lower-case base32 characters.
type ChatID [16]byte

// chatText is RFC 4648 base32 in lower case; 15 bytes fill 24 characters.
var chatText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ChatTextLen is the length of a ChatID's text form.
const ChatTextLen = 1 + 24

// ErrChatID says that a text is not the text form of a ChatID.
var ErrChatID = errors.New("wire: not a chat id: want d or g and 24 characters of a-z, 2-7")

// DirectChat returns the id of the one direct conversation of a and b, the
// same in either order. SHA-256 keeps a user who picks their own name from
// steering into another pair's id.
func DirectChat(a, b UserID) ChatID {
	if b < a {
		a, b = b, a
	}
	buf := make([]byte, 0, 2*MaxID+2)
	buf = append(buf, byte(len(a)))
	buf = append(buf, a...)
	buf = append(buf, b...)
	return NewChatID(Direct, sha256.Sum256(buf))
}

// NewChatID returns the id of kind k made of the first 15 bytes of seed, which
// the caller takes from a hash or a random source.
func NewChatID(k ChatKind, seed [32]byte) ChatID {
	var id ChatID
	id[0] = byte(k)
	copy(id[1:], seed[:])
	return id
}

// ParseChatID reads the text form.
func ParseChatID(s []byte) (ChatID, error) {
	var id ChatID
	if len(s) != ChatTextLen || !ChatKind(s[0]).known() {
		return id, ErrChatID
	}
	var bits uint64
	for i, c := range s[1:] {
		v := base32Value(c)
		if v > 31 {
			return ChatID{}, ErrChatID
		}
		bits = bits<<5 | uint64(v)
		if i%8 == 7 { // eight characters are five bytes
			for j := range 5 {
				id[1+i/8*5+j] = byte(bits >> (32 - 8*j))
			}
		}
	}
	id[0] = s[0]
	return id, nil
}

// base32Value returns the value of a character, more than 31 when it has none.
// encoding/base32 is not used to read, because it skips line ends: an id must
// have one spelling.
func base32Value(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return c - 'a'
	case c >= '2' && c <= '7':
		return c - '2' + 26
	}
	return 0xff
}

// AppendText appends the text form to b.
func (id ChatID) AppendText(b []byte) []byte {
	return chatText.AppendEncode(append(b, id[0]), id[1:])
}

// String returns the text form.
func (id ChatID) String() string { return string(id.AppendText(nil)) }

// Kind returns the kind of conversation.
func (id ChatID) Kind() ChatKind { return ChatKind(id[0]) }

// IsZero reports whether id names nothing.
func (id ChatID) IsZero() bool { return id == ChatID{} }

// Slot returns the slot that owns the conversation.
func (id ChatID) Slot() Slot { return slotOf(xxh3.Hash(id[:])) }

func (k ChatKind) known() bool { return k == Direct || k == Group }

// Slot returns the slot that owns the user.
func (u UserID) Slot() Slot { return slotOf(xxh3.HashString(string(u))) }

// slotOf takes the top 14 bits of a 64-bit hash.
func slotOf(h uint64) Slot { return Slot(h >> (64 - 14)) }

// ValidID reports whether s may be a UserID, DeviceID or ClientMsgID.
func ValidID[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > MaxID {
		return false
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	return ascii || validRunes(s)
}

// validRunes checks a copy, because a conversion to string would allocate.
func validRunes[T ~string | ~[]byte](s T) bool {
	var buf [MaxID]byte
	b := buf[:copy(buf[:], s)]
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

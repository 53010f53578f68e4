// Package workload says who sends what to whom and when. It is pure: a
// Workload is a value, the same for the same parameters, so that the load
// generator, the chaos runs and the simulator drive servers with the same
// messages and the same checker (loadgen/check) can judge them.
package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Plan is a number of conversations whose members write in turn: message k is
// sent by member k modulo their number. The first conversations are pairs of
// users, the rest are groups. A user is in one conversation only. A Plan is
// immutable.
type Plan struct {
	// Run tells the messages of one run from those of another on the same
	// server; it becomes part of user and client message ids.
	Run string
	// Pairs is how many direct conversations there are, Groups how many groups
	// of GroupSize members, 2 to MaxGroupSize.
	Pairs, Groups, GroupSize int
	// Rate is how many messages a second all conversations send together; 0
	// means closed loop: a conversation sends the next message when the last
	// one arrived.
	Rate float64
	// OneWay lets only the first member of each conversation send.
	OneWay bool
	// Size is the length of a message's content in bytes, at least MinSize.
	Size int
}

// MaxGroupSize bounds the members of a group: who has seen a message is one
// bit each.
const MaxGroupSize = 64

// MinSize is the shortest content: it carries the message's name and due time.
const MinSize = 24

// ID names one message of a Plan.
type ID struct {
	Chat uint32 // index of the conversation
	K    uint32
}

// Chats is how many conversations there are.
func (w *Plan) Chats() int { return w.Pairs + w.Groups }

// Users is how many members all conversations have together.
func (w *Plan) Users() int { return 2*w.Pairs + w.Groups*w.GroupSize }

// IsGroup reports whether a conversation is a group.
func (w *Plan) IsGroup(chat uint32) bool { return int(chat) >= w.Pairs }

// Name is how a report names a conversation: "pair 0", "group 0".
func (w *Plan) Name(chat uint32) string {
	if w.IsGroup(chat) {
		return fmt.Sprintf("group %d", int(chat)-w.Pairs)
	}
	return fmt.Sprintf("pair %d", chat)
}

// Members is how many members a conversation has.
func (w *Plan) Members(chat uint32) int {
	if w.IsGroup(chat) {
		return w.GroupSize
	}
	return 2
}

// Side returns which of the conversation's members sends message id.
func (w *Plan) Side(id ID) int {
	if w.OneWay {
		return 0
	}
	return int(id.K) % w.Members(id.Chat)
}

// User returns one member of a conversation.
func (w *Plan) User(chat uint32, side int) wire.UserID {
	name := w.Run + "-" + strconv.FormatUint(uint64(chat), 10)
	if w.IsGroup(chat) {
		return wire.UserID(name + "m" + strconv.Itoa(side))
	}
	return wire.UserID(name + "ab"[side:side+1])
}

// SideOf returns which member of a conversation a user is; ok is false for
// somebody else.
func (w *Plan) SideOf(chat uint32, user []byte) (side int, ok bool) {
	for side = range w.Members(chat) {
		if string(w.User(chat, side)) == string(user) {
			return side, true
		}
	}
	return 0, false
}

// Due returns when message id is to be sent, from the start of the run.
// Conversations are spread evenly over the interval between two messages of
// one of them.
func (w *Plan) Due(id ID) time.Duration {
	n := float64(id.K)*float64(w.Chats()) + float64(id.Chat)
	return time.Duration(n / w.Rate * float64(time.Second))
}

// ClientMsgID returns the sender's name for the message.
func (w *Plan) ClientMsgID(id ID) wire.ClientMsgID {
	return wire.ClientMsgID(fmt.Sprintf("%s-%d-%d", w.Run, id.Chat, id.K))
}

// ParseClientMsgID reads what ClientMsgID wrote; ok is false for the message
// of another run or of nobody.
func (w *Plan) ParseClientMsgID(s []byte) (id ID, ok bool) {
	rest, ok := strings.CutPrefix(string(s), w.Run+"-")
	if !ok {
		return id, false
	}
	chat, k, ok := strings.Cut(rest, "-")
	if !ok {
		return id, false
	}
	c, err1 := strconv.ParseUint(chat, 10, 32)
	n, err2 := strconv.ParseUint(k, 10, 32)
	return ID{Chat: uint32(c), K: uint32(n)}, errors.Join(err1, err2) == nil
}

// AppendContent appends the message's content: its name, the due time in
// nanoseconds on the run's clock, and a filler that depends on both, so that a
// message swapped for another is noticed.
func (w *Plan) AppendContent(b []byte, id ID, due time.Duration) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, id.Chat)
	b = binary.BigEndian.AppendUint32(b, id.K)
	b = binary.BigEndian.AppendUint64(b, uint64(due))
	for x := fill(id); len(b)-start < w.Size; x = x*6364136223846793005 + 1 {
		b = append(b, byte(x>>56))
	}
	return b
}

// ErrContent says that a content is not what AppendContent wrote.
var ErrContent = errors.New("workload: content differs from what was sent")

// ParseContent returns the name and due time inside a content.
func (w *Plan) ParseContent(c []byte) (ID, time.Duration, error) {
	if len(c) != w.Size {
		return ID{}, 0, ErrContent
	}
	id := ID{Chat: binary.BigEndian.Uint32(c), K: binary.BigEndian.Uint32(c[4:])}
	due := time.Duration(binary.BigEndian.Uint64(c[8:]))
	x := fill(id)
	for _, have := range c[16:] {
		if have != byte(x>>56) {
			return id, due, ErrContent
		}
		x = x*6364136223846793005 + 1
	}
	return id, due, nil
}

func fill(id ID) uint64 { return (uint64(id.Chat)<<32 | uint64(id.K)) * 0x9e3779b97f4a7c15 }

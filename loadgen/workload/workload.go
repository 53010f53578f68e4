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

// Direct is a number of pairs of users who write to each other in turn:
// message k of a pair is sent by its side k%2, or always by side 0 when OneWay
// is set. It is immutable.
type Direct struct {
	// Run tells the messages of one run from those of another on the same
	// server; it becomes part of user and client message ids.
	Run string
	// Pairs is how many pairs there are, at least 1.
	Pairs int
	// Rate is how many messages a second all pairs send together; 0 means
	// closed loop: a pair sends the next message when the last one arrived.
	Rate   float64
	OneWay bool
	// Size is the length of a message's content in bytes, at least MinSize.
	Size int
}

// MinSize is the shortest content: it carries the message's name and due time.
const MinSize = 24

// ID names one message of a Direct workload.
type ID struct {
	Pair uint32
	K    uint32
}

// String returns pair and number for a report.
func (id ID) String() string { return fmt.Sprintf("pair %d message %d", id.Pair, id.K) }

// Side returns which of the pair's two users sends message id.
func (w *Direct) Side(id ID) int {
	if w.OneWay {
		return 0
	}
	return int(id.K % 2)
}

// User returns the user on one side of a pair.
func (w *Direct) User(pair uint32, side int) wire.UserID {
	return wire.UserID(w.Run + "-" + strconv.FormatUint(uint64(pair), 10) + "ab"[side:side+1])
}

// Due returns when message id is to be sent, from the start of the run. Pairs
// are spread evenly over the interval between two messages of one pair.
func (w *Direct) Due(id ID) time.Duration {
	n := float64(id.K)*float64(w.Pairs) + float64(id.Pair)
	return time.Duration(n / w.Rate * float64(time.Second))
}

// ClientMsgID returns the sender's name for the message.
func (w *Direct) ClientMsgID(id ID) wire.ClientMsgID {
	return wire.ClientMsgID(fmt.Sprintf("%s-%d-%d", w.Run, id.Pair, id.K))
}

// ParseClientMsgID reads what ClientMsgID wrote; ok is false for the message
// of another run or of nobody.
func (w *Direct) ParseClientMsgID(s []byte) (id ID, ok bool) {
	rest, ok := strings.CutPrefix(string(s), w.Run+"-")
	if !ok {
		return id, false
	}
	pair, k, ok := strings.Cut(rest, "-")
	if !ok {
		return id, false
	}
	p, err1 := strconv.ParseUint(pair, 10, 32)
	n, err2 := strconv.ParseUint(k, 10, 32)
	return ID{Pair: uint32(p), K: uint32(n)}, errors.Join(err1, err2) == nil
}

// AppendContent appends the message's content: its name, the due time in
// nanoseconds on the run's clock, and a filler that depends on both, so that a
// message swapped for another is noticed.
func (w *Direct) AppendContent(b []byte, id ID, due time.Duration) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, id.Pair)
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
func (w *Direct) ParseContent(c []byte) (ID, time.Duration, error) {
	if len(c) != w.Size {
		return ID{}, 0, ErrContent
	}
	id := ID{Pair: binary.BigEndian.Uint32(c), K: binary.BigEndian.Uint32(c[4:])}
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

func fill(id ID) uint64 { return (uint64(id.Pair)<<32 | uint64(id.K)) * 0x9e3779b97f4a7c15 }

package session

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/wire"
)

// forward keeps the cursors that were last told to the sessions of a loop, so
// that a status_update never tells an older one behind a newer: a sync may read
// a cursor, and a core that takes over may tell it again, while newer pushes
// are on their way. It is a memory of moments, not of sessions: such crossings
// take as long as a resend, and newer entries replace older ones.
//
// A cursor is known by 64 bits of a hash over session, conversation, member and
// status. Sessions' ids start at random, so nobody can choose one that meets
// another's; by chance one cursor in 2^50 is kept back that was news.
type forward struct {
	sets []forwardSet // nil until the first
	buf  []byte
}

// forwardSets times forwardWays is how many cursors a loop remembers: 256 KiB,
// and at 5,000 status updates a second the last three seconds.
const (
	forwardSets = 1 << 12
	forwardWays = 4
)

type forwardSet struct {
	tags [forwardWays]uint64 // 0: free
	seqs [forwardWays]wire.Seq
}

// key names a cursor.
func (f *forward) key(id wire.SessionID, chat wire.ChatID, user []byte, status wire.Status) uint64 {
	b := binary.LittleEndian.AppendUint64(f.buf[:0], uint64(id))
	b = append(append(append(b, chat[:]...), byte(status)), user...)
	f.buf = b
	return max(xxh3.Hash(b), 1)
}

// news reports whether seq is beyond what was told of the cursor.
func (f *forward) news(key uint64, seq wire.Seq) bool {
	if f.sets == nil {
		return true
	}
	s := &f.sets[key%forwardSets]
	for i, tag := range s.tags {
		if tag == key {
			return seq > s.seqs[i]
		}
	}
	return true
}

// told notes that seq was told. The newest of a set come first.
func (f *forward) told(key uint64, seq wire.Seq) {
	if f.sets == nil {
		f.sets = make([]forwardSet, forwardSets)
	}
	s := &f.sets[key%forwardSets]
	i := 0
	for i < forwardWays-1 && s.tags[i] != key {
		i++
	}
	copy(s.tags[1:i+1], s.tags[:i])
	copy(s.seqs[1:i+1], s.seqs[:i])
	s.tags[0], s.seqs[0] = key, seq
}

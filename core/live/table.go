// Package live is what the leader of a user's shard knows about the user's
// live sessions: which there are, what was pushed to them last, and which of
// them have not acknowledged it.
//
// What it promises: everything in it is a hint that the edges can rebuild, and
// every part is bounded. A push that would leave a hole is never called in
// order. The tables hold no pointers, so that a million sessions cost the
// collector nothing: users are known by 128 bits of a hash that is keyed per
// process, so that nobody can choose an id that meets another's.
//
// A Table belongs to whoever holds its replica's lock. It has no clock; ticks
// come from the caller. It never sends anything.
package live

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/godwit-im/godwit/wire"
)

// MaxSessions is how many live sessions a user may have: a dozen devices, each
// with a few sockets that the edge has not yet found to be dead.
const MaxSessions = 64

// none ends a list of sessions.
const none = -1

// key is a keyed hash of a user id.
type key [16]byte

// Session is one live session. It is 48 bytes and holds no pointers.
type Session struct {
	ID     wire.SessionID
	device uint64 // keyed hash of the device
	user   key
	Edge   wire.NodeID
	next   int32  // next session in the bucket of the index, or next free place
	gen    uint32 // rises when the place is given to another session; odd: in use
}

// Table is the sessions of the users of one shard.
type Table struct {
	seeds    [2]maphash.Seed
	sessions places
	index    index
	live     int
	guard    map[guardKey]wire.Seq
	owed     map[owedKey]owed

	// Untracked counts pushes that the unacknowledged guard had no room for.
	Untracked uint64
}

// New returns an empty Table.
func New() *Table {
	t := &Table{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	t.Clear()
	return t
}

// Clear forgets everything, as when the replica stops being the leader.
func (t *Table) Clear() {
	t.sessions, t.index, t.live = places{free: none}, index{}, 0
	t.guard = make(map[guardKey]wire.Seq)
	t.owed = make(map[owedKey]owed)
}

// Len returns how many sessions are live.
func (t *Table) Len() int { return t.live }

func (t *Table) keyOf(user []byte) (k key) {
	binary.LittleEndian.PutUint64(k[:], maphash.Bytes(t.seeds[0], user))
	binary.LittleEndian.PutUint64(k[8:], maphash.Bytes(t.seeds[1], user))
	return k
}

func (t *Table) deviceOf(device []byte) uint64 { return maphash.Bytes(t.seeds[0], device) }

// Open adds a session, or renews one that is there. It returns
// CodeTooManySessions when the user has MaxSessions others.
func (t *Table) Open(edge wire.NodeID, id wire.SessionID, user, device []byte) wire.Code {
	k, n := t.keyOf(user), 0
	for i := t.first(k); i != none; i = t.after(i, k) {
		if s := t.sessions.at(i); s.ID == id && s.Edge == edge {
			s.device = t.deviceOf(device)
			return wire.OK
		}
		n++
	}
	if n >= MaxSessions {
		return wire.CodeTooManySessions
	}
	if t.live >= int(t.index.n) {
		t.index.grow(&t.sessions)
	}
	i, b := t.sessions.take(), t.index.bucket(t.index.of(k))
	s := t.sessions.at(i)
	*s = Session{ID: id, device: t.deviceOf(device), user: k, Edge: edge, next: *b, gen: s.gen + 1}
	*b = i
	t.live++
	return wire.OK
}

// first returns the first session of user k, or none.
func (t *Table) first(k key) int32 {
	if t.live == 0 {
		return none
	}
	return t.sought(*t.index.bucket(t.index.of(k)), k)
}

// after returns the session of user k after that at i, or none.
func (t *Table) after(i int32, k key) int32 { return t.sought(t.sessions.at(i).next, k) }

// sought returns the first session of user k in the chain from i, or none.
func (t *Table) sought(i int32, k key) int32 {
	for i != none {
		s := t.sessions.at(i)
		if s.user == k {
			return i
		}
		i = s.next
	}
	return none
}

// Close removes the session. One that is not there is no error.
func (t *Table) Close(edge wire.NodeID, id wire.SessionID, user []byte) {
	if t.live == 0 {
		return
	}
	k := t.keyOf(user)
	t.remove(t.index.of(k), func(s *Session) bool { return s.user == k && s.ID == id && s.Edge == edge })
}

// CloseEdge removes every session of an edge that is gone. It looks at all
// sessions: edges go rarely.
func (t *Table) CloseEdge(edge wire.NodeID) {
	for b := range t.index.n {
		t.remove(b, func(s *Session) bool { return s.Edge == edge })
	}
}

// remove takes the sessions that match out of bucket b.
func (t *Table) remove(b int32, match func(*Session) bool) {
	for at := t.index.bucket(b); *at != none; {
		i := *at
		s := t.sessions.at(i)
		if !match(s) {
			at = &s.next
			continue
		}
		*at = s.next
		t.sessions.give(i)
		t.live--
	}
}

// Place is where a session lies; valid until the Table changes.
type Place int32

// First returns the first session of user; ok is false when there is none.
//
//	for p, ok := t.First(user); ok; p, ok = t.Next(p) { ... }
func (t *Table) First(user []byte) (p Place, ok bool) {
	i := t.first(t.keyOf(user))
	return Place(i), i != none
}

// Next returns the user's session after p.
func (t *Table) Next(p Place) (next Place, ok bool) {
	i := t.after(int32(p), t.At(p).user)
	return Place(i), i != none
}

// At returns the session at p.
func (t *Table) At(p Place) *Session { return t.sessions.at(int32(p)) }

// IsDevice reports whether the session at p is one of device.
func (t *Table) IsDevice(p Place, device []byte) bool {
	return t.At(p).device == t.deviceOf(device)
}

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
	next   int32  // next session of the user, or next free place
	gen    uint32 // rises when the place is given to another session; odd: in use
}

// Table is the sessions of the users of one shard.
type Table struct {
	seeds    [2]maphash.Seed
	sessions []Session
	free     int32
	live     int
	users    map[key]int32 // first session of the user
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
	t.sessions, t.free, t.live = nil, none, 0
	t.users = make(map[key]int32)
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
	k := t.keyOf(user)
	first, ok := t.users[k]
	if !ok {
		first = none
	}
	n := 0
	for i := first; i != none; i = t.sessions[i].next {
		if s := &t.sessions[i]; s.ID == id && s.Edge == edge {
			s.device = t.deviceOf(device)
			return wire.OK
		}
		n++
	}
	if n >= MaxSessions {
		return wire.CodeTooManySessions
	}
	i := t.place()
	s := &t.sessions[i]
	*s = Session{ID: id, device: t.deviceOf(device), user: k, Edge: edge, next: first, gen: s.gen + 1}
	t.users[k] = i
	t.live++
	return wire.OK
}

// place returns a free place, growing the table when there is none.
func (t *Table) place() int32 {
	if i := t.free; i != none {
		t.free = t.sessions[i].next
		return i
	}
	t.sessions = append(t.sessions, Session{})
	return int32(len(t.sessions) - 1)
}

// Close removes the session. One that is not there is no error.
func (t *Table) Close(edge wire.NodeID, id wire.SessionID, user []byte) {
	t.remove(t.keyOf(user), func(s *Session) bool { return s.ID == id && s.Edge == edge })
}

// CloseEdge removes every session of an edge that is gone. It looks at all
// sessions: edges go rarely.
func (t *Table) CloseEdge(edge wire.NodeID) {
	for i := range t.sessions {
		if s := &t.sessions[i]; s.gen&1 == 1 && s.Edge == edge {
			t.remove(s.user, func(s *Session) bool { return s.Edge == edge })
		}
	}
}

// remove takes the sessions of user k that match out of its list.
func (t *Table) remove(k key, match func(*Session) bool) {
	prev, i := int32(none), int32(none)
	if first, ok := t.users[k]; ok {
		i = first
	}
	for i != none {
		s := &t.sessions[i]
		next := s.next
		if !match(s) {
			prev, i = i, next
			continue
		}
		switch {
		case prev != none:
			t.sessions[prev].next = next
		case next != none:
			t.users[k] = next
		default:
			delete(t.users, k)
		}
		*s = Session{gen: s.gen + 1, next: t.free}
		t.free = i
		t.live--
		i = next
	}
}

// Place is where a session lies; valid until the Table changes.
type Place int32

// First returns the first session of user; ok is false when there is none.
//
//	for p, ok := t.First(user); ok; p, ok = t.Next(p) { ... }
func (t *Table) First(user []byte) (p Place, ok bool) {
	i, ok := t.users[t.keyOf(user)]
	return Place(i), ok
}

// Next returns the user's session after p.
func (t *Table) Next(p Place) (next Place, ok bool) {
	i := t.sessions[p].next
	return Place(i), i != none
}

// At returns the session at p.
func (t *Table) At(p Place) *Session { return &t.sessions[p] }

// IsDevice reports whether the session at p is one of device.
func (t *Table) IsDevice(p Place, device []byte) bool {
	return t.sessions[p].device == t.deviceOf(device)
}

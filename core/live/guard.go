package live

import "github.com/godwit-im/godwit/wire"

const (
	// MaxGuard bounds the pairs of user and conversation whose last push is
	// remembered. Forgetting one is harmless as long as bumps come in order,
	// which the sender sees to: 48 bytes each, 3 MiB a shard when full.
	MaxGuard = 1 << 15

	// MaxOwed bounds the pairs of session and conversation that wait for an
	// acknowledgement: 5 s of 3,000 different ones a second. Beyond that a
	// lost push is found when the session ends.
	MaxOwed = 1 << 14
)

// guardKey is a user's conversation.
type guardKey struct {
	user key
	chat wire.ChatID
}

// Verdict says what to do with a push.
type Verdict uint8

// The verdicts.
const (
	Nobody  Verdict = iota // the user has no live session
	InOrder                // push it
	Repeat                 // it was pushed before: drop it
	Jump                   // entries before it were never pushed: resync the sessions
)

// Judge decides about pushing entry seq of chat to user, and remembers it as
// pushed. A conversation of which nothing is remembered starts at seq.
func (t *Table) Judge(user []byte, chat wire.ChatID, seq wire.Seq) Verdict {
	k := guardKey{t.keyOf(user), chat}
	if t.first(k.user) == none {
		// What a session that comes later has is up to its own sync.
		if len(t.guard) > 0 {
			delete(t.guard, k)
		}
		return Nobody
	}
	last, known := t.guard[k]
	switch {
	case known && seq <= last:
		return Repeat
	case !known && len(t.guard) >= MaxGuard:
		t.shedGuard()
	}
	t.guard[k] = seq
	if known && seq > last+1 {
		return Jump
	}
	return InOrder
}

// shedGuard forgets an eighth of the guard, whichever the map offers first.
func (t *Table) shedGuard() {
	n := MaxGuard / 8
	for k := range t.guard {
		delete(t.guard, k)
		if n--; n == 0 {
			return
		}
	}
}

// owedKey is a conversation of a session.
type owedKey struct {
	place int32
	chat  wire.ChatID
}

// owed is what was pushed and not acknowledged.
type owed struct {
	seq  wire.Seq // newest pushed
	tick uint32   // when the wait began
	gen  uint32   // of the session's place
}

// Pushed remembers that the session at p owes an acknowledgement for entry seq
// of chat since tick. A wait that has begun is not prolonged by another push.
func (t *Table) Pushed(p Place, chat wire.ChatID, seq wire.Seq, tick uint32) {
	k, gen := owedKey{int32(p), chat}, t.At(p).gen
	o, ok := t.owed[k]
	switch {
	case ok && o.gen == gen:
		o.seq = max(o.seq, seq)
	case len(t.owed) >= MaxOwed:
		t.Untracked++
		return
	default:
		o = owed{seq: seq, tick: tick, gen: gen}
	}
	t.owed[k] = o
}

// Acknowledged notes that device of user has chat up to seq. When that is not
// all that was pushed, the wait begins anew: the device is alive.
func (t *Table) Acknowledged(user, device []byte, chat wire.ChatID, seq wire.Seq, tick uint32) {
	if len(t.owed) == 0 {
		return
	}
	d := t.deviceOf(device)
	for p, ok := t.First(user); ok; p, ok = t.Next(p) {
		if t.At(p).device != d {
			continue
		}
		k := owedKey{int32(p), chat}
		o, waits := t.owed[k]
		switch {
		case !waits:
		case o.seq <= seq:
			delete(t.owed, k)
		default:
			o.tick = tick
			t.owed[k] = o
		}
	}
}

// Late calls fn with every session that has owed an acknowledgement since a
// tick before limit, and stops waiting for it. A session may come up once for
// each conversation it owes.
func (t *Table) Late(limit uint32, fn func(*Session)) {
	for k, o := range t.owed {
		s := t.sessions.at(k.place)
		switch {
		case s.gen != o.gen:
			delete(t.owed, k) // the session has ended
		case int32(o.tick-limit) < 0:
			delete(t.owed, k)
			fn(s)
		}
	}
}

package session

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
)

// Whatever is told, nobody is told an older cursor behind a newer one, as long
// as the newer one is among the last that a set remembers.
func TestForwardNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f forward
		last := map[uint64]wire.Seq{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := wire.SessionID(rapid.IntRange(1, 2).Draw(t, "session"))
			user := []byte{byte(rapid.IntRange(0, 3).Draw(t, "user"))}
			status := rapid.SampledFrom([]wire.Status{wire.StatusDelivered, wire.StatusRead}).Draw(t, "status")
			k, seq := f.key(id, wire.ChatID{1}, user, status), wire.Seq(rapid.IntRange(1, 20).Draw(t, "seq"))
			if f.news(k, seq) != (seq > last[k]) {
				t.Fatalf("cursor %x at %d: is %d news? %v", k, last[k], seq, f.news(k, seq))
			}
			if seq > last[k] {
				f.told(k, seq)
				last[k] = seq
			}
		}
	})
}

// A set that is full forgets the cursor that was told longest ago.
func TestForwardForgetsTheOldest(t *testing.T) {
	var f forward
	key := func(i int) uint64 { return uint64(i)*forwardSets + 7 }
	for i := 1; i <= forwardWays; i++ {
		f.told(key(i), 10)
	}
	f.told(key(1), 11) // the oldest is news again
	f.told(key(forwardWays+1), 10)
	for i := 1; i <= forwardWays+1; i++ {
		if known, want := !f.news(key(i), 10), i != 2; known != want {
			t.Errorf("cursor %d is known: %v, want %v", i, known, want)
		}
	}
}

// A push that crossed a sync does not take a member's cursor back; one that
// says the same again is not repeated.
func TestOldStatusIsNotTold(t *testing.T) {
	l := newLoop(t, unlimited())
	s, out := liveSession(t, l, wire.Msgpack)
	push := func(seq wire.Seq, session *Session) int {
		before := out.sent
		session.Deliver(l, out, &Push{Op: wire.OpStatusUpdate, Chat: storyChat(1), Seq: seq, User: []byte("bob"), Status: wire.StatusRead, Frame: []byte{1}})
		return out.sent - before
	}
	for i, c := range []struct {
		seq  wire.Seq
		want int
	}{{5, 1}, {4, 0}, {5, 0}, {6, 1}} {
		if got := push(c.seq, s); got != c.want {
			t.Errorf("step %d: %d frames for cursor %d, want %d", i, got, c.seq, c.want)
		}
	}
	if n := l.Counters.OldStatuses.Load(); n != 2 {
		t.Errorf("%d are counted, want 2", n)
	}
}

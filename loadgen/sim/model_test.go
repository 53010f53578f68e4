package sim

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/core/shard/shardtest"
)

// A store that loses power is as of its last sync, whatever was written over
// and deleted since.
func TestStoreFallsBack(t *testing.T) {
	s := newStore()
	write := func(index uint64, fn func(b *shardtest.Batch)) {
		var b shardtest.Batch
		fn(&b)
		s.commit(&b, index, index*7)
	}
	write(1, func(b *shardtest.Batch) { b.Create([]byte("a"), []byte("1")); b.Create([]byte("b"), []byte("1")) })
	s.sync(1)
	want := s.rows.Dump()
	write(2, func(b *shardtest.Batch) { b.Set([]byte("a"), []byte("2")); b.Delete([]byte("b")) })
	write(3, func(b *shardtest.Batch) {
		b.Create([]byte("b"), []byte("3"))
		b.Set([]byte("b"), []byte("4"))
		b.Create([]byte("c"), []byte("3"))
	})
	s.crash(newEngine(1), true)
	if got := s.rows.Dump(); got != want || s.applied != 1 || s.digest != 7 {
		t.Errorf("after the crash, as of %d:\n%swant as of 1:\n%s", s.applied, got, want)
	}
}

// A log keeps what was synced, and its word as it was synced.
func TestLogFallsBack(t *testing.T) {
	l := raftLog{first: 1, term: 3, vote: 2, stableTerm: 2, stableVote: 1, stable: 2}
	l.ents = []rent{{term: 1}, {term: 2}, {term: 2}, {term: 3}}
	l.crash(newEngine(1), true)
	if l.last() != 2 || l.term != 2 || l.vote != 1 || l.lastTerm() != 2 {
		t.Errorf("after the crash: last %d of term %d, term %d, vote %d", l.last(), l.lastTerm(), l.term, l.vote)
	}
}

// Events come in order of time, then of asking; those of a process that has
// died do not come, those of one that is paused come when it goes on.
func TestEventsOfAProcess(t *testing.T) {
	e := newEngine(1)
	p := &proc{e: e, up: true}
	got := ""
	say := func(s string) func() { return func() { got += s } }
	e.after(2*ms, say("c"))
	e.after(ms, say("a"))
	e.after(ms, say("b"))
	p.after(3*ms, say("lost"))
	e.after(2500*us, func() { p.die(); p.up = true; p.paused = true; p.after(ms, say("d")) })
	e.after(10*ms, p.resume)
	e.run(5*ms, func() bool { return false })
	if got != "abc" {
		t.Errorf("by 5 ms: %q, want abc", got)
	}
	e.run(time.Second, func() bool { return false })
	if got != "abcd" || e.now != time.Second {
		t.Errorf("at the end: %q at %v", got, e.now)
	}
}

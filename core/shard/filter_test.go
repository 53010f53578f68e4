package shard

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// lookups counts reads of dedupe rows.
type lookups struct {
	View
	n int
}

func (l *lookups) Get(key []byte) ([]byte, bool, error) {
	if key[0] == tableDedupe {
		l.n++
	}
	return l.View.Get(key)
}

// send applies one message and reports whether it was new.
func (w *world) send(v View, n int) bool {
	w.t.Helper()
	chat := wire.DirectChat("alice", "bob")
	entry := encode(w.now, message(chat, "alice", "bob", fmt.Sprint("m", n), "text"))
	if err := w.machine.Apply(v, &w.batch, entry, &w.out); err != nil {
		w.t.Fatal(err)
	}
	r := w.out.Results[0]
	if r.Code != wire.OK {
		w.t.Fatalf("message %d: %v", n, r.Code)
	}
	return r.Flags&peer.FlagNew != 0
}

// What is new costs no read of the store, and what is not is still found:
// while the filter knows a part of the table, all of it, or has been replaced
// by a larger one.
func TestFilterSparesReadsAndForgetsNothing(t *testing.T) {
	const before, after = 3 * filterStep, 60_000
	w := newWorld(t)
	for n := range before {
		if !w.send(w.store, n) {
			t.Fatalf("message %d is taken for a retry", n)
		}
	}
	w.commit()
	w.machine = New(1) // a restart

	v := &lookups{View: w.store}
	for n := 0; n < before; n += 97 {
		if w.send(v, n) {
			t.Fatalf("retry of %d after a restart counts as new", n)
		}
	}
	if w.machine.seen.state != complete {
		t.Fatal("the filter does not know the table after as many entries as that")
	}
	v.n = 0
	for n := before; n < after; n++ {
		if !w.send(v, n) {
			t.Fatalf("message %d is taken for a retry", n)
		}
		if n%10_000 == 0 {
			w.commit()
		}
	}
	if f := &w.machine.seen; f.state != complete || len(f.blocks) <= 1<<filterMinBits {
		t.Errorf("%d messages left a filter of %d blocks in state %d", after, len(f.blocks), f.state)
	}
	if limit := (after - before) / 20; v.n > limit {
		t.Errorf("%d new messages cost %d reads, want at most %d", after-before, v.n, limit)
	}
	for n := 0; n < after; n += 37 {
		if w.send(v, n) {
			t.Fatalf("retry of %d counts as new", n)
		}
	}
}

// A shard that forgets as much as it takes keeps its filter, however long it
// runs.
func TestFilterOfAShardThatForgets(t *testing.T) {
	if log2, ok := filterBits(keysPerBlock << (filterMaxBits - 1)); !ok || log2 != filterMaxBits {
		t.Errorf("half full at most: %d bits, %v", log2, ok)
	}
	if _, ok := filterBits(keysPerBlock << filterMaxBits); ok {
		t.Error("a table that fills the largest filter gets another, and another with each entry")
	}
	w := newWorld(t)
	m := w.machine
	m.v, m.w = w.store, &w.batch
	id := func(n int) (id dedupeID) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	const live, turnover = 1000, 200_000
	for n := range turnover {
		k := id(n)
		m.setDedupe(&k, seqs{first: 1})
		if n >= live {
			old := id(n - live)
			m.setDedupe(&old, seqs{})
		}
		if n%100 == 0 {
			if err := m.buildFilter(); err != nil {
				t.Fatal(err)
			}
			w.commit()
			m.v, m.w = w.store, &w.batch
		}
	}
	if n := len(m.seen.blocks); n != 1<<filterMinBits || m.seen.state == tooLarge {
		t.Errorf("%d rows have a filter of %d blocks in state %d after %d came and went", live, n, m.seen.state, turnover)
	}
	for n := turnover - live; n < turnover; n++ {
		if k := id(n); m.seen.absent(&k) {
			t.Fatalf("row %d is there and the filter denies it", n)
		}
	}
}

package shard

import (
	"testing"

	"github.com/godwit-im/godwit/core/shard/shardtest"
	"github.com/godwit-im/godwit/wire"
)

var (
	_ View   = (*shardtest.Store)(nil)
	_ Writer = (*shardtest.Batch)(nil)
)

// world is one replica: a machine and its rows.
type world struct {
	t       testing.TB
	machine *Machine
	store   *shardtest.Store
	batch   shardtest.Batch // writes that are not committed
	from    int             // where those of the last entry begin
	out     Outcome
	now     wire.Millis
	names   map[wire.ChatID]string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, machine: New(1), store: shardtest.NewStore(), now: storyStart, names: map[wire.ChatID]string{{}: ""}}
	w.store.Scribble = true
	return w
}

// apply puts items into one entry and applies it.
func (w *world) apply(items ...[]byte) {
	entry := BeginEntry(nil, w.now)
	for _, it := range items {
		entry = append(entry, it...)
	}
	w.applyEntry(entry)
}

func (w *world) applyEntry(entry []byte) {
	w.t.Helper()
	w.from = len(w.batch.Writes)
	if err := w.machine.Apply(w.store, &w.batch, entry, &w.out); err != nil {
		w.t.Fatalf("Apply: %v", err)
	}
}

func (w *world) commit() {
	w.store.Commit(&w.batch)
	w.machine.Committed()
}

package control

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

func testMap(t *testing.T, epoch uint64) *shardmap.Map {
	t.Helper()
	m, err := shardmap.New(shardmap.Draft{
		Epoch: epoch, Slots: shardmap.SpreadSlots(1),
		Replicas: [][]wire.NodeID{{1}}, Nodes: []shardmap.Node{{ID: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUnreadableEntryStopsTheMember(t *testing.T) {
	good := encodeSet(testMap(t, 2))
	for name, entry := range map[string][]byte{
		"empty":         {},
		"newer version": append([]byte{commandV1 + 1}, good[1:]...),
		"unknown kind":  append([]byte{commandV1, 99}, good[2:]...),
		"cut off":       good[:len(good)-1],
		"newer fleet":   {commandV1, kindFleet, 99, '{', '}'},
		"unknown fleet": append([]byte{commandV1, kindFleet, 1}, `{"kind":"dance","at_ms":1}`...),
		"fleet cut off": append([]byte{commandV1, kindFleet, 1}, `{"kind":"pau`...),
	} {
		t.Run(name, func(t *testing.T) {
			w := new(watch.Watcher)
			f := newFSM(w, slog.New(slog.DiscardHandler))
			apply := func(index uint64, data []byte) error {
				return f.Apply(&raft.Log{Index: index, Data: data}).(applied).err
			}
			if err := apply(1, encodeSet(testMap(t, 1))); err != nil {
				t.Fatal(err)
			}
			if err := apply(2, entry); err == nil {
				t.Fatal("taken")
			}
			if err := apply(3, good); err == nil || !errors.Is(err, f.broken()) {
				t.Fatalf("it goes on after what it cannot read: %v", err)
			}
			if w.Current().Epoch() != 1 {
				t.Fatalf("published epoch %d", w.Current().Epoch())
			}
			if _, err := f.Snapshot(); err == nil {
				t.Fatal("it would snapshot a state that is not the log's")
			}
		})
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	b := testMap(t, 7).Encode()
	f := newFSM(new(watch.Watcher), slog.New(slog.DiscardHandler))
	b[len(b)/2] ^= 1
	if err := f.Restore(io.NopCloser(bytes.NewReader(b))); !errors.Is(err, shardmap.ErrCorrupt) {
		t.Fatalf("damaged snapshot: %v", err)
	}
}

package control

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
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

func TestSnapshotsHoldTheFleet(t *testing.T) {
	f := newFSM(new(watch.Watcher), slog.New(slog.DiscardHandler))
	do := func(cmd fleet.Command) {
		t.Helper()
		if done := f.Apply(&raft.Log{Data: encodeFleet(&cmd)}).(applied); done.err != nil {
			t.Fatal(done.err)
		}
	}
	do(fleet.Command{Kind: fleet.Create, AtMS: 1, Cluster: strings.Repeat("c", 32), Settings: &fleet.Settings{Shards: 1, Replicas: 1, Cores: 1}})
	do(fleet.Command{Kind: fleet.Join, AtMS: 2, Node: &fleet.Node{Name: "core-1", Role: fleet.Core, Identity: strings.Repeat("1", 32),
		Wish: fleet.Serve, Addrs: fleet.Addrs{Link: "10.0.0.1:1", Raft: "10.0.0.1:2"}, Versions: fleet.Versions{Program: "x", Wire: 1, Store: 1}}})
	m := testMap(t, 1)
	do(fleet.Command{Kind: fleet.SetMap, AtMS: 3, Map: m.Encode()})

	taken, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	w := new(watch.Watcher)
	again := newFSM(w, slog.New(slog.DiscardHandler))
	if err := again.Restore(io.NopCloser(bytes.NewReader(taken.(snapshot)))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.state().Encode(), f.state().Encode()) || again.state().Cluster == "" {
		t.Errorf("restored %+v, want %+v", again.state(), f.state())
	}
	if w.Current() == nil || !w.Current().Equal(m) {
		t.Errorf("restored, it publishes %v", w.Current())
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

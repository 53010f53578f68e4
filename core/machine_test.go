package core

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A store that a replica leaves behind is what the entries up to its applied
// index lead to, whatever the replica failed on: a part of an entry that were
// committed would be applied a second time after the restart.
func TestFailedApplyLeavesNothingBehind(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	life := func() *machine {
		m := newReplica(&Node{store: st}, store.Hold{Shard: 1, Replica: 1}, true).machine
		close(m.checked)
		if _, err := m.Open(nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.batch.Close)
		m.outs = make([]shard.Outcome, 4)
		return m
	}
	send := func(index uint64) sm.Entry {
		b := shard.BeginEntry(make([]byte, commandHead), wire.Millis(1e12+index))
		return sm.Entry{Index: index, Cmd: peer.Append(b, &peer.Item{
			Op: peer.OpAppend, Shard: 1, Chat: aliceBob, User: []byte("alice"), Peer: []byte("bob"),
			ClientMsgID: fmt.Append(nil, index), Body: []byte("hello"),
		})}
	}
	broken := send(4)
	broken.Cmd = append(broken.Cmd, "no item"...)

	m := life()
	if err := m.apply([]sm.Entry{send(1)}); err != nil {
		t.Fatal(err)
	}
	m.settled = time.Now().Add(time.Hour) // what follows waits
	if err := m.apply([]sm.Entry{send(2)}); err != nil || !m.dirty {
		t.Fatalf("%v, or it did not wait", err)
	}
	if err := m.apply([]sm.Entry{send(3), broken}); err == nil {
		t.Fatal("a broken entry was applied")
	}
	if err := m.settle(); err != nil {
		t.Fatal(err)
	}
	applied, err := st.Applied(1)
	if err != nil {
		t.Fatal(err)
	}
	info, _, err := shard.ChatInfo(st.NewView(1), aliceBob)
	if err != nil || uint64(info.Last) != applied {
		t.Fatalf("entry %d is the last applied, message %d the last of the chat, %v", applied, info.Last, err)
	}

	m = life()
	for i := applied + 1; i <= 4; i++ {
		if err := m.apply([]sm.Entry{send(i)}); err != nil {
			t.Fatal(err)
		}
		if r := m.outs[0].Results[0]; r.Code != wire.OK || uint64(r.Seq) != i || r.Flags&peer.FlagNew == 0 {
			t.Errorf("entry %d after the restart: %+v, want the new message %d", i, r, i)
		}
	}
}

// A look takes up all that the outbox owes, however much it is: what it leaves
// out could be cleared, unsent, by the next message of its conversation.
func TestALookTakesUpTheWholeOutbox(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m, err := shardmap.New(shardmap.Draft{
		Epoch: 1, Slots: shardmap.SpreadSlots(1), Nodes: []shardmap.Node{{ID: 1}}, Replicas: [][]wire.NodeID{{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{store: st, log: testLog(), started: time.Now(), cfg: Config{Node: 1, Watcher: new(watch.Watcher), Now: time.Now}}
	n.cfg.Watcher.Publish(m)
	n.turns.New = func() any { return new(turn) }
	r := newReplica(n, store.Hold{Shard: 1, Replica: 1}, true)
	n.replicas.Store(&map[wire.ShardID]*replica{1: r})
	close(r.machine.checked)
	if _, err := r.machine.Open(nil); err != nil {
		t.Fatal(err)
	}
	defer r.machine.batch.Close()

	const chats = 2*lookPage + 10
	r.machine.outs = make([]shard.Outcome, 1)
	for i := 0; i < chats; {
		b := shard.BeginEntry(make([]byte, commandHead), 1e12)
		for range min(4096, chats-i) {
			to := fmt.Sprintf("user-%d", i)
			b = peer.Append(b, &peer.Item{
				Op: peer.OpAppend, Shard: 1, Chat: wire.DirectChat("alice", wire.UserID(to)), User: []byte("alice"),
				Peer: []byte(to), ClientMsgID: []byte(to), Body: []byte("hello"),
			})
			i++
		}
		if err := r.machine.apply([]sm.Entry{{Index: uint64(i), Cmd: b}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.machine.settle(); err != nil {
		t.Fatal(err)
	}
	r.leads.Store(true)
	if err := r.takeUp(r.mu.led); err != nil {
		t.Fatal(err)
	}
	if got := n.c.resumed.Load(); got != chats {
		t.Errorf("%d conversations were taken up, want %d", got, chats)
	}
	if r.takeUp(r.mu.led+1) == nil {
		t.Error("a look of another leadership counts")
	}
}

// A snapshot that cannot be taken over stops the replica, not the process.
func TestBrokenSnapshotStopsTheReplica(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.cores[1].replica(1)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- r.machine.RecoverFromSnapshot(strings.NewReader("no snapshot, but long enough"), stop) }()
	end := time.Now().Add(patience)
	for !r.failed.Load() && len(done) == 0 && time.Now().Before(end) {
		runtime.Gosched()
	}
	if !r.failed.Load() {
		t.Error("the replica goes on")
	}
	close(stop)
	if err := <-done; !errors.Is(err, sm.ErrSnapshotStopped) {
		t.Errorf("RecoverFromSnapshot = %v, which ends the process", err)
	}
}

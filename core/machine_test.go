package core

import (
	"fmt"
	"testing"
	"time"

	sm "github.com/lni/dragonboat/v4/statemachine"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/core/store"
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
		m := newReplica(&Node{store: st}, 1, true).machine
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

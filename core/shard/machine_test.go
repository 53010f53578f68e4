package shard

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/core/shard/shardtest"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func message(chat wire.ChatID, from, to, id, body string) peer.Item {
	return peer.Item{Op: peer.OpAppend, Shard: 1, Chat: chat, User: []byte(from), Peer: []byte(to), ClientMsgID: []byte(id), Body: []byte(body)}
}

// An entry that cannot be read names what is wrong with it and where.
func TestUnreadableEntries(t *testing.T) {
	good := encode(storyStart, message(wire.DirectChat("alice", "bob"), "alice", "bob", "m1", "x"))
	cases := map[string]struct {
		entry []byte
		says  string
	}{
		"empty":           {nil, "empty"},
		"later version":   {[]byte{9, 1}, "version 9"},
		"no clock":        {[]byte{entryVersion}, "no clock"},
		"a read":          {encode(storyStart, peer.Item{Op: peer.OpRange, Shard: 1}), "op 18 (range)"},
		"unknown command": {append(BeginEntry(nil, 1), 1, 0, 0, 0, 200), "op 200 (unknown)"},
		"cut off":         {good[:len(good)-1], "item 0 at byte 7: shard: unreadable log entry: broken item"},
	}
	for name, c := range cases {
		var out Outcome
		err := New(7).Apply(shardtest.NewStore(), &shardtest.Batch{}, c.entry, &out)
		if !errors.Is(err, ErrEntry) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "shard 7") {
			t.Errorf("%s: %v, want ErrEntry that says %q", name, err, c.says)
		}
	}
}

// failing is a View whose n-th call fails.
type failing struct {
	View
	left int
}

var errDisk = errors.New("disk on fire")

func (f *failing) fail() bool { f.left--; return f.left < 0 }

func (f *failing) Get(key []byte) ([]byte, bool, error) {
	if f.fail() {
		return nil, false, errDisk
	}
	return f.View.Get(key)
}

func (f *failing) Scan(lower, upper []byte, reverse bool, fn func(k, v []byte) bool) error {
	if f.fail() {
		return errDisk
	}
	return f.View.Scan(lower, upper, reverse, fn)
}

// A store that fails at any read ends Apply and every read with its error.
func TestStoreFailure(t *testing.T) {
	w := matrixWorld(t)
	mine, group := w.chat("alice+bob"), w.chat("#alice")
	list := peer.AppendBytes(nil, "alice")
	entry := encode(w.now, message(mine, "alice", "bob", "m2", "x"), message(mine, "alice", "bob", "old", "x"), message(group, "alice", "", "m2", "x"),
		peer.Item{Op: peer.OpReceipt, Shard: 1, Chat: group, User: []byte("bob"), Read: 1}, peer.Item{Op: peer.OpMark, Shard: 1, Chat: mine, User: []byte("alice"), Read: 1},
		peer.Item{Op: peer.OpBump, Shard: 1, Chat: mine, Seq: 2, User: []byte("alice"), List: list}, peer.Item{Op: peer.OpTouch, Shard: 1, Chat: mine, List: list},
		peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte("bob"), Device: []byte("d")}, peer.Item{Op: peer.OpFanoutDone, Shard: 1, Chat: group, Seq: 1},
		peer.Item{Op: peer.OpExpire, Shard: 1, Limit: 9}, peer.Item{Op: peer.OpCreateGroup, Shard: 1, Chat: group, User: []byte("alice"), Name: []byte("n")})
	calls := map[string]func(v View) error{
		"Apply":      func(v View) error { return New(1).Apply(v, &shardtest.Batch{}, entry, &Outcome{}) },
		"Changes":    func(v View) error { _, err := Changes(v, []byte("alice"), nil, 0, 9, nil); return err },
		"Chats":      func(v View) error { _, err := Chats(v, []byte("alice"), 0, 9, nil); return err },
		"Device":     func(v View) error { _, err := Device(v, []byte("alice"), []byte("d")); return err },
		"ChatInfo":   func(v View) error { _, _, err := ChatInfo(v, mine); return err },
		"IsMember":   func(v View) error { _, err := IsMember(v, group, []byte("bob")); return err },
		"Members":    func(v View) error { _, _, err := Members(v, group, nil, 9, nil); return err },
		"OutboxScan": func(v View) error { return OutboxScan(v, func(*Owed) bool { return true }) },
		"Range": func(v View) error {
			return Range(v, &RangeQuery{Chat: group, User: []byte("bob"), Limit: 9}, &RangePage{})
		},
	}
	for name, call := range calls {
		n := 0
		for ; ; n++ {
			err := call(&failing{w.store, n})
			if err == nil {
				break
			}
			if !errors.Is(err, errDisk) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if n == 0 {
			t.Errorf("%s reads nothing", name)
		}
	}
}

// A row that no version wrote is an error that names it, wherever it is read.
func TestCorruptRows(t *testing.T) {
	w := matrixWorld(t)
	mine, group := w.chat("alice+bob"), w.chat("#alice")
	whole := w.store.Clone()
	for _, key := range [][]byte{appendChatKey(nil, tableChat, mine), appendChatKey(nil, tableChat, group), appendMemberKey(nil, group, []byte("alice")),
		appendLogKey(nil, mine, 1), appendInboxKey(nil, []byte("alice"), mine), appendChatKey(nil, tableOutbox, mine)} {
		v := whole.Clone()
		b := shardtest.Batch{}
		b.Set(key, []byte{0xff})
		v.Commit(&b)
		read := func() error {
			page := RangePage{}
			err := Range(v, &RangeQuery{Chat: mine, User: []byte("alice"), Limit: 9}, &page)
			err = errors.Join(err, Range(v, &RangeQuery{Chat: group, User: []byte("alice"), Limit: 9}, &page))
			_, changes := Changes(v, []byte("alice"), nil, 0, 9, nil)
			return errors.Join(err, changes, OutboxScan(v, func(*Owed) bool { return true }))
		}
		if err := read(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("corrupt row %q", key)) {
			t.Errorf("row %q: %v", key, err)
		}
		entry := encode(w.now, message(mine, "alice", "bob", "old", "x"), message(group, "alice", "", "m2", "x"),
			peer.Item{Op: peer.OpMark, Shard: 1, Chat: mine, User: []byte("alice"), Read: 1})
		if err := New(1).Apply(v, &b, entry, &Outcome{}); err == nil || errors.Is(err, ErrEntry) {
			t.Errorf("row %q: Apply: %v", key, err)
		}
	}
}

// Two ids of one hash are two messages, and each keeps its own answer.
func TestDedupeHashCollision(t *testing.T) {
	w := newWorld(t)
	chat := wire.DirectChat("alice", "bob")
	w.applyEntry(encode(w.now, message(chat, "alice", "bob", "m1", "one")))
	w.commit()
	// What m2 hashes to is made to name m1's entry, as if the hashes were equal.
	id := dedupeIDOf(chat, []byte("alice"), []byte("m2"))
	w.batch.Set(id.appendKey(nil), []byte{1})
	w.commit()
	w.machine.Reset() // the row came from elsewhere
	w.applyEntry(encode(w.now, message(chat, "alice", "bob", "m2", "two"), message(chat, "alice", "bob", "m2", "two")))
	w.commit()
	if r := w.out.Results; r[0].Seq != 2 || r[0].Flags != peer.FlagNew || r[1].Seq != 2 || r[1].Flags != 0 {
		t.Fatalf("want seq 2 as new and then again, got %+v", r)
	}
	w.machine.Reset()
	s, err := w.machine.withView(w.store).dedupeRow(&id)
	if want := (seqs{1, []wire.Seq{2}}); err != nil || s.first != want.first || !slices.Equal(s.more, want.more) {
		t.Fatalf("dedupe row holds %+v, %v", s, err)
	}
	if s = s.without(1); s.first != 2 || len(s.more) != 0 {
		t.Errorf("without the first: %+v", s)
	}
	if s = s.without(2); s.first != 0 {
		t.Errorf("without both: %+v", s)
	}
}

// The same client_msg_id of two senders is two messages, even if the hashes
// were equal.
func TestDedupeHashCollisionOfSenders(t *testing.T) {
	w := newWorld(t)
	chat := wire.DirectChat("alice", "bob")
	w.applyEntry(encode(w.now, message(chat, "alice", "bob", "m1", "one")))
	id := dedupeIDOf(chat, []byte("bob"), []byte("m1"))
	w.batch.Set(id.appendKey(nil), []byte{1})
	w.commit()
	w.machine.Reset() // the row came from elsewhere
	w.applyEntry(encode(w.now, message(chat, "bob", "alice", "m1", "two")))
	if r := w.out.Results[0]; r.Seq != 2 || r.Flags != peer.FlagNew {
		t.Errorf("bob's m1 was taken for alice's: %+v", r)
	}
}

func (m *Machine) withView(v View) *Machine { m.v = v; return m }

// The 33rd device takes the place of the one that is furthest behind, which is
// a new device when it returns; the others keep their cursors.
func TestDevicesAreBounded(t *testing.T) {
	w := newWorld(t)
	chat := wire.DirectChat("alice", "bob")
	bump := peer.Item{Op: peer.OpBump, Shard: 1, Chat: chat, Seq: 9, User: []byte("alice"), Peer: []byte("bob"), List: peer.AppendBytes(nil, "bob")}
	items := []peer.Item{bump}
	for i := range MaxDevices {
		id := []byte{'A' + byte(i)}
		stamp := wire.Cursor(1)
		if i == 5 {
			stamp = 0
		}
		items = append(items, peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte("bob"), Device: id, Stamp: stamp},
			peer.Item{Op: peer.OpMark, Shard: 1, Chat: chat, User: []byte("bob"), Device: id, Delivered: 4})
	}
	items = append(items, peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte("bob"), Device: []byte("one more")}, bump)
	bump.Seq = 100
	items = append(items, bump)
	w.applyEntry(encode(w.now, items...))
	w.commit()
	for device, want := range map[string]struct {
		known     bool
		delivered wire.Seq
	}{"A": {true, 4}, "F": {false, 4}, "one more": {true, 0}} {
		info, err := Device(w.store, []byte("bob"), []byte(device))
		if err != nil || info.Known != want.known {
			t.Errorf("%s: %+v, %v", device, info, err)
		}
		p, err := Changes(w.store, []byte("bob"), []byte(device), 0, 9, nil)
		if r, _, ok := peer.NextRow(p.List); !ok || err != nil || r.Delivered != want.delivered {
			t.Errorf("%s continues at %d, want %d (%v)", device, r.Delivered, want.delivered, err)
		}
	}
}

// A page ends at its bytes as at its limit, and goes on from there.
func TestRangeIsBoundedByBytes(t *testing.T) {
	w := newWorld(t)
	chat := wire.DirectChat("alice", "bob")
	big := strings.Repeat("x", wire.MaxContentCeiling/2)
	for _, id := range []string{"1", "2", "3", "4"} {
		w.applyEntry(encode(w.now, message(chat, "alice", "bob", id, big)))
	}
	w.commit()
	var p RangePage
	var got []wire.Seq
	for after := wire.Seq(0); ; {
		if err := Range(w.store, &RangeQuery{Chat: chat, User: []byte("bob"), After: after, Limit: 100}, &p); err != nil {
			t.Fatal(err)
		}
		if len(p.List) > peer.MaxItem {
			t.Fatalf("a page of %d bytes fits no item", len(p.List))
		}
		n := 0
		for list := p.List; len(list) > 0; n++ {
			var raw []byte
			raw, list, _ = peer.NextBytes(list)
			var f wire.Frame
			if err := wire.DecodeMsgpack(raw, &f); err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Seq)
			after = f.Seq
		}
		if p.More == (len(p.Cursors) > 0) {
			t.Errorf("more %t with %d bytes of cursors", p.More, len(p.Cursors))
		}
		if !p.More {
			break
		}
		if n == 0 {
			t.Fatal("a page without progress")
		}
	}
	if !slices.Equal(got, []wire.Seq{1, 2, 3, 4}) {
		t.Errorf("pages hold %v", got)
	}
}

// The outbox is scanned in pages; fn may stop it.
func TestOutboxScanPages(t *testing.T) {
	w := newWorld(t)
	const n = 2*outboxPage + 3
	for i := range n {
		to := fmt.Sprintf("user%04d", i)
		w.applyEntry(encode(w.now, message(wire.DirectChat("alice", wire.UserID(to)), "alice", to, "m", "x")))
	}
	w.commit()
	var chats [][]byte
	if err := OutboxScan(w.store, func(o *Owed) bool { chats = append(chats, bytes.Clone(o.Chat[:])); return true }); err != nil {
		t.Fatal(err)
	}
	if len(chats) != n || !slices.IsSortedFunc(chats, bytes.Compare) {
		t.Errorf("%d of %d conversations, in order: %t", len(chats), n, slices.IsSortedFunc(chats, bytes.Compare))
	}
	seen := 0
	if err := OutboxScan(w.store, func(o *Owed) bool { seen++; return seen < 3 }); err != nil || seen != 3 {
		t.Errorf("stopped after %d, %v", seen, err)
	}
}

// An outbox row that was settled while the scan ran is not handed on.
func TestOutboxScanSkipsSettled(t *testing.T) {
	w := newWorld(t)
	chat := wire.DirectChat("alice", "bob")
	w.applyEntry(encode(w.now, message(chat, "alice", "bob", "m1", "one")))
	w.batch.Set(appendChatKey(nil, tableOutbox, chat), []byte{1})
	w.commit()
	if err := OutboxScan(w.store, func(o *Owed) bool { t.Errorf("owed: %+v", o); return true }); err != nil {
		t.Fatal(err)
	}
}

// Reads run beside Apply and see only what is committed. The race detector
// watches.
func TestReadsBesideApply(t *testing.T) {
	w := newWorld(t)
	w.store.Scribble = false
	chat := wire.DirectChat("alice", "bob")
	w.applyEntry(encode(w.now, message(chat, "alice", "bob", "m0", "x")))
	w.commit()
	done := make(chan error)
	go func() {
		var p RangePage
		for last := wire.Seq(0); last < 200; {
			if err := Range(w.store, &RangeQuery{Chat: chat, User: []byte("bob"), After: last, Limit: 7}, &p); err != nil {
				done <- err
				return
			}
			for list := p.List; len(list) > 0; last++ {
				_, list, _ = peer.NextBytes(list)
			}
			if page, err := Changes(w.store, []byte("bob"), []byte("phone"), 0, 9, nil); err != nil || page.Stamp > wire.Cursor(200) {
				done <- fmt.Errorf("Changes: %+v, %w", page, err)
				return
			}
		}
		done <- nil
	}()
	for i := 1; i < 200; i++ {
		w.applyEntry(encode(w.now, message(chat, "alice", "bob", fmt.Sprint("m", i), "x"),
			peer.Item{Op: peer.OpBump, Shard: 1, Chat: chat, Seq: wire.Seq(i + 1), User: []byte("alice"), Peer: []byte("bob"), List: peer.AppendBytes(nil, "bob")}))
		w.commit()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// FuzzApply feeds bytes as an entry: no panic, no read beyond the end, and two
// replicas agree on all of it.
func FuzzApply(f *testing.F) {
	mine := wire.DirectChat("alice", "bob")
	list := peer.AppendBytes(nil, "alice")
	for op := peer.OpAppend; op.IsWrite(); op++ {
		f.Add(encode(storyStart, peer.Item{Op: op, Shard: 1, Chat: mine, User: []byte("alice"), Peer: []byte("bob"), Device: []byte("d"),
			ClientMsgID: []byte("m"), Name: []byte("n"), Body: []byte("x"), Seq: 3, List: list, Delivered: 1, Read: 1, Stamp: 1, Limit: 5}))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		a, b := matrixWorld(t), matrixWorld(t)
		b.machine.Reset()
		errA := a.machine.Apply(a.store, &a.batch, slices.Clone(entry), &a.out)
		errB := b.machine.Apply(b.store, &b.batch, entry, &b.out)
		if (errA == nil) != (errB == nil) || errA == nil && !slices.Equal(a.batch.Writes, b.batch.Writes) {
			t.Fatalf("replicas part: %v, %v", errA, errB)
		}
		if errA != nil && !errors.Is(errA, ErrEntry) {
			t.Fatalf("an entry's fault was called the store's: %v", errA)
		}
	})
}

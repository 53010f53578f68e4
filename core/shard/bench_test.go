package shard

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/core/shard/shardtest"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// The benchmarks measure Apply without a store: rows that are not cached come
// from memory and writes are counted and dropped. One op is one item; an entry
// carries benchItems of them.
const (
	benchItems = 64
	benchChats = 1000
)

// sink is a Writer that counts.
type sink struct{ writes, bytes int }

func (s *sink) Set(key, value []byte)    { s.writes++; s.bytes += len(key) + len(value) }
func (s *sink) Create(key, value []byte) { s.writes++; s.bytes += len(key) + len(value) }
func (s *sink) Delete(key []byte)        { s.writes++; s.bytes += len(key) }

// bench is a machine with benchChats direct chats in its caches.
type bench struct {
	m     *Machine
	store *shardtest.Store
	users [benchChats][2]string
	chats [benchChats]wire.ChatID
}

func newBench(b testing.TB) *bench {
	x := &bench{m: New(1), store: shardtest.NewStore()}
	var batch shardtest.Batch
	var out Outcome
	for i := range benchChats {
		a, p := fmt.Sprintf("user-%04d-a", i), fmt.Sprintf("user-%04d-b", i)
		x.users[i], x.chats[i] = [2]string{a, p}, wire.DirectChat(wire.UserID(a), wire.UserID(p))
		entry := encode(storyStart, message(x.chats[i], a, p, "first", "hello"),
			peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte(a), Device: []byte("phone")},
			peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte(p), Device: []byte("phone")},
			peer.Item{Op: peer.OpBump, Shard: 1, Chat: x.chats[i], Seq: 1, At: storyStart, User: []byte(a), Peer: []byte(p),
				List: peer.AppendBytes(peer.AppendBytes(nil, a), p)})
		if err := x.m.Apply(x.store, &batch, entry, &out); err != nil {
			b.Fatal(err)
		}
		x.store.Commit(&batch)
		x.m.Committed()
	}
	return x
}

// cmid makes client message ids that look like UUIDs.
func cmid(n uint64) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[8:], n*0x9e3779b97f4a7c15)
	h := hex.EncodeToString(raw[:])
	return []byte(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

// run applies b.N items that make builds, entry by entry. Building is timed
// apart.
func (x *bench) run(b *testing.B, build func(n int) peer.Item) {
	const ahead = 256 // entries built at a time
	var (
		w       sink
		out     Outcome
		entries [][]byte
	)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		b.StopTimer()
		entries = entries[:0]
		for range ahead {
			e := BeginEntry(nil, storyStart+wire.Millis(n))
			for range benchItems {
				it := build(n)
				e = peer.Append(e, &it)
				n++
			}
			entries = append(entries, e)
		}
		b.StartTimer()
		for _, e := range entries {
			if err := x.m.Apply(x.store, &w, e, &out); err != nil {
				b.Fatal(err)
			}
			x.m.Committed()
			for i := range out.Results {
				if out.Results[i].Code != wire.OK {
					b.Fatal(out.Results[i].Code)
				}
			}
		}
	}
	b.ReportMetric(float64(w.writes)/float64(b.N), "writes/op")
	b.ReportMetric(float64(w.bytes)/float64(b.N), "bytes/op")
}

func BenchmarkAppend(b *testing.B) {
	x := newBench(b)
	body := make([]byte, 124)
	x.run(b, func(n int) peer.Item {
		i := n % benchChats
		it := message(x.chats[i], x.users[i][0], x.users[i][1], "", "")
		it.ClientMsgID, it.Body, it.Device = cmid(uint64(n)), body, []byte("phone")
		return it
	})
}

func BenchmarkBump(b *testing.B) {
	x := newBench(b)
	x.run(b, func(n int) peer.Item {
		i := n % benchChats
		return peer.Item{Op: peer.OpBump, Shard: 1, Chat: x.chats[i], Seq: wire.Seq(2 + n/benchChats), At: storyStart + wire.Millis(n),
			User: []byte(x.users[i][0]), Peer: []byte(x.users[i][1]), List: peer.AppendBytes(nil, x.users[i][1])}
	})
}

// deep gives every chat and inbox row a newest entry far away, so that cursors
// have room to rise.
func (x *bench) deep() {
	for _, n := range x.m.chats.nodes {
		n.row.last, n.row.fanned = 1<<40, 1<<40
	}
	for _, n := range x.m.inboxes.nodes {
		n.row.last = 1 << 40
	}
}

func BenchmarkReceipt(b *testing.B) {
	x := newBench(b)
	x.deep()
	x.run(b, func(n int) peer.Item {
		i := n % benchChats
		return peer.Item{Op: peer.OpReceipt, Shard: 1, Chat: x.chats[i], User: []byte(x.users[i][1]), Delivered: wire.Seq(2 + n/benchChats)}
	})
}

func BenchmarkMark(b *testing.B) {
	x := newBench(b)
	x.deep()
	x.run(b, func(n int) peer.Item {
		i := n % benchChats
		return peer.Item{Op: peer.OpMark, Shard: 1, Chat: x.chats[i], User: []byte(x.users[i][1]), Device: []byte("phone"), Delivered: wire.Seq(2 + n/benchChats)}
	})
}

func BenchmarkTouch(b *testing.B) {
	x := newBench(b)
	x.run(b, func(n int) peer.Item {
		i := n % benchChats
		return peer.Item{Op: peer.OpTouch, Shard: 1, Chat: x.chats[i], List: peer.AppendBytes(nil, x.users[i][0])}
	})
}

// BenchmarkRange reads a page of 50 from a long conversation.
func BenchmarkRange(b *testing.B) {
	x := newBench(b)
	var batch shardtest.Batch
	var out Outcome
	for n := range 20_000 {
		it := message(x.chats[0], x.users[0][0], x.users[0][1], "", "")
		it.ClientMsgID, it.Body = cmid(uint64(n)), make([]byte, 124)
		if err := x.m.Apply(x.store, &batch, encode(storyStart, it), &out); err != nil {
			b.Fatal(err)
		}
		x.store.Commit(&batch)
		x.m.Committed()
	}
	var p RangePage
	q := RangeQuery{Chat: x.chats[0], User: []byte(x.users[0][1]), Limit: 50, Desc: true}
	b.ReportAllocs()
	for b.Loop() {
		if err := Range(x.store, &q, &p); err != nil || p.Code != wire.OK {
			b.Fatal(err, p.Code)
		}
	}
}

// TestRowBytes holds the budget of a short message: what its rows and their
// keys cost before the store packs them. It leaves room for the store's own
// bytes within the 180 of the scoreboard, where keys share their prefixes.
func TestRowBytes(t *testing.T) {
	x := newBench(t)
	var batch shardtest.Batch
	var out Outcome
	_, before := x.store.Size()
	const n = 1000
	for i := range n {
		it := message(x.chats[0], x.users[0][0], x.users[0][1], "", "")
		it.ClientMsgID, it.Body = cmid(uint64(i)), make([]byte, 124)
		bump := peer.Item{Op: peer.OpBump, Shard: 1, Chat: x.chats[0], Seq: wire.Seq(2 + i), At: storyStart, User: it.User, Peer: it.Peer,
			List: peer.AppendBytes(peer.AppendBytes(nil, it.User), it.Peer)}
		done := peer.Item{Op: peer.OpFanoutDone, Shard: 1, Chat: x.chats[0], Seq: wire.Seq(2 + i)}
		if err := x.m.Apply(x.store, &batch, encode(storyStart+wire.Millis(i), it, bump, done), &out); err != nil {
			t.Fatal(err)
		}
		x.store.Commit(&batch)
		x.m.Committed()
	}
	_, after := x.store.Size()
	perMessage := float64(after-before) / n
	shared := float64(2*(1+len(wire.ChatID{})) + 7) // table and chat of both keys, high bytes of the seq
	t.Logf("%.1f bytes a message, %.1f without what neighbouring keys share", perMessage, perMessage-shared)
	if got := perMessage - shared; got > 160 {
		t.Errorf("a 124-byte message takes %.1f bytes of rows, the budget is 160", got)
	}
}

// TestAllocations holds the budget of the hot commands: none once the caches
// are warm and the buffers have grown.
func TestAllocations(t *testing.T) {
	x := newBench(t)
	var w sink
	var out Outcome
	seq := 1
	build := func() []byte {
		seq++
		a, b, chat := []byte(x.users[0][0]), []byte(x.users[0][1]), x.chats[0]
		it := message(chat, x.users[0][0], x.users[0][1], "", "text")
		it.ClientMsgID = cmid(uint64(seq))
		return encode(storyStart+wire.Millis(seq), it,
			peer.Item{Op: peer.OpBump, Shard: 1, Chat: chat, Seq: wire.Seq(seq), User: a, Peer: b, Device: []byte("phone"), List: peer.AppendBytes(peer.AppendBytes(nil, a), b)},
			peer.Item{Op: peer.OpReceipt, Shard: 1, Chat: chat, User: b, Delivered: wire.Seq(seq), Read: wire.Seq(seq)},
			peer.Item{Op: peer.OpMark, Shard: 1, Chat: chat, User: b, Device: []byte("phone"), Delivered: wire.Seq(seq), Read: wire.Seq(seq)},
			peer.Item{Op: peer.OpTouch, Shard: 1, Chat: chat, List: peer.AppendBytes(nil, a)},
			peer.Item{Op: peer.OpFanoutDone, Shard: 1, Chat: chat, Seq: wire.Seq(seq)})
	}
	var entries [][]byte
	for range 1002 {
		entries = append(entries, build())
	}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		if err := x.m.Apply(x.store, &w, entries[i], &out); err != nil {
			t.Fatal(err)
		}
		x.m.Committed()
		i++
	})
	if len(out.Effects) < 6 {
		t.Fatalf("the entry did not do its work: %+v", out)
	}
	if got > 0 {
		t.Errorf("%v allocations in an entry of the six hot commands, want none", got)
	}
}

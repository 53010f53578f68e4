package shard

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

var (
	propUsers   = []string{"alice", "bob", "carol", "9f1c2d3e-0011-4a5b-8c9d-aabbccddeeff"}
	propDevices = []string{"", "phone", "web", "tablet"}
)

// propChat draws one of a few conversations.
func propChat(t *rapid.T) (id wire.ChatID, a, b string) {
	if i := rapid.IntRange(0, 5).Draw(t, "chat"); i < 2 {
		return wire.NewChatID(wire.Group, [32]byte{byte(i + 1)}), "", ""
	}
	a = rapid.SampledFrom(propUsers).Draw(t, "a")
	b = rapid.SampledFrom(propUsers).Draw(t, "b")
	return wire.DirectChat(wire.UserID(a), wire.UserID(b)), a, b
}

// propItem draws one command; some of them make no sense.
func propItem(t *rapid.T) peer.Item {
	chat, a, b := propChat(t)
	it := peer.Item{Shard: 1, Chat: chat, At: storyStart}
	seq := func(name string) wire.Seq { return wire.Seq(rapid.IntRange(0, 12).Draw(t, name)) }
	user := func() []byte { return []byte(rapid.SampledFrom(propUsers).Draw(t, "user")) }
	dev := func() []byte { return []byte(rapid.SampledFrom(propDevices).Draw(t, "device")) }
	users := func() (l []byte) {
		for range rapid.IntRange(0, 3).Draw(t, "users") {
			l = peer.AppendBytes(l, user())
		}
		return l
	}
	it.Op = rapid.SampledFrom([]peer.Op{peer.OpAppend, peer.OpAppend, peer.OpAppend, peer.OpReceipt, peer.OpMark, peer.OpMark, peer.OpBump, peer.OpBump,
		peer.OpTouch, peer.OpCreateGroup, peer.OpFanoutDone, peer.OpDevice, peer.OpExpire}).Draw(t, "op")
	switch it.Op {
	case peer.OpAppend:
		it.User, it.Peer, it.Body = []byte(a), []byte(b), []byte("body")
		if a == "" || rapid.IntRange(0, 3).Draw(t, "no peer") == 0 {
			it.User, it.Peer = user(), nil
		}
		it.ClientMsgID = []byte(fmt.Sprintf("%08d", rapid.IntRange(0, 9).Draw(t, "id")))
		it.ReplyTo = wire.Seq(max(0, rapid.IntRange(-8, 3).Draw(t, "reply")))
		it.Device = dev()
	case peer.OpReceipt:
		it.User, it.Delivered, it.Read = user(), seq("delivered"), seq("read")
	case peer.OpMark:
		it.User, it.Device, it.Delivered, it.Read = user(), dev(), seq("delivered"), seq("read")
	case peer.OpBump:
		it.User, it.Device, it.Seq, it.List = user(), dev(), seq("seq"), users()
		if chat.Kind() == wire.Direct {
			it.User, it.Peer = []byte(a), []byte(b)
		}
	case peer.OpTouch:
		it.List = users()
	case peer.OpCreateGroup:
		it.User, it.Name, it.List = user(), []byte("name"), users()
	case peer.OpFanoutDone:
		it.Seq = seq("seq")
	case peer.OpDevice:
		it.User, it.Device, it.Stamp = user(), dev(), wire.Cursor(seq("stamp"))
	case peer.OpExpire:
		it.Limit = uint32(rapid.IntRange(0, 6).Draw(t, "limit"))
	}
	return it
}

// propLog is entries, with their items one by one.
type propLog struct {
	times []wire.Millis
	items [][]peer.Item
}

func drawLog(t *rapid.T) propLog {
	var l propLog
	now := wire.Millis(storyStart)
	for range rapid.IntRange(1, 12).Draw(t, "entries") {
		now += wire.Millis(rapid.SampledFrom([]int{0, 1, 1000, 86_400_000 * 16}).Draw(t, "later"))
		if rapid.IntRange(0, 5).Draw(t, "clock back") == 0 {
			now -= 500
		}
		l.times = append(l.times, now)
		l.items = append(l.items, rapid.SliceOfN(rapid.Custom(propItem), 1, 8).Draw(t, "items"))
	}
	return l
}

func encode(now wire.Millis, items ...peer.Item) []byte {
	b := BeginEntry(nil, now)
	for i := range items {
		b = peer.Append(b, &items[i])
	}
	return b
}

// TestCachesDecideNothing applies the same entries to a machine that keeps
// everything and commits now and then, to one that forgets everything after
// each entry, and to one whose caches hold a single row. Their writes, results
// and effects are the same.
func TestCachesDecideNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := drawLog(rt)
		warm, cold, tiny := newWorld(t), newWorld(t), newWorld(t)
		tiny.machine = newSized(1, 1, 1, 1, 1)
		for i, items := range log.items {
			entry := encode(log.times[i], items...)
			warm.applyEntry(slices.Clone(entry))
			cold.applyEntry(entry)
			tiny.applyEntry(entry)
			same(rt, warm, cold, "one that has just started")
			same(rt, warm, tiny, "one that caches a single row")
			cold.commit()
			cold.machine.Reset()
			if rapid.Bool().Draw(rt, "commit") {
				warm.commit()
			}
			if rapid.Bool().Draw(rt, "commit tiny") {
				tiny.commit()
			}
			if rapid.IntRange(0, 9).Draw(rt, "reset") == 0 {
				warm.commit()
				warm.machine.Reset()
			}
		}
	})
}

func same(t *rapid.T, a, b *world, who string) {
	if !slices.Equal(a.batch.Writes[a.from:], b.batch.Writes[b.from:]) || !slices.Equal(a.out.Results, b.out.Results) {
		t.Fatalf("a machine and %s part:\n%s\n%s", who, a.answer(), b.answer())
	}
	if x, y := fmt.Sprintf("%+v", a.out.Effects), fmt.Sprintf("%+v", b.out.Effects); x != y {
		t.Fatalf("a machine and %s see other effects:\n%s\n%s", who, x, y)
	}
}

// TestSplitDecidesNothing applies the same items one per entry and many per
// entry. The rows are the same in the end.
func TestSplitDecidesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := drawLog(rt)
		whole, split := newWorld(t), newWorld(t)
		for i, items := range log.items {
			whole.applyEntry(encode(log.times[i], items...))
			results := slices.Clone(whole.out.Results)
			for j := range items {
				split.applyEntry(encode(log.times[i], items[j]))
				if split.out.Results[0] != results[j] {
					rt.Fatalf("item %d of entry %d: %+v alone, %+v among others", j, i, split.out.Results[0], results[j])
				}
				if rapid.Bool().Draw(rt, "commit") {
					split.commit()
				}
			}
			whole.commit()
		}
		split.commit()
		if a, b := whole.store.Dump(), split.store.Dump(); a != b {
			rt.Fatalf("rows differ:\n%s\n%s", a, b)
		}
	})
}

// TestRepeatDecidesNothing: bumps, touches apart, receipts, marks and fan-out
// answers may come twice and in any order; where cursors end does not depend
// on it.
func TestRepeatDecidesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		setup := []peer.Item{}
		chat := wire.DirectChat("alice", "bob")
		for i := range 9 {
			setup = append(setup, peer.Item{Op: peer.OpAppend, Shard: 1, Chat: chat, User: []byte("alice"), Peer: []byte("bob"), ClientMsgID: []byte{'a' + byte(i)}, Body: []byte("x")})
		}
		setup = append(setup, peer.Item{Op: peer.OpDevice, Shard: 1, User: []byte("bob"), Device: []byte("phone")},
			peer.Item{Op: peer.OpBump, Shard: 1, Chat: chat, Seq: 9, User: []byte("alice"), Peer: []byte("bob"), List: peer.AppendBytes(nil, "bob")})
		merges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) peer.Item {
			it := peer.Item{Shard: 1, Chat: chat, User: []byte("bob"), Op: rapid.SampledFrom([]peer.Op{peer.OpReceipt, peer.OpMark, peer.OpFanoutDone}).Draw(t, "op")}
			it.Delivered, it.Read, it.Seq = wire.Seq(rapid.IntRange(0, 10).Draw(t, "d")), wire.Seq(rapid.IntRange(0, 10).Draw(t, "r")), wire.Seq(rapid.IntRange(0, 10).Draw(t, "s"))
			if it.Op == peer.OpMark {
				it.Device = []byte("phone")
			}
			return it
		}), 1, 10).Draw(rt, "merges")
		ends := func(items []peer.Item) string {
			w := newWorld(t)
			w.applyEntry(encode(storyStart, append(slices.Clone(setup), items...)...))
			w.commit()
			p, err := Changes(w.store, []byte("bob"), []byte("phone"), 0, 1, nil)
			if err != nil {
				rt.Fatal(err)
			}
			row, _, _ := peer.NextRow(p.List)
			row.Stamp = 0
			var page RangePage
			if err := Range(w.store, &RangeQuery{Chat: chat, User: []byte("bob"), Limit: 1}, &page); err != nil {
				rt.Fatal(err)
			}
			out, _ := w.store.Clone(), 0
			owed := ""
			_ = OutboxScan(out, func(o *Owed) bool { owed = fmt.Sprint(o.Fanned); return true })
			return fmt.Sprintf("%+v %q %s", row, page.Cursors, owed)
		}
		want := ends(merges)
		again := rapid.Permutation(append(slices.Clone(merges), merges...)).Draw(rt, "again")
		if got := ends(again); got != want {
			rt.Fatalf("repeated and reordered they end at\n%s, not at\n%s", got, want)
		}
	})
}

// model is what a shard promises about conversations, in the plainest form.
type model struct {
	entries map[wire.ChatID][]modelEntry
	first   map[string]wire.Seq // chat, sender and client_msg_id: newest answer
}

type modelEntry struct {
	sender, cmid string
	at           wire.Millis
}

// check compares the result of an append with the model and follows it.
func (m *model) check(t *rapid.T, it *peer.Item, r *Result, now wire.Millis) {
	if r.Code != wire.OK {
		return
	}
	key := string(it.Chat[:]) + string(it.User) + "\x00" + string(it.ClientMsgID)
	log := m.entries[it.Chat]
	if r.Flags&peer.FlagNew == 0 {
		if m.first[key] != r.Seq || r.Seq == 0 || log[r.Seq-1].at != r.At {
			t.Fatalf("a retry was answered %d at %d, the first answer was %d", r.Seq, r.At, m.first[key])
		}
		return
	}
	if old := m.first[key]; old != 0 && log[old-1].at+wire.Millis(wire.DedupeWindow.Milliseconds()) > now {
		t.Fatalf("%s appended twice within the window: %d and %d", it.ClientMsgID, old, r.Seq)
	}
	if r.Seq != wire.Seq(len(log)+1) {
		t.Fatalf("seq %d follows %d", r.Seq, len(log))
	}
	if len(log) > 0 && r.At < log[len(log)-1].at {
		t.Fatalf("time went back within a conversation")
	}
	m.first[key] = r.Seq
	m.entries[it.Chat] = append(log, modelEntry{string(it.User), string(it.ClientMsgID), r.At})
}

// TestLogAgainstModel draws commands and checks each answer; at the end the
// outbox leads every member's inbox to the end of every log, and the pages of
// the log are what was acknowledged.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		m := model{map[wire.ChatID][]modelEntry{}, map[string]wire.Seq{}}
		log := drawLog(rt)
		for i, items := range log.items {
			items = slices.DeleteFunc(items, func(it peer.Item) bool { return it.Op == peer.OpBump || it.Op == peer.OpFanoutDone })
			w.applyEntry(encode(log.times[i], items...))
			for j := range items {
				switch items[j].Op {
				case peer.OpAppend:
					m.check(rt, &items[j], &w.out.Results[j], log.times[i])
				case peer.OpCreateGroup:
					if w.out.Results[j].Flags&peer.FlagNew != 0 {
						m.entries[items[j].Chat] = []modelEntry{{string(items[j].User), "", w.out.Results[j].At}}
					}
				}
			}
			w.commit()
		}
		w.settle()
		for chat, entries := range m.entries {
			checkLog(rt, w, chat, entries)
		}
		if err := OutboxScan(w.store, func(o *Owed) bool { rt.Fatalf("still owed: %+v", o); return false }); err != nil {
			rt.Fatal(err)
		}
	})
}

// settle does what a new leader does with its outbox.
func (w *world) settle() {
	var items []peer.Item
	err := OutboxScan(w.store, func(o *Owed) bool {
		list, _, err := Members(w.store, o.Chat, nil, wire.MaxMembers, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		items = append(items,
			peer.Item{Op: peer.OpBump, Shard: 1, Chat: o.Chat, Seq: o.Last, At: o.At, User: bytes.Clone(o.From), Peer: bytes.Clone(o.Peer), List: list},
			peer.Item{Op: peer.OpFanoutDone, Shard: 1, Chat: o.Chat, Seq: o.Last})
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.applyEntry(encode(w.now, items...))
	w.commit()
}

func checkLog(t *rapid.T, w *world, chat wire.ChatID, entries []modelEntry) {
	list, _, err := Members(w.store, chat, nil, wire.MaxMembers, nil)
	if err != nil || len(list) == 0 {
		t.Fatalf("members: %q, %v", list, err)
	}
	eachID(list, func(user []byte) {
		var page RangePage
		at := wire.Seq(0)
		for page.More = true; page.More; {
			if err := Range(w.store, &RangeQuery{Chat: chat, User: user, After: at, Limit: 3}, &page); err != nil || page.Code != wire.OK {
				t.Fatalf("Range: %v, %v", err, page.Code)
			}
			for frames := page.List; len(frames) > 0; {
				var f wire.Frame
				var raw []byte
				raw, frames, _ = peer.NextBytes(frames)
				if err := wire.DecodeMsgpack(raw, &f); err != nil {
					t.Fatal(err)
				}
				at++
				if e := entries[at-1]; f.Seq != at || string(f.User) != e.sender || string(f.ClientMsgID) != e.cmid || f.At != e.at {
					t.Fatalf("entry %d reads back as %+v, it was %+v", at, f, e)
				}
			}
		}
		if at != wire.Seq(len(entries)) {
			t.Fatalf("the log ends at %d, %d were acknowledged", at, len(entries))
		}
		checkInbox(t, w, user, chat, at)
	})
}

// checkInbox pages through a user's changes and looks for the conversation.
func checkInbox(t *rapid.T, w *world, user []byte, chat wire.ChatID, last wire.Seq) {
	found := false
	p := Page{More: true}
	for p.More {
		var err error
		before := p.Stamp
		if p, err = Changes(w.store, user, nil, p.Stamp, 2, nil); err != nil || p.Stamp < before {
			t.Fatalf("Changes: %+v, %v", p, err)
		}
		for list := p.List; len(list) > 0; {
			var r peer.Row
			r, list, _ = peer.NextRow(list)
			if r.Chat == chat {
				found = true
				if r.Last != last || r.Read > r.Last || r.Delivered > r.Last {
					t.Fatalf("inbox of %s: %+v, the log ends at %d", user, r, last)
				}
			}
		}
	}
	if head, _ := UserHead(w.store, user); !found || p.Stamp != head {
		t.Fatalf("inbox of %s: found %t, stamp %d, head %d", user, found, p.Stamp, head)
	}
}

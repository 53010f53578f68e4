package fanout

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func chatID(n byte) wire.ChatID { return wire.NewChatID(wire.Group, [32]byte{n}) }

// seeing returns a Table that has looked through an empty outbox.
func seeing() *Table {
	t := New(1, MaxChats)
	t.Look()
	t.Looked()
	return t
}

// begin fans entry seq of chat n out to the shards; false: left to the outbox.
func begin(t *Table, n byte, seq wire.Seq, body string, to ...wire.ShardID) bool {
	if !t.Begin(chatID(n), seq) {
		return false
	}
	for _, s := range to {
		t.Add(s, &peer.Item{Op: peer.OpBump, Chat: chatID(n), Seq: seq, Body: []byte(body)})
	}
	t.Settle(chatID(n))
	return true
}

// sent takes what a lane sends now, as "chat.seq" words and requests.
func sent(t *Table, to wire.ShardID, now int64) (words string, reqs []uint64) {
	t.Lanes(now, func(wire.ShardID) {})
	batch := t.Take(to, nil, 1<<20, now)
	var it peer.Item
	var out []string
	for len(batch) > 0 {
		var ok bool
		if _, batch, ok = peer.Next(batch, &it); !ok {
			panic("broken batch")
		}
		if it.Shard != to {
			panic("an item in the wrong lane")
		}
		out = append(out, fmt.Sprintf("%d.%d", it.Chat[1], it.Seq))
		reqs = append(reqs, it.Req)
	}
	return strings.Join(out, " "), reqs
}

func done(t *Table) string {
	var out []string
	t.TakeDone(100, func(id wire.ChatID, seq wire.Seq) { out = append(out, fmt.Sprintf("%d.%d", id[1], seq)) })
	return strings.Join(out, " ")
}

func TestDoneNeedsEveryLaneAndEveryEntryBefore(t *testing.T) {
	tab := seeing()
	begin(tab, 7, 1, "a", 2, 3)
	begin(tab, 7, 2, "b", 2, 3)
	w2, r2 := sent(tab, 2, 0)
	w3, r3 := sent(tab, 3, 0)
	if w2 != "7.1 7.2" || w3 != "7.1 7.2" {
		t.Fatalf("sent %q and %q", w2, w3)
	}
	step := func(req uint64, want string) {
		t.Helper()
		tab.Answer(req, wire.OK, 1)
		if got := done(tab); got != want {
			t.Errorf("done %q, want %q", got, want)
		}
	}
	step(r2[1], "")
	step(r3[1], "") // 2 is everywhere, 1 is not
	step(r2[0], "")
	step(r2[0], "") // the same answer twice
	step(r3[0], "7.2")
	if n, b := tab.Waiting(); n != 0 || b != 0 || len(tab.chats) != 0 {
		t.Errorf("left: %d items, %d bytes, %d chats", n, b, len(tab.chats))
	}
}

func TestRefusedLaneGoesBackToItsOldest(t *testing.T) {
	tab := seeing()
	for s := range 4 {
		begin(tab, 7, wire.Seq(s+1), "x", 2)
	}
	_, r := sent(tab, 2, 0)
	tab.Answer(r[0], wire.OK, 1)
	if !tab.Answer(r[1], wire.CodeNotLeader, 1) {
		t.Fatal("the lane does not wait")
	}
	tab.Answer(r[2], wire.CodeNotLeader, 1) // the same refusal, again
	begin(tab, 7, 5, "x", 2)
	if w, _ := sent(tab, 2, 1+backoffMin-1); w != "" {
		t.Errorf("sent %q while it should wait", w)
	}
	if w, _ := sent(tab, 2, 1+backoffMin); w != "7.2 7.3 7.4 7.5" {
		t.Errorf("sent %q, want everything from the refused one on", w)
	}
}

func TestSilenceIsSentAgain(t *testing.T) {
	tab := seeing()
	begin(tab, 7, 1, "x", 2)
	sent(tab, 2, 100)
	if w, _ := sent(tab, 2, 100+ReplyTimeout); w != "" {
		t.Errorf("sent %q before the time", w)
	}
	w, r := sent(tab, 2, 101+ReplyTimeout)
	if w != "7.1" {
		t.Errorf("sent %q after the time, want it again", w)
	}
	tab.Answer(r[0], wire.OK, 9999)
	if got := done(tab); got != "7.1" {
		t.Errorf("done %q", got)
	}
}

func TestFullLaneLeavesItsChatToTheOutbox(t *testing.T) {
	tab := seeing()
	body := strings.Repeat("x", LaneBytes/4)
	n := wire.Seq(0)
	for begin(tab, 7, n+1, body, 2) && tab.Left == 0 {
		n++
	}
	if begin(tab, 8, 1, "small", 3) != true {
		t.Error("another lane is refused too")
	}
	if begin(tab, 7, n+2, "small", 2) {
		t.Error("an entry overtakes one that was left")
	}
	if tab.WantsLook() {
		t.Error("wants to look while the lane is full")
	}
	for range n {
		_, r := sent(tab, 2, 0)
		for _, q := range r {
			tab.Answer(q, wire.OK, 1)
		}
	}
	if got := done(tab); strings.Contains(got, "7.") {
		t.Errorf("done %q: nothing of chat 7 may be claimed after a hole", got)
	}
	if !tab.WantsLook() {
		t.Fatal("does not want to look although there is room")
	}
	tab.Look()
	if tab.Resume(chatID(7), n+1) {
		t.Error("resumed although a newer entry was left meanwhile")
	}
	tab.Look()
	if !tab.Resume(chatID(7), n+2) {
		t.Fatal("not resumed")
	}
	tab.Add(2, &peer.Item{Op: peer.OpBump, Chat: chatID(7), Seq: n + 2})
	tab.Settle(chatID(7))
	if tab.Resume(chatID(7), n+2) {
		t.Error("resumed twice")
	}
	w, r := sent(tab, 2, 2)
	if w != fmt.Sprintf("7.%d", n+2) {
		t.Fatalf("sent %q", w)
	}
	tab.Answer(r[0], wire.OK, 3)
	if got := done(tab); got != fmt.Sprintf("7.%d", n+2) {
		t.Errorf("done %q", got)
	}
	if !begin(tab, 7, n+3, "x", 2) {
		t.Error("not live again")
	}
}

func TestBlindUntilLooked(t *testing.T) {
	tab := New(1, MaxChats)
	if begin(tab, 7, 5, "x", 2) {
		t.Fatal("begun while blind")
	}
	if !tab.WantsLook() {
		t.Fatal("does not want to look")
	}
	tab.Look()
	begin(tab, 7, 6, "x", 2) // while looking
	if tab.Resume(chatID(7), 5) {
		t.Error("resumed although a newer entry was left")
	}
	if !tab.Resume(chatID(9), 3) {
		t.Error("not resumed")
	}
	tab.Looked()
	if begin(tab, 7, 7, "x", 2) {
		t.Error("begun over a hole")
	}
	if !begin(tab, 8, 1, "x", 2) {
		t.Error("still blind")
	}
	if !tab.WantsLook() {
		t.Error("forgot that chat 7 was left")
	}
}

func TestEmptyFanout(t *testing.T) {
	tab := seeing()
	begin(tab, 7, 1, "x")
	if got := done(tab); got != "7.1" {
		t.Errorf("an entry without receivers: done %q", got)
	}
}

// Whatever is refused or lost, each lane delivers each chat in order in the
// end, and nothing is claimed before it was answered everywhere.
func TestLanesDeliverAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := New(1, MaxChats)
		tab.Clear(^uint32(3)) // numbers wrap
		tab.Look()
		tab.Looked()
		var next [3]wire.Seq
		got := map[string]wire.Seq{} // newest answered per lane and chat
		now := int64(0)
		var claimed [3]wire.Seq
		round := func(lossy bool) {
			now += int64(rapid.IntRange(0, 3000).Draw(t, "ms"))
			for to := wire.ShardID(2); to < 4; to++ {
				words, reqs := sent(tab, to, now)
				for i, w := range strings.Fields(words) {
					what := 0
					if lossy {
						what = rapid.IntRange(0, 3).Draw(t, "answer")
					}
					switch what {
					case 1: // lost on the way
						continue
					case 2:
						tab.Answer(reqs[i], wire.CodeUnavailable, now)
						continue
					}
					var c int
					var s wire.Seq
					fmt.Sscanf(w, "%d.%d", &c, &s)
					k := fmt.Sprint(to, c)
					got[k] = max(got[k], s)
					tab.Answer(reqs[i], wire.OK, now)
				}
			}
			tab.TakeDone(100, func(id wire.ChatID, seq wire.Seq) {
				c := id[1]
				if seq <= claimed[c] {
					t.Fatalf("chat %d claimed %d after %d", c, seq, claimed[c])
				}
				claimed[c] = seq
				for to := 2; to < 4; to++ {
					if got[fmt.Sprint(to, c)] < seq {
						t.Fatalf("chat %d claimed up to %d, shard %d has %d", c, seq, to, got[fmt.Sprint(to, c)])
					}
				}
			})
		}
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			for range rapid.IntRange(0, 5).Draw(t, "new") {
				c := byte(rapid.IntRange(0, 2).Draw(t, "chat"))
				next[c]++
				begin(tab, c, next[c], "x", 2, 3)
			}
			round(true)
		}
		for range 10 {
			now += ReplyTimeout + backoffMax
			round(false)
		}
		for c := range next {
			if claimed[c] != next[c] {
				t.Fatalf("chat %d: claimed %d of %d", c, claimed[c], next[c])
			}
		}
	})
}

func TestAddAllocatesNothing(t *testing.T) {
	tab := seeing()
	it := peer.Item{Op: peer.OpBump, Chat: chatID(1), Body: []byte("hello")}
	seq := wire.Seq(0)
	var batch []byte
	if n := testing.AllocsPerRun(1000, func() {
		seq++
		tab.Begin(it.Chat, seq)
		it.Seq = seq
		tab.Add(2, &it)
		tab.Settle(it.Chat)
		batch = tab.Take(2, batch[:0], 1<<20, 1)
		tab.Answer(it.Req, wire.OK, 1)
		tab.TakeDone(10, func(wire.ChatID, wire.Seq) {})
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

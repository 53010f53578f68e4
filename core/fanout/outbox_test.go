package fanout

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// resume takes a conversation up again as the caller of Resume does.
func resume(t *Table, n byte, last wire.Seq, to ...wire.ShardID) bool {
	if !t.Resume(chatID(n), last) {
		return false
	}
	for _, s := range to {
		t.Add(s, &peer.Item{Op: peer.OpBump, Chat: chatID(n), Seq: last})
	}
	t.Settle(chatID(n))
	return true
}

// An outbox with more conversations than the Table follows: those that had no
// room are not overtaken by their next messages, and are taken up as soon as
// there is room.
func TestFullTableLooksAgain(t *testing.T) {
	tab := New(1, 1)
	tab.Look()
	if !resume(tab, 7, 5, 2) || resume(tab, 8, 3, 2) {
		t.Fatal("one conversation has room and the other has none")
	}
	if tab.Looked() {
		t.Error("the look counts although chat 8 was not taken up")
	}
	_, r := sent(tab, 2, 0)
	tab.Answer(r[0], wire.OK, 1)
	if got := done(tab); got != "7.5" {
		t.Fatalf("done %q", got)
	}
	if begin(tab, 8, 4, "x", 2) {
		t.Error("chat 8 goes on although 8.3 was never sent")
	}
	if !tab.WantsLook() {
		t.Fatal("does not want to look again")
	}
	tab.Look()
	if !resume(tab, 8, 4, 2) || !tab.Looked() {
		t.Fatal("chat 8 is not taken up by the second look")
	}
	_, r = sent(tab, 2, 2)
	tab.Answer(r[0], wire.OK, 3)
	if got := done(tab); got != "8.4" {
		t.Errorf("done %q", got)
	}
	if !begin(tab, 8, 5, "x", 2) {
		t.Error("not live again")
	}
}

// A message that found the Table full while it was live is not overtaken
// either.
func TestMessageWithoutRoomIsNotOvertaken(t *testing.T) {
	tab := New(1, 1)
	tab.Look()
	tab.Looked()
	begin(tab, 7, 1, "x", 2)
	if begin(tab, 8, 1, "x", 2) {
		t.Fatal("begun without room")
	}
	_, r := sent(tab, 2, 0)
	tab.Answer(r[0], wire.OK, 1)
	if got := done(tab); got != "7.1" {
		t.Fatalf("done %q", got)
	}
	if begin(tab, 8, 2, "x", 2) {
		t.Error("8.2 overtakes 8.1")
	}
	if !tab.WantsLook() {
		t.Error("8.1 is forgotten")
	}
}

// An entry that one lane had no room for is taken up again. The answer to what
// the other lane had of it the first time does not count twice.
func TestAnswersOfAnEarlierTryDoNotCount(t *testing.T) {
	tab := seeing()
	half := make([]byte, LaneBytes/2)
	begin(tab, 1, 1, string(half), 3)
	begin(tab, 2, 1, string(half[:len(half)-1000]), 3)
	begin(tab, 7, 1, string(half[:2000]), 2, 3) // lane 3 is full
	_, first := sent(tab, 2, 0)
	_, full := sent(tab, 3, 0)
	for range 2 {
		_, r := sent(tab, 3, 0)
		full = append(full, r...)
	}
	for _, q := range full {
		tab.Answer(q, wire.OK, 1)
	}
	done(tab)
	tab.Look()
	if !resume(tab, 7, 1, 2, 3) {
		t.Fatal("not taken up again")
	}
	_, second := sent(tab, 2, 2)
	tab.Answer(first[0], wire.OK, 3)
	tab.Answer(second[0], wire.OK, 3)
	if got := done(tab); got != "" {
		t.Errorf("done %q: shard 3 has not answered", got)
	}
	_, third := sent(tab, 3, 4)
	tab.Answer(third[0], wire.OK, 5)
	if got := done(tab); got != "7.1" {
		t.Errorf("done %q", got)
	}
}

// ledger is a shard as the Table's caller sees it: what was appended, what each
// lane has taken, what the outbox still holds.
type ledger struct {
	last, fanned map[byte]wire.Seq
	has          map[string]bool     // "lane chat seq" that was answered
	upto         map[uint64]wire.Seq // requests of resumed bumps: they tell of everything before
}

func (l *ledger) answer(to wire.ShardID, req uint64, chat byte, seq wire.Seq) {
	from := seq
	if _, resumed := l.upto[req]; resumed {
		from = 1
	}
	for s := from; s <= seq; s++ {
		l.has[fmt.Sprint(to, chat, s)] = true
	}
}

func (l *ledger) owed() []byte {
	var out []byte
	for _, c := range slices.Sorted(maps.Keys(l.last)) {
		if l.fanned[c] < l.last[c] {
			out = append(out, c)
		}
	}
	return out
}

// However small the Table, whatever comes while it looks: nothing is cleared
// from the outbox that some lane has not taken, and in the end nothing is left.
func TestNothingIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := New(1, rapid.IntRange(1, 3).Draw(t, "most"))
		l := &ledger{last: map[byte]wire.Seq{}, fanned: map[byte]wire.Seq{}, has: map[string]bool{}, upto: map[uint64]wire.Seq{}}
		now := int64(1)
		add := func(c byte, seq wire.Seq, resumed bool) {
			for to := wire.ShardID(2); to < 4; to++ {
				it := peer.Item{Op: peer.OpBump, Chat: chatID(c), Seq: seq}
				tab.Add(to, &it)
				if resumed {
					l.upto[it.Req] = seq
				}
			}
			tab.Settle(chatID(c))
		}
		say := func() {
			c := byte(rapid.IntRange(1, 5).Draw(t, "chat"))
			l.last[c]++
			if tab.Begin(chatID(c), l.last[c]) {
				add(c, l.last[c], false)
			}
		}
		answers := func() {
			now++
			for to := wire.ShardID(2); to < 4; to++ {
				batch := tab.Take(to, nil, 1<<20, now)
				for it := (peer.Item{}); len(batch) > 0; {
					_, batch, _ = peer.Next(batch, &it)
					l.answer(to, it.Req, it.Chat[1], it.Seq)
					tab.Answer(it.Req, wire.OK, now)
				}
			}
		}
		clears := func() {
			lost := rapid.IntRange(0, 3).Draw(t, "lost") == 0
			tab.TakeDone(2, func(id wire.ChatID, seq wire.Seq) {
				c := id[1]
				for to := 2; to < 4; to++ {
					for s := l.fanned[c] + 1; s <= seq; s++ {
						if !l.has[fmt.Sprint(to, c, s)] {
							t.Fatalf("%d.%d is cleared and shard %d was not told", c, s, to)
						}
					}
				}
				if lost {
					tab.LookFailed()
					return
				}
				l.fanned[c] = max(l.fanned[c], seq)
			})
		}
		look := func(busy bool) {
			tab.Look()
			for _, c := range l.owed() {
				last := l.last[c] // read, and then something happens
				for busy && rapid.Bool().Draw(t, "meanwhile") {
					rapid.SampledFrom([]func(){say, answers, clears}).Draw(t, "what")()
				}
				if tab.Resume(chatID(c), last) {
					add(c, last, true)
				}
			}
			tab.Looked()
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				say()
			case 3:
				answers()
			case 4:
				clears()
			case 5:
				if tab.WantsLook() {
					look(true)
				}
			}
		}
		for range 100 {
			if tab.WantsLook() {
				look(false)
			}
			answers()
			clears()
		}
		if owed := l.owed(); len(owed) > 0 {
			t.Fatalf("chats %v are still owed", owed)
		}
	})
}

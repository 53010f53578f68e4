package session

import (
	"math/rand/v2"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// world is a core and a client in miniature around one session: logs that
// grow, pushes that arrive late, answers that arrive late or never, a socket
// that is slow, leaders that change. It is the session's Actions.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	l      *Loop
	s      Session
	last   map[wire.ChatID]wire.Seq    // of each log
	stamps map[wire.ChatID]wire.Cursor // when each row last changed
	head   wire.Cursor
	pushes []Push                   // on their way, in order
	asks   []*Ask                   // without an answer
	items  []peer.Item              // what was asked
	high   map[wire.ChatID]wire.Seq // what the client has of each log
	held   int                      // bytes the socket has not taken
	synced int
	live   bool // the leader knows the session
}

// Send implements Actions: the client takes the frame and looks for gaps.
func (w *world) Send(b []byte) {
	w.held += len(b)
	var f wire.Frame
	if err := wire.DecodeMsgpack(b, &f); err != nil {
		w.t.Fatal(err)
	}
	switch {
	case f.Op == wire.OpSynced:
		w.synced++
	case f.Op == wire.OpNewMessage && f.Seq > w.high[f.Chat]+1:
		w.t.Fatalf("chat %d: message %d came when the client had %d", f.Chat[15], f.Seq, w.high[f.Chat])
	case f.Op == wire.OpNewMessage:
		w.high[f.Chat] = max(w.high[f.Chat], f.Seq)
	}
}

// Pong implements Actions.
func (w *world) Pong([]byte) {}

// Close implements Actions.
func (w *world) Close(_ uint16, why wire.Code) { w.t.Fatalf("closed: %v", why) }

// Authenticate implements Actions.
func (w *world) Authenticate([]byte) {}

// Wake implements Actions.
func (w *world) Wake(wire.Millis) {}

// Parted implements Actions.
func (w *world) Parted(*Parting) {}

// Core implements Actions. Now and then nobody is in reach.
func (w *world) Core(it *peer.Item, tag uint32) bool {
	if w.rng.IntN(10) == 0 {
		return false
	}
	w.asks = append(w.asks, &Ask{Op: it.Op, Chat: it.Chat, Tag: tag})
	w.items = append(w.items, *it)
	return true
}

// appendMessage grows a log, and the leader pushes.
func (w *world) appendMessage() {
	chat := storyChat(byte(1 + w.rng.IntN(4)))
	w.last[chat]++
	w.head++
	w.stamps[chat] = w.head
	if w.live {
		seq := w.last[chat]
		w.pushes = append(w.pushes, Push{Op: wire.OpNewMessage, Chat: chat, Seq: seq, Frame: storyMessage(chat, seq, 0)})
	}
}

// answer brings the answer to request i, as a core at this moment would.
func (w *world) answer(i int) {
	ask, it := w.asks[i], w.items[i]
	w.asks = append(w.asks[:i], w.asks[i+1:]...)
	w.items = append(w.items[:i], w.items[i+1:]...)
	r := &peer.Item{Op: peer.OpReply}
	switch fate := w.rng.IntN(12); {
	case fate == 0:
		w.s.Lost(w.l, w, ask)
		return
	case fate == 1:
		r.Code, r.Node = wire.CodeNotLeader, wire.NodeID(w.rng.IntN(2))
	case it.Op == peer.OpOpen:
		w.live = true
		r.Stamp, r.After = w.head, it.After
	case it.Op == peer.OpChanges:
		w.changes(&it, r)
	case it.Op == peer.OpRange:
		w.pull(&it, r)
	}
	w.s.CoreReply(w.l, w, ask, r)
}

func (w *world) changes(it, r *peer.Item) {
	for stamp := wire.Cursor(it.After) + 1; stamp <= w.head; stamp++ {
		for chat, at := range w.stamps {
			if at != stamp {
				continue
			}
			if w.rng.IntN(3) == 0 && len(r.List) > 0 { // pages are short here
				r.Flags = peer.FlagMore
				return
			}
			have := w.high[chat] - min(w.high[chat], wire.Seq(w.rng.IntN(3))) // not all of it is acknowledged yet
			r.List = peer.AppendRow(r.List, &peer.Row{Chat: chat, Last: w.last[chat], Delivered: have, Stamp: at})
		}
	}
	r.Stamp = w.head
}

func (w *world) pull(it, r *peer.Item) {
	for seq := wire.Seq(it.After) + 1; seq <= w.last[it.Chat]; seq++ {
		if w.rng.IntN(4) == 0 && len(r.List) > 0 {
			r.Flags = peer.FlagMore
			return
		}
		r.List = peer.AppendBytes(r.List, storyMessage(it.Chat, seq, 0))
	}
}

func (w *world) deliver() {
	p := w.pushes[0]
	w.pushes = w.pushes[1:]
	w.s.Deliver(w.l, w, &p)
}

// drain lets the socket take what it holds, or some of it.
func (w *world) drain(all bool) {
	if w.held = w.rng.IntN(w.held + 1); all {
		w.held = 0
	}
	w.s.OutboundBuffered(w.l, w, w.held)
}

// step lets one thing happen.
func (w *world) step() {
	w.l.Now += wire.Millis(w.rng.IntN(50))
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.appendMessage()
	case n < 55 && len(w.asks) > 0:
		w.answer(w.rng.IntN(len(w.asks)))
	case n < 75 && len(w.pushes) > 0:
		w.deliver()
	case n < 90:
		w.drain(false)
	case n < 97:
		w.s.Tick(w.l, w)
	case n < 99:
		w.s.Resync(w.l, w)
	default: // a new leader: what the old one had not pushed is gone
		w.live, w.pushes = false, nil
		w.s.Reopen(w.l, w)
	}
}

// settle lets the world come to rest.
func (w *world) settle() {
	for range 100_000 {
		switch {
		case len(w.pushes) > 0:
			w.deliver()
		case len(w.asks) > 0:
			w.answer(0)
		case w.held > 0:
			w.drain(true)
		case w.s.sync == nil && w.live:
			return
		default:
			w.l.Now += RetryEvery
			w.s.Message(w.l, w, wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpPong}))
			w.s.Tick(w.l, w)
		}
	}
	w.t.Fatal("the sync does not end")
}

// TestNoGapsWhateverHappens plays random worlds: the client sees every log
// from its first message to its last without a gap.
func TestNoGapsWhateverHappens(t *testing.T) {
	for seed := range uint64(300) {
		cfg := unlimited()
		cfg.OutboundLow, cfg.OutboundSoft = 200, 600
		w := &world{
			t: t, rng: rand.New(rand.NewPCG(seed, 1)), l: newLoop(t, cfg),
			last: map[wire.ChatID]wire.Seq{}, stamps: map[wire.ChatID]wire.Cursor{}, high: map[wire.ChatID]wire.Seq{},
		}
		for range w.rng.IntN(50) {
			w.appendMessage()
		}
		w.s.Start(w.l, w, 7, wire.Msgpack, &Identity{User: "alice"})
		w.s.Message(w.l, w, wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpHello}))
		for range 300 {
			w.l.Tight = w.rng.IntN(3) == 0
			w.step()
		}
		w.settle()
		for chat, last := range w.last {
			if w.high[chat] != last {
				t.Fatalf("seed %d: chat %d: the client has %d of %d", seed, chat[15], w.high[chat], last)
			}
		}
		if w.synced == 0 || w.l.Counters.Syncs.Load() == 0 {
			t.Fatalf("seed %d: never synced", seed)
		}
	}
}

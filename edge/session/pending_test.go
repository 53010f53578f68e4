package session

import (
	"math/rand/v2"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func TestPending(t *testing.T) {
	p := NewPending(2)
	a := peer.Item{Op: peer.OpAppend, Chat: storyChat(1), ClientMsgID: []byte("m-1")}
	b := peer.Item{Op: peer.OpMark, Chat: storyChat(2)}
	c := peer.Item{Op: peer.OpOpen}
	if !p.Add(0, 7, 1, &a, 3) || !p.Add(5, 8, 2, &b, 4) || p.Add(5, 9, 2, &c, 5) || p.Len() != 2 {
		t.Fatalf("want room for two; %d are in", p.Len())
	}
	ask, ok := p.Take(a.Req)
	if !ok || ask.Session != 7 || ask.Chat != a.Chat || ask.Tag != 3 || ask.Node != 1 || ask.Op != peer.OpAppend || string(ask.ClientMsgID) != "m-1" {
		t.Errorf("took %+v, %v", ask, ok)
	}
	first := a.Req
	if !p.Add(6, 7, 1, &a, 9) || a.Req == first {
		t.Error("the number was used again")
	}
	for _, stale := range []uint64{first, 0, 1 << 40, b.Req + 1<<32, 1<<64 - 1} {
		if _, ok := p.Take(stale); ok {
			t.Errorf("took %x, which was never asked or is answered", stale)
		}
	}
	var lost []wire.SessionID
	note := func(a *Ask) { lost = append(lost, a.Session) }
	p.Expire(RequestTimeout+4, note)
	if len(lost) != 0 {
		t.Errorf("%v expired too early", lost)
	}
	p.Expire(RequestTimeout+5, note)
	if len(lost) != 1 || lost[0] != 8 {
		t.Errorf("expired %v, want session 8", lost)
	}
	p.FailNode(2, note)
	p.FailNode(1, note)
	if len(lost) != 2 || lost[1] != 7 || p.Len() != 0 {
		t.Errorf("lost %v; %d are left", lost, p.Len())
	}
}

// TestPendingAgainstModel plays random calls, among them losses that ask
// again, against a map.
func TestPendingAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := NewPending(50)
	type entry struct {
		at   wire.Millis
		node wire.NodeID
	}
	model := map[uint64]entry{}
	var now wire.Millis
	add := func() {
		it := peer.Item{Op: peer.OpReceipt}
		node := wire.NodeID(rng.IntN(3))
		if p.Add(now, 1, node, &it, 0) != (len(model) < 50) {
			t.Fatalf("%d are in, but Add said otherwise", len(model))
		}
		if len(model) < 50 {
			model[it.Req] = entry{now, node}
		}
	}
	for range 20_000 {
		now += wire.Millis(rng.IntN(100))
		again := rng.IntN(2) == 0
		count := 0
		lost := func(*Ask) {
			if count++; again && count == 1 {
				defer add()
			}
		}
		gone := 0
		remove := func(which func(entry) bool) {
			for req, e := range model {
				if which(e) {
					delete(model, req)
					gone++
				}
			}
		}
		switch rng.IntN(20) {
		case 0:
			node := wire.NodeID(rng.IntN(3))
			remove(func(e entry) bool { return e.node == node })
			p.FailNode(node, lost)
		case 1, 2, 3:
			for req := range model {
				delete(model, req)
				if _, ok := p.Take(req); !ok {
					t.Fatalf("%x is not there", req)
				}
				break
			}
		default:
			add()
		}
		if count != gone {
			t.Fatalf("lost %d, want %d", count, gone)
		}
		count, gone = 0, 0
		remove(func(e entry) bool { return e.at+RequestTimeout <= now })
		if p.Expire(now, lost); count != gone || p.Len() != len(model) {
			t.Fatalf("expired %d, want %d; %d are left, want %d", count, gone, p.Len(), len(model))
		}
	}
}

func TestLimiter(t *testing.T) {
	var g gcra
	now := storyStart
	for i := range 10 {
		if wait := g.allow(now, 100, 10); wait != 0 {
			t.Fatalf("cell %d of the burst has to wait %d ms", i, wait)
		}
	}
	if wait := g.allow(now, 100, 10); wait != 10 {
		t.Errorf("after the burst: wait %d ms, want 10", wait)
	}
	taken := 0
	for range 1000 {
		now++
		if g.allow(now, 100, 10) == 0 {
			taken++
		}
	}
	if taken != 100 {
		t.Errorf("%d in a second, want 100", taken)
	}
	if wait := g.allow(now, 0, 0); wait != 0 {
		t.Error("a rate of zero is no limit")
	}
}

func TestConfigCheck(t *testing.T) {
	if cfg := Defaults(); cfg.Check() != nil {
		t.Error(cfg.Check())
	}
	if cfg := Defaults().WithContent(wire.MaxContentCeiling); cfg.Check() != nil {
		t.Error(cfg.Check())
	}
	for name, edit := range map[string]func(*Config){
		"heartbeat": func(c *Config) { c.Heartbeat = 10 },
		"content":   func(c *Config) { c.MaxContent = 0 },
		"in flight": func(c *Config) { c.InFlight = 0 },
		"rate":      func(c *Config) { c.SendBurst = 0 },
		"marks":     func(c *Config) { c.OutboundLow = c.OutboundSoft + 1 },
		"room":      func(c *Config) { c.OutboundHard = c.OutboundSoft + 1 },
	} {
		cfg := Defaults()
		edit(&cfg)
		if _, err := NewLoop(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

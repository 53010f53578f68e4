package session

import (
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// On a tight loop a push to a socket that is behind is shed and comes with a
// sync once the socket has drained; a socket that keeps up notices nothing.
func TestTightLoop(t *testing.T) {
	l := newLoop(t, unlimited())
	behind, out := liveSession(t, l, wire.JSON)
	keeps, other := liveSession(t, l, wire.JSON)
	frame := wire.Append(nil, &wire.Frame{Op: wire.OpNewMessage, Chat: storyChat(1), Seq: 1}, wire.JSON)
	push := &Push{Op: wire.OpNewMessage, Chat: storyChat(1), Seq: 1, Frame: frame}

	behind.OutboundBuffered(l, out, 1000)
	out.sent = 0
	if behind.Deliver(l, out, push); out.sent != 1 {
		t.Fatalf("%d frames while there is room for all", out.sent)
	}
	l.Tight = true
	behind.OutboundBuffered(l, out, 1000)
	if behind.Deliver(l, out, push); out.sent != 1 || l.Counters.ShedTight.Load() != 1 {
		t.Errorf("%d frames, %d shed, want the second one shed", out.sent, l.Counters.ShedTight.Load())
	}
	other.sent = 0
	for range 2 { // both before the driver has written the first
		keeps.Deliver(l, other, push)
	}
	if other.sent != 2 {
		t.Errorf("%d frames to a socket that keeps up, want 2", other.sent)
	}
	asks := out.asks
	if behind.OutboundBuffered(l, out, 1); out.asks != asks {
		t.Error("it syncs before the socket has drained")
	}
	if behind.OutboundBuffered(l, out, 0); out.asks != asks+1 || out.item.Op != peer.OpChanges {
		t.Errorf("%d requests after the socket has drained, want one for the changes", out.asks-asks)
	}
}

// On a tight loop whoever holds anything for SlowFor ends, and so does who
// makes the edge answer and does not read.
func TestTightLoopEnds(t *testing.T) {
	l := newLoop(t, unlimited())
	l.Tight = true
	stuck, out := liveSession(t, l, wire.JSON)
	stuck.OutboundBuffered(l, out, 1)
	l.Now += SlowFor
	if stuck.Tick(l, out); out.closed != wire.CodeSlowReader {
		t.Errorf("after %d ms: closed with %v", SlowFor, out.closed)
	}
	asker, out := liveSession(t, l, wire.JSON)
	asker.OutboundBuffered(l, out, l.cfg.OutboundSoft)
	if asker.Message(l, out, wire.Append(nil, &wire.Frame{Op: wire.OpPing}, wire.JSON)); out.closed != wire.CodeSlowReader {
		t.Errorf("above the soft limit: closed with %v", out.closed)
	}
}

// A flood of pings of either kind, or of fragments that bring nothing, ends; a client that pauses starts afresh, and
// refused sends do not count: those a client has to repeat.
func TestPingFlood(t *testing.T) {
	cfg := Defaults()
	cfg.OpsRate, cfg.OpsBurst, cfg.SendRate, cfg.SendBurst = 10, 10, 1, 1
	ping := wire.Append(nil, &wire.Frame{Op: wire.OpPing}, wire.JSON)
	send := wire.Append(nil, &wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m"), Content: []byte("x")}, wire.JSON)
	control, fragment := []byte{0x89, 0x80, 0, 0, 0, 0}, []byte{0x01, 0x80, 0, 0, 0, 0}
	for name, once := range map[string]func(*Session, *Loop, *nowhere){
		"op":      func(s *Session, l *Loop, out *nowhere) { s.Message(l, out, ping) },
		"control": func(s *Session, l *Loop, out *nowhere) { s.Receive(l, out, append([]byte(nil), control...)) },
		"fragments without a byte": func(s *Session, l *Loop, out *nowhere) {
			s.Receive(l, out, append([]byte(nil), fragment...))
			fragment[0] = 0 // the next ones continue it
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t, cfg)
			s, out := liveSession(t, l, wire.JSON)
			l.Now += 10_000
			for range 2 {
				for range cfg.OpsBurst + MaxStrikes - 1 {
					once(s, l, out)
					s.OutboundBuffered(l, out, 0)
				}
				for range 2 * MaxStrikes {
					s.Message(l, out, send)
					s.OutboundBuffered(l, out, 0)
				}
				if s.State() != Live {
					t.Fatalf("ended too early with %v", out.closed)
				}
				l.Now += 1000
			}
			for range cfg.OpsBurst + MaxStrikes {
				once(s, l, out)
				s.OutboundBuffered(l, out, 0)
			}
			if s.State() != Closed || out.closed != wire.CodeTooFast {
				t.Errorf("the flood goes on: %v, %v", s.State(), out.closed)
			}
		})
	}
}

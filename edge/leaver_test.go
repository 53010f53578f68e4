package edge

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Who acknowledges and closes at once has acknowledged: the same device gets
// nothing a second time.
func TestAckThenClose(t *testing.T) {
	for name, end := range map[string]func(*websocket.Conn) error{
		"close frame": func(ws *websocket.Conn) error { return ws.Close(websocket.StatusNormalClosure, "") },
		"cut":         func(ws *websocket.Conn) error { return ws.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil)
			alice, _ := f.connect("alice", "phone", wire.Msgpack)
			alice.message("bob", "m1", "one")
			bob, missed := f.connect("bob", "web", wire.JSON)
			if news := messages(missed); news != 1 {
				t.Fatalf("%d messages at first, want 1", news)
			}
			bob.send(&wire.Frame{Op: wire.OpAckDelivered, Chat: wire.DirectChat("alice", "bob"), Seq: 1})
			if err := end(bob.ws); err != nil {
				t.Fatal(err)
			}
			eventually(t, "nothing is under way", func() bool { return f.core.Count(peer.OpMark) == 1 && !f.leaving() })
			if _, missed := f.connect("bob", "web", wire.JSON); messages(missed) != 0 {
				t.Errorf("delivered again: %+v", missed)
			}
			if _, missed := f.connect("bob", "phone", wire.JSON); messages(missed) != 1 {
				t.Errorf("another device got %+v, want the message", missed)
			}
		})
	}
}

// A core that does not answer does not keep what is left behind alive.
func TestLeaverEndsWithoutAnswer(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	alice.message("bob", "m1", "one")
	bob, _ := f.connect("bob", "web", wire.JSON)
	f.core.Silence(true)
	bob.send(&wire.Frame{Op: wire.OpAckDelivered, Chat: wire.DirectChat("alice", "bob"), Seq: 1})
	_ = bob.ws.CloseNow()
	eventually(t, "the receipt is under way", func() bool { return f.core.Count(peer.OpReceipt) == 1 && f.leaving() })
	f.core.Stop()
	eventually(t, "it is given up", func() bool { return !f.leaving() })
	if n := f.srv.sum(func(l *loop) uint64 { return l.shared.Counters.AcksGivenUp.Load() }); n != 1 {
		t.Errorf("%d receipts were counted as given up, want 1", n)
	}
}

// A graceful stop lets the receipts of those who leave be stored.
func TestShutdownStoresReceipts(t *testing.T) {
	f := start(t, func(c *Config) { c.DrainFor = 10 * time.Millisecond })
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	alice.message("bob", "m1", "one")
	bob, _ := f.connect("bob", "web", wire.JSON)
	bob.send(&wire.Frame{Op: wire.OpAckDelivered, Chat: wire.DirectChat("alice", "bob"), Seq: 1})
	bob.send(&wire.Frame{Op: wire.OpPing})
	bob.expect(wire.OpPong)
	for _, c := range []*client{alice, bob} {
		go func() { _, _ = c.closed() }()
	}
	if err := f.srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := f.core.Count(peer.OpMark); n != 1 {
		t.Errorf("%d marks when the edge was closed, want 1", n)
	}
}

// leaving reports whether somebody left receipts under way.
func (f *fleet) leaving() bool {
	for _, l := range f.srv.loops {
		if l.n.leaving.Load() > 0 {
			return true
		}
	}
	return false
}

func messages(frames []wire.Frame) (n int) {
	for _, fr := range frames {
		if fr.Op == wire.OpNewMessage {
			n++
		}
	}
	return n
}

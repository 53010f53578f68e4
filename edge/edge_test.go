package edge

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/edge/edgetest"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Two people chat: stored, delivered, read, in either format.
func TestChat(t *testing.T) {
	for name, format := range bothFormats {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil)
			alice, _ := f.connect("alice", "phone", wire.Msgpack)
			bob, _ := f.connect("bob", "web", format)

			ack := alice.message("bob", "m1", "hello \x00\xff") // not UTF-8: base64 in text frames
			got := bob.expect(wire.OpNewMessage)
			if got.Chat != wire.DirectChat("alice", "bob") || got.Seq != ack.Seq || string(got.User) != "alice" || string(got.Content) != "hello \x00\xff" {
				t.Fatalf("bob got %+v", got)
			}
			bob.send(&wire.Frame{Op: wire.OpAckDelivered, Chat: got.Chat, Seq: got.Seq})
			if st := alice.expect(wire.OpStatusUpdate); st.Status != wire.StatusDelivered || string(st.User) != "bob" {
				t.Fatalf("first status %+v", st)
			}
			bob.send(&wire.Frame{Op: wire.OpAckRead, Chat: got.Chat, Seq: got.Seq})
			if st := alice.expect(wire.OpStatusUpdate); st.Status != wire.StatusRead {
				t.Fatalf("second status %+v", st)
			}
			bob.send(&wire.Frame{Op: wire.OpTyping, Chat: got.Chat, Typing: wire.TypingStart})
			if ty := alice.expect(wire.OpTyping); ty.Typing != wire.TypingStart || string(ty.User) != "bob" {
				t.Fatalf("typing %+v", ty)
			}
			bob.send(&wire.Frame{Op: wire.OpPing})
			bob.expect(wire.OpPong)
		})
	}
}

// What was sent while a device was away arrives in order on reconnect.
func TestOffline(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	const n = 300
	for i := range n {
		alice.message("bob", fmt.Sprint("m", i), fmt.Sprint("number ", i))
	}
	bob, missed := f.connect("bob", "web", wire.JSON)
	want := 0
	for _, fr := range missed {
		if fr.Op != wire.OpNewMessage {
			continue
		}
		if fr.Seq != wire.Seq(want+1) || string(fr.Content) != fmt.Sprint("number ", want) {
			t.Fatalf("message %d is seq %d %q", want, fr.Seq, fr.Content)
		}
		want++
	}
	if want != n {
		t.Fatalf("%d messages after reconnect, want %d", want, n)
	}
	bob.send(&wire.Frame{Op: wire.OpAckDelivered, Chat: wire.DirectChat("alice", "bob"), Seq: n})
	alice.message("bob", "live", "now")
	if got := bob.expect(wire.OpNewMessage); got.Seq != n+1 {
		t.Fatalf("live message has seq %d", got.Seq)
	}
}

// A bearer token on the upgrade signs in; hello then needs none.
func TestBearer(t *testing.T) {
	f := start(t, nil)
	c, _, err := f.dial(wire.JSON, bearer(f.token("alice", "phone")))
	if err != nil {
		t.Fatal(err)
	}
	c.send(&wire.Frame{Op: wire.OpHello})
	if w := c.expect(wire.OpWelcome); string(w.User) != "alice" || string(w.Device) != "phone" || w.HeartbeatS != 30 || w.Limits.Content != wire.MaxContent {
		t.Fatalf("welcome %+v", w)
	}
}

// Frames as large as allowed pass, in pieces and whole, also under load of
// others; larger ones end the connection with a number.
func TestLargeFrames(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob, _ := f.connect("bob", "web", wire.JSON)
	content := bytes.Repeat([]byte("x"), wire.MaxContent)
	alice.message("bob", "big", string(content))
	if got := bob.expect(wire.OpNewMessage); !bytes.Equal(got.Content, content) {
		t.Fatalf("%d bytes arrived, want %d", len(got.Content), len(content))
	}
	alice.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("huge"), Content: bytes.Repeat([]byte("x"), 2*wire.MaxContent)})
	if status, code := alice.closed(); status != 1009 || code != wire.CodeFrameTooBig {
		t.Fatalf("closed with %d, error %d", status, code)
	}
}

// A restarted core knows no sessions; the edge opens them again and nothing
// is missed.
func TestCoreRestart(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob, _ := f.connect("bob", "web", wire.Msgpack)
	alice.message("bob", "m1", "before")
	bob.expect(wire.OpNewMessage)

	f.core.Stop()
	alice.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m2"), Content: []byte("x")})
	for {
		if e := alice.next(); e.Op == wire.OpError {
			if e.Code != wire.CodeUnavailable || !e.Retryable || e.RetryAfter == 0 || string(e.ClientMsgID) != "m2" {
				t.Fatalf("while the core is away: %+v", e)
			}
			break
		}
	}
	f.core.Start()
	eventually(t, "both sessions are open again", func() bool { return f.core.Sessions("alice") == 1 && f.core.Sessions("bob") == 1 })
	alice.message("bob", "m2", "after")
	for {
		if got := bob.expect(wire.OpNewMessage); got.Seq == 2 {
			if string(got.Content) != "after" {
				t.Fatalf("bob got %+v", got)
			}
			return
		}
	}
}

// An answer that names another leader moves the questions there.
func TestNotLeader(t *testing.T) {
	f := start(t, nil)
	two := edgetest.NewCore(f.hub, coreTwo)
	t.Cleanup(two.Stop)
	f.map_.Publish(testMap(t, 2, coreID, coreTwo))
	f.core.Refuse(wire.CodeNotLeader, coreTwo)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	if two.Count(peer.OpOpen) == 0 {
		t.Fatal("the session was not opened at the leader that was named")
	}
	// The first send meets the old leader of another shard; its retry does not.
	send := wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m1"), Content: []byte("hi")}
	alice.send(&send)
	if e := alice.next(); e.Op == wire.OpError && e.Code == wire.CodeUnavailable {
		alice.send(&send)
	} else if e.Op == wire.OpAckSent {
		return
	}
	alice.expect(wire.OpAckSent)
}

// Sends of one turn go to a core in one batch.
func TestBatching(t *testing.T) {
	f := start(t, func(c *Config) { c.Loops = 1 })
	alice := f.rawHello("alice", "phone")
	before := f.core.Batches()
	const n = 100
	var burst []byte
	for i := range n {
		fr := wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: fmt.Append(nil, i), Content: []byte("x")}
		burst = appendClientFrame(burst, &fr)
	}
	alice.write(burst)
	for range n {
		alice.expect(wire.OpAckSent)
	}
	if got := f.core.Batches() - before; got > n/5 {
		t.Errorf("%d sends took %d batches", n, got)
	}
}

// Nobody can write what only the server says.
func TestReservedKind(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.JSON)
	bob, _ := f.connect("bob", "web", wire.Msgpack)
	alice.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m1"), Kind: []byte(wire.KindGroupCreated), Content: []byte("x")})
	if e := alice.next(); e.Op != wire.OpError || e.Code != wire.CodeBadField || string(e.ClientMsgID) != "m1" || !contains(string(e.Message), "send_message.kind") {
		t.Fatalf("a forged entry got %+v", e)
	}
	alice.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m2"), Kind: []byte("poll"), Content: []byte("y")})
	if got := bob.expect(wire.OpNewMessage); got.Seq != 1 || string(got.Kind) != "poll" {
		t.Errorf("bob got %+v", got)
	}
}

package edge

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/edge/edgetest"
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A leader that stopped answers nothing and its link looks well. Once another
// core says that it leads, nobody waits for the first one any longer.
func TestNewLeaderEndsTheWaitForTheOld(t *testing.T) {
	f := start(t, nil)
	c := f.rawHello("alice", "phone")
	f.core.Silence(true)
	c.write(appendClientFrame(nil, &wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("id-1"), Content: []byte("hello")}))
	for end := time.Now().Add(5 * time.Second); f.core.Count(peer.OpAppend) == 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the send did not reach the core")
		}
	}
	began := time.Now()
	second := edgetest.NewCore(f.hub, coreID+1, f.map_.Current().Shards()...)
	defer second.Stop()
	got, _, err := c.read()
	for err == nil && got.Op != wire.OpError {
		got, _, err = c.read()
	}
	if err != nil || got.Code != wire.CodeUnavailable || string(got.ClientMsgID) != "id-1" {
		t.Fatalf("the send ends with %v %v for %q, %v", got.Op, got.Code, got.ClientMsgID, err)
	}
	if d := time.Since(began); d > time.Duration(session.RequestTimeout)*time.Millisecond/2 {
		t.Errorf("the client heard after %v", d)
	}
	c.write(appendClientFrame(nil, &wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("id-1"), Content: []byte("hello")}))
	c.expect(wire.OpAckSent)
}

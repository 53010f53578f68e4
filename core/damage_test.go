package core

import (
	"strings"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A node whose Raft log cannot be used is out of service and says so: it is
// not ready, its shards lead nowhere, and who waits for it to start is told.
func TestBrokenRaftLog(t *testing.T) {
	w := newWorld(t, 1, 2)
	n := w.cores[1]
	w.edge.say("alice", "bob", "before", 1)
	n.breaks("gap in entries")
	if err := n.Check(); err == nil || !strings.Contains(err.Error(), "stopped on this node") {
		t.Errorf("the check: %v", err)
	}
	if err := n.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "gap in entries") {
		t.Errorf("the start: %v", err)
	}
	r, _ := w.edge.try(peer.Item{Op: peer.OpAppend, Shard: 1, Chat: aliceBob, User: []byte("alice"), Peer: []byte("bob"), ClientMsgID: []byte("x"), Body: []byte("x")})
	if r.Code != wire.CodeStorage && r.Code != wire.CodeNotLeader {
		t.Errorf("a write: %v", r.Code)
	}
	n.broken.Store(nil) // what hangs in earnest does not here: close it all
}

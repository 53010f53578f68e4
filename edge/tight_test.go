package edge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/wire"
)

// A loop above its part of the outbound budget holds no more for a reader that
// does not read, and the reader still gets everything once it reads.
func TestOutboundBudget(t *testing.T) {
	f := start(t, func(c *Config) { c.Loops = 1 })
	l := f.srv.loops[0]
	l.share = 32 << 10
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob := f.rawHello("bob", "web")
	content := strings.Repeat("x", wire.MaxContent)
	const n = 200 // 13 MiB: more than the kernel's buffers
	for i := range n {
		alice.message("bob", fmt.Sprint(i), content)
	}
	held := l.n.held.Load()
	if most := l.share + int64(wire.MaxFrame(wire.Msgpack, wire.MaxContent)); held == 0 || held > most {
		t.Errorf("the loop holds %d bytes, want some and at most %d", held, most)
	}
	if !contains(string(scrape(t, f.srv)), fmt.Sprintf("godwit_edge_outbound_held_bytes %d", held)) {
		t.Error("not in the metrics")
	}
	if l.shared.Counters.ShedTight.Load() == 0 {
		t.Error("what was shed is not counted")
	}
	for seen := wire.Seq(0); seen < n; {
		fr, status, err := bob.read()
		if err != nil || status != 0 {
			t.Fatalf("after %d messages: close %d, %v", seen, status, err)
		}
		if fr.Op == wire.OpNewMessage {
			if fr.Seq > seen+1 {
				t.Fatalf("seq %d after %d", fr.Seq, seen)
			}
			seen = max(seen, fr.Seq)
		}
	}
	bob.expect(wire.OpSynced)
	if held := l.n.held.Load(); held != 0 {
		t.Errorf("%d bytes are held for nobody", held)
	}
}

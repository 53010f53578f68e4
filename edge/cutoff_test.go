package edge

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/godwit-im/godwit/wire"
)

// An edge that reaches no core answers what is sent, sends its clients away,
// lets nobody in, and serves again when a core is back.
func TestCutOffEdgeSendsItsClientsAway(t *testing.T) {
	f := start(t, func(c *Config) { c.CutOff, c.DrainFor = 300*time.Millisecond, 100*time.Millisecond })
	c, _ := f.connect("alice", "phone", wire.Msgpack)
	f.core.Stop()
	eventually(t, "the edge is not ready", func() bool { return f.srv.Ready() != nil })

	c.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("one"), Content: []byte("hello")})
	if e := c.expect(wire.OpError); e.Code != wire.CodeUnavailable || e.RetryAfter == 0 || string(e.ClientMsgID) != "one" {
		t.Errorf("a send was answered %+v, want unavailable and when to retry", e)
	}
	if _, resp, err := f.dial(wire.Msgpack, nil); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("an upgrade was answered %+v, %v; want 503 with Retry-After", resp, err)
	}
	c.expect(wire.OpGoingAway)
	if status, _ := c.closed(); status != websocket.StatusGoingAway {
		t.Errorf("closed with %d, want 1001", status)
	}
	eventually(t, "the client is gone", func() bool { return f.srv.Connections() == 0 })

	f.core.Start()
	eventually(t, "the edge is ready", func() bool { return f.srv.Ready() == nil })
	again, _ := f.connect("alice", "phone", wire.Msgpack)
	again.message("bob", "two", "hello")
	if n := f.srv.n.cutOffs.Load(); n != 1 {
		t.Errorf("%d cut-offs counted, want 1", n)
	}
}

// A core that restarts in time costs nobody the connection.
func TestShortCutLeavesClientsConnected(t *testing.T) {
	f := start(t, func(c *Config) { c.CutOff = time.Minute })
	c, _ := f.connect("alice", "phone", wire.Msgpack)
	f.core.Stop()
	eventually(t, "the edge is not ready", func() bool { return f.srv.Ready() != nil })
	f.core.Start()
	eventually(t, "the edge is ready", func() bool { return f.srv.Ready() == nil })
	eventually(t, "a message is taken on the old connection", func() bool {
		c.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("one"), Content: []byte("hello")})
		for {
			if a := c.next(); a.Op == wire.OpAckSent || a.Op == wire.OpError {
				return a.Op == wire.OpAckSent
			}
		}
	})
	if n := f.srv.n.cutOffs.Load(); n != 0 {
		t.Errorf("%d cut-offs counted, want none", n)
	}
}

package edge

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A push to sessions of several loops and formats reaches each of them once,
// whatever else is in the list.
func TestDeliverAcrossLoops(t *testing.T) {
	f := start(t, func(c *Config) { c.Loops = 3 })
	var clients []*client
	for i := range 9 {
		c, _ := f.connect("alice", fmt.Sprint("device-", i), []wire.Format{wire.Msgpack, wire.JSON}[i%2])
		clients = append(clients, c)
	}
	list := f.core.SessionsOf(edgeID, "alice")
	list = peer.AppendSession(list, sessionID(0, handle{slot: 7, gen: 1}))          // long gone
	list = peer.AppendSession(list, sessionID(MaxLoops-1, handle{slot: 7, gen: 1})) // of no loop
	chat := wire.DirectChat("alice", "bob")
	for seq := range wire.Seq(3) {
		fr := wire.Frame{Op: wire.OpNewMessage, Chat: chat, Seq: seq + 1, User: []byte("bob"), Content: []byte("hi"), At: 5}
		f.core.Push(edgeID, &peer.Item{Op: peer.OpDeliver, Chat: chat, Seq: seq + 1, List: list, Body: wire.AppendMsgpack(nil, &fr)})
	}
	for i, c := range clients {
		for seq := range wire.Seq(3) {
			if got := c.next(); got.Op != wire.OpNewMessage || got.Seq != seq+1 || string(got.Content) != "hi" {
				t.Fatalf("client %d: %+v", i, got)
			}
		}
	}
}

// When only the link was lost, and no core says that it has become leader, the
// sessions are opened again once the link is back.
func TestLinkLost(t *testing.T) {
	f := start(t, nil)
	f.connect("alice", "phone", wire.Msgpack)
	opens := f.core.Count(peer.OpOpen)
	ev := f.srv.Events()
	ev.Down(coreID)
	if f.srv.Ready() == nil {
		t.Error("ready without a core")
	}
	ev.Up(coreID)
	eventually(t, "the session is opened again", func() bool { return f.core.Count(peer.OpOpen) > opens })
	if err := f.srv.Ready(); err != nil {
		t.Error(err)
	}
}

// A core that does not answer costs a send an error in time, not for ever; the
// connection lives on.
func TestSilentCore(t *testing.T) {
	f := start(t, nil)
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	f.core.Silence(true)
	alice.send(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), ClientMsgID: []byte("m1"), Content: []byte("x")})
	if e := alice.next(); e.Op != wire.OpError || e.Code != wire.CodeUnavailable || string(e.ClientMsgID) != "m1" {
		t.Fatalf("%+v", e)
	}
	f.core.Silence(false)
	alice.message("bob", "m1", "x")
}

// Closing while clients come in leaves no goroutine and no connection.
func TestCloseUnderLoad(t *testing.T) {
	f := start(t, nil)
	var wg sync.WaitGroup
	enough := make(chan struct{})
	var once sync.Once
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				c, _, err := f.dial(wire.JSON, nil)
				if err != nil {
					return
				}
				if i == 0 && n == 5 {
					once.Do(func() { close(enough) })
				}
				_ = c.ws.CloseNow()
			}
		})
	}
	<-enough
	if err := f.srv.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := f.srv.Connections(); n != 0 {
		t.Errorf("%d connections after the end", n)
	}
}

// A second edge on the same core gets its own answers and pushes.
func TestTwoEdges(t *testing.T) {
	f := start(t, nil)
	cfg := f.srv.cfg
	cfg.Node, cfg.Listen = edgeID+1, "127.0.0.1:0"
	second, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := f.hub.Join(cfg.Node, second.Events())
	second.Attach(l)
	t.Cleanup(func() { _ = second.Close(); _ = l.Close() })
	g := &fleet{t: t, srv: second, core: f.core, hub: f.hub, map_: f.map_, root: http.DefaultClient}

	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	bob, _ := g.connect("bob", "web", wire.JSON)
	alice.message("bob", "m1", "across")
	if got := bob.expect(wire.OpNewMessage); string(got.Content) != "across" {
		t.Errorf("%+v", got)
	}
}

// FuzzBatch feeds the edge what a broken core may send. Nothing may break, and
// a healthy client stays connected.
func FuzzBatch(f *testing.F) {
	fl := start(f, func(c *Config) { c.OpsRate = -1 })
	alice, _ := fl.connect("alice", "phone", wire.JSON)
	frame := wire.AppendMsgpack(nil, &wire.Frame{Op: wire.OpTyping, Chat: wire.DirectChat("a", "b"), Typing: wire.TypingStart, User: []byte("b")})
	list := fl.core.SessionsOf(edgeID, "alice")
	for _, it := range []peer.Item{
		{Op: peer.OpDeliver, List: list, Body: frame},
		{Op: peer.OpDeliver, List: list[:5], Body: []byte{0xc1}},
		{Op: peer.OpResync, List: list},
		{Op: peer.OpReopen, Shard: 1},
		{Op: peer.OpReply, Req: 1<<32 | restLoop<<reqLoopShift},
		{Op: peer.OpChangesReply, Req: 1 << 32, List: []byte{1, 2, 3}},
		{Op: peer.OpAppend, Req: 1},
	} {
		f.Add(peer.Append(nil, &it))
	}
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, batch []byte) {
		fl.srv.onBatch(coreID, batch)
		alice.t = t
		alice.send(&wire.Frame{Op: wire.OpPing})
		for {
			fr, err := alice.read()
			if err != nil {
				t.Fatal(err)
			}
			if fr.Op == wire.OpPong {
				return
			}
		}
	})
}

// Buffers for the parts of batches go round: handing over costs no memory, and
// one that grew beyond what batches have is let go.
func TestBatchBuffersGoRound(t *testing.T) {
	s := &Server{}
	raw := make([]byte, 1000)
	if n := testing.AllocsPerRun(1000, func() {
		b := s.buffers.Get()
		b.B = append(b.B, raw...)
		s.putBuffer(b)
	}); n != 0 {
		t.Errorf("%v allocations for a part", n)
	}
	b := s.buffers.Get()
	b.B = append(b.B, make([]byte, 4*batchFlush+1)...)
	s.putBuffer(b)
	for range 10 {
		if b := s.buffers.Get(); cap(b.B) > 4*batchFlush {
			t.Errorf("a buffer of %d bytes was kept", cap(b.B))
		} else if len(b.B) != 0 {
			t.Errorf("a pooled buffer holds %d bytes", len(b.B))
		}
	}
}

package core

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests.
const patience = time.Minute

// world is a small fleet in one process: cores and one edge on a hub.
type world struct {
	t     testing.TB
	hub   *link.Hub
	watch *watch.Watcher
	wires *wires // between the Raft sides; nil: they call each other directly
	tls   map[wire.NodeID]RaftTLS
	late  wire.NodeID   // newFleet does not start it
	full  atomic.Uint32 // the node whose disk has no room
	leads time.Duration // for how long leaders stay at least; 0: the usual
	cores map[wire.NodeID]*coreNode
	edge  *edge
}

type coreNode struct {
	*Node
	dir  string
	link link.Link
}

const edgeID wire.NodeID = 1001

// newWorld starts cores nodes that all hold every one of shards shards, and an
// edge.
func newWorld(t testing.TB, cores, shards int) *world { return newWorldOn(t, nil, cores, shards) }

// newWorldOn is newWorld with wires that can be cut.
func newWorldOn(t testing.TB, ws *wires, cores, shards int) *world {
	t.Helper()
	w := &world{t: t, hub: link.NewHub(), watch: new(watch.Watcher), wires: ws, cores: map[wire.NodeID]*coreNode{}}
	d := shardmap.Draft{Epoch: 1, Slots: shardmap.SpreadSlots(shards)}
	var all []wire.NodeID
	for i := range cores {
		n := shardmap.Node{ID: wire.NodeID(i + 1)}
		if cores > 1 {
			n.RaftAddr = freeAddr(t)
		}
		d.Nodes = append(d.Nodes, n)
		all = append(all, n.ID)
	}
	for i := range shards {
		d.Replicas = append(d.Replicas, append(append([]wire.NodeID{}, all[i%cores:]...), all[:i%cores]...))
	}
	m, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	w.watch.Publish(m)
	for _, id := range all {
		w.start(id, t.TempDir())
	}
	w.edge = newEdge(w)
	t.Cleanup(w.close)
	w.ready()
	return w
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testLog writes to the standard error when GODWIT_TEST_LOG is set.
func testLog() *slog.Logger {
	var to io.Writer = io.Discard
	if os.Getenv("GODWIT_TEST_LOG") != "" {
		to = os.Stderr
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (w *world) start(id wire.NodeID, dir string) *coreNode {
	w.t.Helper()
	node, _ := w.watch.Current().Node(id)
	watcher := w.watch
	if w.wires != nil {
		watcher = w.wires.seenBy(w.t, id, w.watch.Current())
	}
	n, err := Open(context.Background(), Config{
		Node: id, Dir: dir, Watcher: watcher, RaftAddr: node.RaftAddr, Log: testLog().With("node", id),
		RaftTLS: w.tls[id], leadAtLeast: w.leads,
		FreeSpace: func(dir string) (uint64, error) {
			if w.full.Load() == uint32(id) {
				return 0, nil
			}
			return freeSpace(dir)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c := &coreNode{Node: n, dir: dir, link: w.hub.Join(id, n.Events())}
	n.Attach(c.link)
	w.cores[id] = c
	return c
}

func (w *world) ready() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range w.cores {
		if err := c.Ready(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

// stop takes a node away, as seen from the others at once.
func (w *world) stop(id wire.NodeID) {
	w.t.Helper()
	c := w.cores[id]
	delete(w.cores, id)
	c.link.Close()
	if err := c.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) close() {
	w.edge.link.Close()
	for id := range w.cores {
		w.stop(id)
	}
}

// edge stands for an edge: it asks, follows hints to the leader, and keeps
// what is pushed to it.
type edge struct {
	w    *world
	link link.Link

	mu      sync.Mutex
	req     uint64
	waiting map[uint64]chan peer.Item
	leaders map[wire.ShardID]wire.NodeID
	pushed  map[wire.SessionID][]wire.Frame
	resyncs map[wire.SessionID]int
	reopens map[wire.ShardID]int
	changed chan struct{} // closed and replaced with every push
}

func newEdge(w *world) *edge {
	e := &edge{
		w: w, waiting: map[uint64]chan peer.Item{}, leaders: map[wire.ShardID]wire.NodeID{},
		pushed: map[wire.SessionID][]wire.Frame{}, resyncs: map[wire.SessionID]int{},
		reopens: map[wire.ShardID]int{}, changed: make(chan struct{}),
	}
	e.link = w.hub.Join(edgeID, link.Events{Batch: e.batch})
	return e
}

func (e *edge) batch(_ wire.NodeID, b []byte) {
	b = append([]byte(nil), b...) // what is kept below are views
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(b) > 0 {
		var it peer.Item
		var ok bool
		if _, b, ok = peer.Next(b, &it); !ok {
			panic("the core sent a broken batch")
		}
		switch it.Op {
		case peer.OpDeliver, peer.OpResync:
			var id wire.SessionID
			for l, ok := it.List, true; ; {
				if id, l, ok = peer.NextSession(l); !ok {
					break
				}
				if it.Op == peer.OpResync {
					e.resyncs[id]++
					continue
				}
				var f wire.Frame
				if err := wire.DecodeMsgpack(it.Body, &f); err != nil {
					panic(err)
				}
				e.pushed[id] = append(e.pushed[id], f)
			}
		case peer.OpReopen:
			e.reopens[it.Shard]++
		default:
			if c := e.waiting[it.Req]; c != nil {
				delete(e.waiting, it.Req)
				c <- it
			}
		}
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

// ask sends it to the leader of its shard, following hints and asking again
// while the answer is retryable.
func (e *edge) ask(it peer.Item) peer.Item {
	e.w.t.Helper()
	end := time.Now().Add(patience)
	for {
		r, ok := e.try(it)
		if ok && r.Code != wire.CodeNotLeader && (r.Code == wire.OK || !r.Code.Retryable()) {
			return r
		}
		if time.Now().After(end) {
			e.w.t.Fatalf("%v: no answer but %v", it.Op, r.Code)
		}
		e.mu.Lock()
		if ok && r.Node != 0 {
			e.leaders[it.Shard] = r.Node
		} else { // ask around
			nodes := e.w.watch.Current().Replicas(it.Shard)
			e.leaders[it.Shard] = nodes[int(time.Now().UnixNano())%len(nodes)]
		}
		c := e.changed
		e.mu.Unlock()
		select {
		case <-c:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// try asks once.
func (e *edge) try(it peer.Item) (peer.Item, bool) {
	e.mu.Lock()
	e.req++
	it.Req = e.req
	c := make(chan peer.Item, 1)
	e.waiting[it.Req] = c
	to := e.leaders[it.Shard]
	if to == 0 {
		to = e.w.watch.Current().Replicas(it.Shard)[0]
	}
	e.mu.Unlock()
	if !e.link.Send(to, peer.Append(nil, &it)) {
		return peer.Item{}, false
	}
	select {
	case r := <-c:
		return r, true
	case <-time.After(5 * time.Second):
		return peer.Item{}, false
	}
}

func (w *world) userShard(user string) wire.ShardID {
	return w.watch.Current().ShardOf(wire.UserID(user).Slot())
}

func (w *world) chatShard(c wire.ChatID) wire.ShardID { return w.watch.Current().ShardOf(c.Slot()) }

// open opens a session of user's device.
func (e *edge) open(session wire.SessionID, user, device string) peer.Item {
	e.w.t.Helper()
	return e.ask(peer.Item{
		Op: peer.OpOpen, Shard: e.w.userShard(user), Session: session, User: []byte(user), Device: []byte(device),
	})
}

// say sends text from one user to another and returns its place.
func (e *edge) say(from, to, text string, session wire.SessionID) peer.Item {
	e.w.t.Helper()
	c := wire.DirectChat(wire.UserID(from), wire.UserID(to))
	r := e.ask(peer.Item{
		Op: peer.OpAppend, Shard: e.w.chatShard(c), Chat: c, Session: session, User: []byte(from), Device: []byte("phone"),
		Peer: []byte(to), ClientMsgID: []byte("id-" + text), Body: []byte(text),
	})
	if r.Code != wire.OK {
		e.w.t.Fatalf("%s to %s: %v", from, to, r.Code)
	}
	return r
}

// ack acknowledges as an edge does: the receipt, and after it the mark.
func (e *edge) ack(user, device string, c wire.ChatID, delivered, read wire.Seq) {
	e.w.t.Helper()
	if r := e.ask(peer.Item{
		Op: peer.OpReceipt, Shard: e.w.chatShard(c), Chat: c, User: []byte(user), Delivered: delivered, Read: read,
	}); r.Code != wire.OK {
		e.w.t.Fatalf("receipt: %v", r.Code)
	}
	if r := e.ask(peer.Item{
		Op: peer.OpMark, Shard: e.w.userShard(user), Chat: c, User: []byte(user), Device: []byte(device), Delivered: delivered, Read: read,
	}); r.Code != wire.OK {
		e.w.t.Fatalf("mark: %v", r.Code)
	}
}

// sees waits until what was pushed to session is want, which is words as
// word makes them.
func (e *edge) sees(session wire.SessionID, want string) {
	e.w.t.Helper()
	e.until(func() (bool, string) {
		var got []string
		for i := range e.pushed[session] {
			got = append(got, word(&e.pushed[session][i]))
		}
		return strings.Join(got, " ") == want, fmt.Sprintf("session %d got %q, want %q", session, got, want)
	})
}

// until waits for a condition on what the edge has; ok is called with e.mu
// held.
func (e *edge) until(ok func() (bool, string)) {
	e.w.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		e.mu.Lock()
		is, why := ok()
		c := e.changed
		e.mu.Unlock()
		if is {
			return
		}
		select {
		case <-c:
		case <-end.C:
			e.w.t.Fatal(why)
		}
	}
}

// word is a frame in short: "1:hello" for a message, "delivered:1:bob".
func word(f *wire.Frame) string {
	switch f.Op {
	case wire.OpNewMessage:
		return fmt.Sprintf("%d:%s", f.Seq, f.Content)
	case wire.OpStatusUpdate:
		return fmt.Sprintf("%v:%d:%s", f.Status, f.Seq, f.User)
	case wire.OpTyping:
		return fmt.Sprintf("typing:%s", f.User)
	}
	return f.Op.String()
}

// history returns a conversation's messages as user reads them.
func (e *edge) history(user string, c wire.ChatID) string {
	e.w.t.Helper()
	var out []string
	after := uint64(0)
	for {
		r := e.ask(peer.Item{Op: peer.OpRange, Shard: e.w.chatShard(c), Chat: c, User: []byte(user), After: after, Limit: 200})
		if r.Code != wire.OK {
			e.w.t.Fatalf("history: %v", r.Code)
		}
		var frame []byte
		for l, ok := r.List, true; ; {
			if frame, l, ok = peer.NextBytes(l); !ok {
				break
			}
			var f wire.Frame
			if err := wire.DecodeMsgpack(frame, &f); err != nil {
				e.w.t.Fatal(err)
			}
			after = uint64(f.Seq)
			out = append(out, word(&f))
		}
		if r.Flags&peer.FlagMore == 0 {
			return strings.Join(out, " ")
		}
	}
}

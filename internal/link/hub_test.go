package link_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
)

func join(t *testing.T, h *link.Hub, id wire.NodeID) *node {
	n := newNode(t, id)
	n.Link = h.Join(id, n.events())
	return n
}

func TestHubDeliversBeforeSendReturns(t *testing.T) {
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	if !a.isUp(2) || !b.isUp(1) || a.isUp(1) {
		t.Fatal("Join raises Up on both sides, and not for oneself")
	}
	batch := []byte("one")
	if !a.Send(2, batch) || !b.Send(1, []byte("two")) || !a.Send(1, []byte("self")) {
		t.Fatal("a send was not taken")
	}
	copy(batch, "xxx")
	if b.mu.got[1][0] != "one" || a.mu.got[2][0] != "two" || a.mu.got[1][0] != "self" {
		t.Fatalf("got %v and %v", b.mu.got, a.mu.got)
	}
	if !a.Send(2, nil) || len(b.mu.got[1]) != 1 {
		t.Fatal("an empty batch is taken and not sent")
	}
}

func TestHubHandlerMaySendBack(t *testing.T) {
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	// Ping-pong until the ball is 10 long: A -> B -> A -> B ... on one goroutine.
	back := func(n *node, to wire.NodeID) func(wire.NodeID, []byte) {
		return func(_ wire.NodeID, ball []byte) {
			if len(ball) < 10 && !n.Send(to, append(ball[:len(ball):len(ball)], 'o')) {
				t.Error("dropped")
			}
		}
	}
	a.hook, b.hook = back(a, 2), back(b, 1)
	a.Send(2, []byte("o"))
	if got := b.mu.got[1]; !slices.Equal(got, []string{"o", "ooo", "ooooo", "ooooooo", "ooooooooo"}) {
		t.Errorf("b got %q", got)
	}
	if got := a.mu.got[2]; len(got) != 5 || got[4] != strings.Repeat("o", 10) {
		t.Errorf("a got %q", got)
	}
}

func TestHubOrderUnderConcurrency(t *testing.T) {
	const senders, each = 8, 500
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if !a.Send(2, fmt.Appendf(nil, "%d %d", s, i)) {
					t.Error("dropped")
				}
			}
		})
	}
	wg.Wait()
	got := b.waitBatches(1, senders*each)
	next := make([]int, senders)
	for _, g := range got {
		var s, i int
		if _, err := fmt.Sscan(g, &s, &i); err != nil || i != next[s] {
			t.Fatalf("sender %d: got %q, want its batch %d", s, g, next[s])
		}
		next[s]++
	}
}

func TestHubDoesNotKeepASender(t *testing.T) {
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	var stop atomic.Bool
	b.hook = func(wire.NodeID, []byte) {
		if !stop.Load() {
			a.Send(2, []byte("more")) // there is always more
		}
	}
	returned := make(chan struct{})
	go func() {
		a.Send(2, []byte("first"))
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(20 * time.Second):
		t.Error("Send delivers for others without end")
	}
	b.waitBatches(1, 200) // the rest is delivered all the same
	stop.Store(true)
}

func TestHubBoundsWhatWaits(t *testing.T) {
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	half := make([]byte, link.MaxBatch/2)
	first := true
	b.hook = func(wire.NodeID, []byte) {
		if !first {
			return
		}
		first = false // busy now, so what a sends waits
		for i, want := range []bool{true, true, false} {
			if a.Send(2, half) != want {
				t.Errorf("half a queue, number %d: taken is %v", i, !want)
			}
		}
	}
	a.Send(2, []byte("go"))
	if len(b.mu.got[1]) != 3 {
		t.Errorf("%d batches arrived, want 3", len(b.mu.got[1]))
	}
	if a.Send(2, make([]byte, link.MaxBatch+1)) || a.Send(9, half) {
		t.Error("too big or to nobody, and taken")
	}
	s := h.Stats()
	if s.Dropped[link.DropQueueFull] != 1 || s.Dropped[link.DropTooBig] != 1 || s.Dropped[link.DropNoPeer] != 1 {
		t.Errorf("drops %v", s.Dropped)
	}
	if s.SentBatches != 3 || s.ReceivedBytes != uint64(2+2*len(half)) {
		t.Errorf("stats %+v", s)
	}
}

func TestHubCloseAndComeBack(t *testing.T) {
	h := link.NewHub()
	a, b := join(t, h, 1), join(t, h, 2)
	if err := b.Close(); err != nil || a.isUp(2) {
		t.Fatalf("after Close: %v, up %v", err, a.isUp(2))
	}
	if a.Send(2, []byte("x")) || b.Send(1, []byte("x")) || b.Close() != nil {
		t.Fatal("a closed member still takes part")
	}
	if s := h.Stats(); s.Dropped[link.DropNoPeer] != 1 || s.Dropped[link.DropClosed] != 1 {
		t.Errorf("drops %v", s.Dropped)
	}
	again := join(t, h, 2)
	if !a.Send(2, []byte("hi")) || again.mu.got[1][0] != "hi" || a.mu.ups[2] != 2 {
		t.Fatal("the id that came back gets nothing")
	}
	defer func() {
		if recover() == nil {
			t.Error("two members of one id")
		}
	}()
	h.Join(2, link.Events{})
}

func TestHubCloseWhileSending(t *testing.T) {
	h := link.NewHub()
	a := join(t, h, 1)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					a.Send(2, []byte("x"))
				}
			}
		})
	}
	for range 50 {
		n := join(t, h, 2)
		n.Send(1, []byte("hello"))
		n.Close()
		n.mu.Lock()
		before := len(n.mu.got[1]) + n.mu.calls[1]
		n.mu.Unlock()
		a.Send(2, []byte("after"))
		n.mu.Lock()
		// A call that had begun may end, none may begin.
		if now := len(n.mu.got[1]) + n.mu.calls[1]; now > before+1 {
			t.Errorf("%d handlers began after Close", now-before)
		}
		n.mu.Unlock()
	}
	close(stop)
	wg.Wait()
	if got := len(a.mu.got[2]); got != 50 || a.isUp(2) || a.mu.ups[2] != 50 {
		t.Errorf("%d hellos of 50, up %v", got, a.isUp(2))
	}
}

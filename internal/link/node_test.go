package link_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one end of a link in a test. It records what its handlers are called
// with and checks, on every call, what all links promise of events.
type node struct {
	t *testing.T
	link.Link

	mu struct {
		sync.Mutex
		got   map[wire.NodeID][]string // batches by peer
		up    map[wire.NodeID]bool
		ups   map[wire.NodeID]int
		calls map[wire.NodeID]int // handlers that run now
		woken chan struct{}       // closed at the next event
	}
	hook func(from wire.NodeID, batch []byte) // called within Batch, may be nil
	self wire.NodeID
}

func newNode(t *testing.T, self wire.NodeID) *node {
	n := &node{t: t, self: self}
	n.mu.got = map[wire.NodeID][]string{}
	n.mu.up = map[wire.NodeID]bool{}
	n.mu.ups = map[wire.NodeID]int{}
	n.mu.calls = map[wire.NodeID]int{}
	n.mu.woken = make(chan struct{})
	return n
}

func (n *node) events() link.Events {
	return link.Events{
		Batch: func(from wire.NodeID, b []byte) {
			n.event(from, func() {
				if !n.mu.up[from] && from != n.self {
					n.t.Errorf("node %d got a batch of %d, which is not up", n.self, from)
				}
				n.mu.got[from] = append(n.mu.got[from], string(b))
			}, func() {
				if n.hook != nil {
					n.hook(from, b)
				}
			})
		},
		Up: func(p wire.NodeID) {
			n.event(p, func() {
				if n.mu.up[p] {
					n.t.Errorf("node %d: %d is up twice", n.self, p)
				}
				n.mu.up[p] = true
				n.mu.ups[p]++
			}, nil)
		},
		Down: func(p wire.NodeID) {
			n.event(p, func() {
				if !n.mu.up[p] {
					n.t.Errorf("node %d: %d is down but was not up", n.self, p)
				}
				n.mu.up[p] = false
			}, nil)
		},
	}
}

// event records one call of a handler.
func (n *node) event(peer wire.NodeID, record, hook func()) {
	n.mu.Lock()
	if n.mu.calls[peer]++; n.mu.calls[peer] > 1 {
		n.t.Errorf("node %d: two handlers run at once for peer %d", n.self, peer)
	}
	record()
	n.mu.Unlock()
	if hook != nil {
		hook()
	}
	n.mu.Lock()
	n.mu.calls[peer]--
	close(n.mu.woken)
	n.mu.woken = make(chan struct{})
	n.mu.Unlock()
}

// wait waits until ok, which is called with n.mu held, is true.
func (n *node) wait(what string, ok func() bool) {
	n.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		done, woken := ok(), n.mu.woken
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-woken:
		case <-deadline:
			n.t.Fatalf("node %d waited in vain: %s", n.self, what)
		}
	}
}

func (n *node) waitUp(peer wire.NodeID) {
	n.t.Helper()
	n.wait(fmt.Sprintf("for %d to be up", peer), func() bool { return n.mu.up[peer] })
}

func (n *node) waitDown(peer wire.NodeID) {
	n.t.Helper()
	n.wait(fmt.Sprintf("for %d to be down", peer), func() bool { return !n.mu.up[peer] })
}

func (n *node) waitBatches(from wire.NodeID, count int) []string {
	n.t.Helper()
	n.wait(fmt.Sprintf("for %d batches of %d", count, from), func() bool { return len(n.mu.got[from]) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.got[from]
}

func (n *node) isUp(peer wire.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.up[peer]
}

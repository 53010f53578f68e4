package link

import (
	"math"
	"sync"

	"github.com/godwit-im/godwit/wire"
)

// pipe carries the events about one node (from) to the handlers of another,
// one at a time and in order, mostly on the goroutines of those who put them in.
//
// Whoever finds the pipe idle calls the handler; whoever finds it busy, which
// includes a handler that sends back to where it was called from, leaves a copy
// in the queue, and the one who is at work delivers it before it goes. So no
// lock is held during a call and no recursion can wait for itself. Lest a sender
// work for others for ever, after handOver events it leaves the rest to a
// goroutine that lives until the queue is empty.
type pipe struct {
	from wire.NodeID
	ev   Events
	c    *counters

	mu struct {
		sync.Mutex
		busy   bool    // somebody is calling handlers
		ended  bool    // Down is in the queue or delivered, or the receiver is gone
		mute   bool    // the receiver is gone: call no more handlers
		queue  []event // waiting for the one who is busy
		queued int     // bytes of queue, <= QueueBytes
	}
}

// handOver is how many events of others one Send may deliver. At a microsecond
// a handler it costs an unlucky sender 64 µs.
const handOver = 64

type eventKind uint8

const (
	eventBatch eventKind = iota
	eventUp
	eventDown
)

// event is one call of a handler.
type event struct {
	kind  eventKind
	batch []byte
}

// newPipe returns a pipe with Up in its queue and marked busy: the caller
// makes it known to senders and then calls run.
func newPipe(from wire.NodeID, ev Events, c *counters) *pipe {
	p := &pipe{from: from, ev: ev, c: c}
	p.mu.busy = true
	p.mu.queue = []event{{kind: eventUp}}
	return p
}

// newSelfPipe returns the pipe from a node to itself, which has no Up and Down.
func newSelfPipe(id wire.NodeID, batch func(wire.NodeID, []byte), c *counters) *pipe {
	return &pipe{from: id, ev: Events{Batch: batch}, c: c}
}

// send delivers batch, or queues a copy when the pipe is busy.
func (p *pipe) send(batch []byte) bool {
	p.mu.Lock()
	switch {
	case p.mu.ended:
		p.mu.Unlock()
		return p.c.drop(DropNoPeer, 1)
	case !p.mu.busy:
		p.mu.busy = true
		p.mu.Unlock()
		p.call(event{batch: batch})
		p.run()
		return true
	case p.mu.queued+len(batch) > QueueBytes:
		p.mu.Unlock()
		return p.c.drop(DropQueueFull, 1)
	}
	p.mu.queue = append(p.mu.queue, event{batch: append([]byte(nil), batch...)})
	p.mu.queued += len(batch)
	p.mu.Unlock()
	return true
}

// down ends the pipe with a Down event behind what is queued.
func (p *pipe) down() {
	p.mu.Lock()
	if p.mu.ended {
		p.mu.Unlock()
		return
	}
	p.mu.ended = true
	p.mu.queue = append(p.mu.queue, event{kind: eventDown})
	busy := p.mu.busy
	p.mu.busy = true
	p.mu.Unlock()
	if !busy {
		p.run()
	}
}

// silence ends the pipe because its receiver is gone: no handler begins after
// it returns, and batches in the queue are lost.
func (p *pipe) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.ended, p.mu.mute = true, true
	p.dropQueue()
}

// run delivers the queue until it is empty, or hands the rest over. The caller
// is the busy one.
func (p *pipe) run() {
	if !p.deliver(handOver) {
		go p.deliver(math.MaxInt)
	}
}

// deliver delivers up to limit events. When the queue is empty then, it ends
// being busy and returns true.
func (p *pipe) deliver(limit int) bool {
	for ; ; limit-- {
		p.mu.Lock()
		if p.mu.mute || len(p.mu.queue) == 0 {
			p.dropQueue()
			p.mu.busy = false
			p.mu.Unlock()
			return true
		}
		if limit == 0 {
			p.mu.Unlock()
			return false
		}
		e := p.mu.queue[0]
		p.mu.queue[0] = event{}
		if p.mu.queue = p.mu.queue[1:]; len(p.mu.queue) == 0 {
			p.mu.queue = nil
		}
		p.mu.queued -= len(e.batch)
		p.mu.Unlock()
		p.call(e)
	}
}

// dropQueue forgets the queue and counts its batches. p.mu is held.
func (p *pipe) dropQueue() {
	for _, e := range p.mu.queue {
		if e.kind == eventBatch {
			p.c.drop(DropLost, 1)
		}
	}
	p.mu.queue, p.mu.queued = nil, 0
}

// call calls one handler.
func (p *pipe) call(e event) {
	switch e.kind {
	case eventUp:
		p.c.connects.Add(1)
		if p.ev.Up != nil {
			p.ev.Up(p.from)
		}
	case eventDown:
		if p.ev.Down != nil {
			p.ev.Down(p.from)
		}
	default:
		p.c.sent(1, len(e.batch))
		p.c.received(len(e.batch))
		if p.ev.Batch != nil {
			p.ev.Batch(p.from, e.batch)
		}
	}
}

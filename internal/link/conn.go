package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// readBuffer holds what one read may bring; batches that fit are handed
	// over in place. 64 KiB a peer.
	readBuffer = 64 << 10
	// readStep is how much of a longer batch is asked for at a time, so that
	// memory follows what has come and not what was announced.
	readStep = 256 << 10
	// writeStep is how much is written under one deadline: a peer has to take
	// this much within timing.dead, 50 KiB/s.
	writeStep = 256 << 10
	// keepBuffer is the size up to which a buffer is kept when it is not in use.
	keepBuffer = 1 << 20
)

// Why connections end; the log says it.
var (
	errClosing  = errors.New("this node is closing the link")
	errReplaced = errors.New("the peer has connected anew")
)

// conn is one connection after its handshake. Its reader raises the peer's
// events, one at a time; its writer empties the queue, all that waits in one
// turn, and beats.
type conn struct {
	// Set at the start.
	t       *TCP
	peer    *peer
	nc      net.Conn
	boot    uint64 // of the peer's process
	dialled bool   // by this node
	started time.Time
	after   <-chan struct{} // closed when the connection before has raised Down; nil: there was none

	wake  chan struct{} // the queue is no longer empty
	ended chan struct{} // shut was called
	done  chan struct{} // Down was raised

	mu struct {
		sync.Mutex
		why      error  // not nil: ended
		queue    []byte // headers and batches
		batches  int    // in queue
		inFlight int    // bytes that the writer has taken and not yet written
	}
}

func newConn(t *TCP, p *peer, nc net.Conn, boot uint64, dialled bool) *conn {
	return &conn{
		t: t, peer: p, nc: nc, boot: boot, dialled: dialled, started: time.Now(),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), done: make(chan struct{}),
	}
}

// enqueue copies batch into the queue.
func (c *conn) enqueue(batch []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.why != nil {
		return c.t.c.drop(DropNoPeer, 1)
	}
	if len(c.mu.queue)+c.mu.inFlight+header+len(batch) > QueueBytes {
		return c.t.c.drop(DropQueueFull, 1)
	}
	c.mu.queue = binary.LittleEndian.AppendUint32(c.mu.queue, uint32(len(batch)))
	c.mu.queue = append(c.mu.queue, batch...)
	if c.mu.batches++; c.mu.batches == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// shut ends the connection; the first reason counts. It does not wait.
func (c *conn) shut(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.why != nil {
		return
	}
	c.mu.why = why
	c.t.c.drop(DropLost, c.mu.batches)
	c.mu.queue, c.mu.batches = nil, 0
	close(c.ended)
	c.nc.Close()
}

// run runs the connection to its end, on the caller's goroutine.
func (c *conn) run() {
	if c.after != nil {
		<-c.after
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	up := !c.isShut()
	if up {
		c.t.c.connects.Add(1)
		c.t.cfg.Log.Info("link: peer up", "peer", c.peer.id, "address", c.nc.RemoteAddr().String(), "dialled", c.dialled)
		if f := c.t.cfg.Events.Up; f != nil {
			f(c.peer.id)
		}
		c.shut(c.read())
	}
	writer.Wait()
	c.t.lose(c, time.Since(c.started) > c.t.timing.dead)
	if up {
		c.t.cfg.Log.Info("link: peer down", "peer", c.peer.id, "why", c.mu.why)
		if f := c.t.cfg.Events.Down; f != nil {
			f(c.peer.id)
		}
	}
	close(c.done)
	c.t.lost(c)
}

func (c *conn) isShut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.why != nil
}

// read hands over batches until the connection ends, and returns why it did.
func (c *conn) read() error {
	r := bufio.NewReaderSize(patient{c}, readBuffer)
	var long []byte
	for {
		head, err := r.Peek(header)
		if err != nil {
			return c.readError(err)
		}
		n := int(binary.LittleEndian.Uint32(head))
		if n > MaxBatch {
			return fmt.Errorf("the peer announces a batch of %d bytes, over the bound of %d: it is broken or of another kind", n, MaxBatch)
		}
		if _, err := r.Discard(header); err != nil {
			return err
		}
		if n == 0 {
			continue // a beat: having been read is all it is for
		}
		if n <= readBuffer {
			batch, err := r.Peek(n)
			if err != nil {
				return c.readError(err)
			}
			c.handle(batch)
			if _, err := r.Discard(n); err != nil {
				return err
			}
			continue
		}
		if long, err = readLong(r, long[:0], n); err != nil {
			return c.readError(err)
		}
		c.handle(long)
		if cap(long) > keepBuffer {
			long = nil
		}
	}
}

// handle hands one batch to the handler, unless the link has been closed.
func (c *conn) handle(batch []byte) {
	if c.isShut() {
		return
	}
	c.t.c.received(len(batch))
	if f := c.t.cfg.Events.Batch; f != nil {
		f(c.peer.id, batch)
	}
}

// readLong reads n bytes into buf. What it allocates is at most twice what has
// come, and a step.
func readLong(r io.Reader, buf []byte, n int) ([]byte, error) {
	for len(buf) < n {
		step := min(n-len(buf), readStep)
		buf = slices.Grow(buf, step)
		if _, err := io.ReadFull(r, buf[len(buf):len(buf)+step]); err != nil {
			return buf, err
		}
		buf = buf[:len(buf)+step]
	}
	return buf, nil
}

func (c *conn) readError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("nothing heard for %v", c.t.timing.dead)
	}
	return err
}

// patient reads from the connection, each time for as long as a live peer may
// be silent.
type patient struct{ c *conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.c.nc.SetReadDeadline(time.Now().Add(p.c.t.timing.dead)); err != nil {
		return 0, err
	}
	return p.c.nc.Read(b)
}

// write writes what is queued until the connection ends.
func (c *conn) write() {
	beat := time.NewTicker(c.t.timing.beat)
	defer beat.Stop()
	var beatBytes [header]byte
	var spare []byte
	for {
		select {
		case <-c.ended:
			return
		case <-beat.C:
			if !c.writeAll(beatBytes[:]) {
				return
			}
			spare = c.trim(spare)
			continue
		case <-c.wake:
		}
		buf, batches := c.take(spare)
		if !c.writeAll(buf) {
			c.t.c.drop(DropLost, batches)
			return
		}
		c.t.c.sent(batches, len(buf)-batches*header)
		c.written()
		spare = buf[:0]
	}
}

// trim gives back, at every beat, the buffers of a burst that are empty now and
// over keepBuffer. It returns what is kept of spare.
func (c *conn) trim(spare []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.queue) == 0 && cap(c.mu.queue) > keepBuffer {
		c.mu.queue = nil
	}
	if cap(spare) > keepBuffer {
		return nil
	}
	return spare
}

// take takes the whole queue and leaves spare in its place.
func (c *conn) take(spare []byte) (buf []byte, batches int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf, batches = c.mu.queue, c.mu.batches
	c.mu.queue, c.mu.batches, c.mu.inFlight = spare, 0, len(buf)
	return buf, batches
}

func (c *conn) written() {
	c.mu.Lock()
	c.mu.inFlight = 0
	c.mu.Unlock()
}

// writeAll writes b, or ends the connection and is false.
func (c *conn) writeAll(b []byte) bool {
	for part := range slices.Chunk(b, writeStep) {
		err := c.nc.SetWriteDeadline(time.Now().Add(c.t.timing.dead))
		if err == nil {
			_, err = c.nc.Write(part)
		}
		if err != nil {
			c.shut(fmt.Errorf("writing: %w", err))
			return false
		}
	}
	return true
}

package client

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Client is a connection to a server that outlives its sockets. All methods
// are safe for concurrent use.
type Client struct {
	cfg     Config
	dialer  dialer
	rest    rest
	stop    context.CancelFunc
	done    chan struct{} // closed when the last goroutine has ended
	changed chan struct{} // one slot: the driver has something to do
	ready   chan struct{} // one slot: events may wait
	first   chan error    // one slot: outcome of the first attempt
	saving  sync.Mutex    // held around Config.Cursors.Save
	tokens  sync.Mutex    // held around Config.TokenSource

	mu struct {
		sync.Mutex
		m       *Machine
		waiters map[string]chan Result // Sends by client_msg_id
	}
}

// Connect opens a client and, unless Config.KeepTrying says otherwise, waits
// for the server's welcome. ctx bounds only that wait; Close ends the client.
//
// Errors: *ConnectError when the server cannot be reached, *Error when it
// refuses, ctx's error.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	socket, base, err := cfg.addresses()
	if err != nil {
		return nil, err
	}
	def(&cfg.DialTimeout, defaultDialTimeout)
	c := &Client{cfg: cfg,
		dialer:  dialer{url: socket, tls: cfg.TLS, dial: cfg.Dial},
		done:    make(chan struct{}),
		changed: make(chan struct{}, 1),
		ready:   make(chan struct{}, 1),
		first:   make(chan error, 1),
	}
	c.rest = newRest(base, &c.cfg, idleConns, 0)
	mc := MachineConfig{Device: cfg.Device, Outbox: cfg.Outbox, Inbox: cfg.Inbox, BackoffLo: cfg.BackoffMin, BackoffHi: cfg.BackoffMax,
		NewToken: cfg.TokenSource != nil, ManualAck: cfg.ManualAck, Seed: seed()}
	if cfg.Cursors != nil {
		if mc.Cursor, mc.HasCursor, err = cfg.Cursors.Load(); err != nil {
			return nil, err
		}
	}
	c.mu.m = NewMachine(mc)
	c.mu.waiters = map[string]chan Result{}
	var run context.Context
	run, c.stop = context.WithCancel(context.Background())
	go c.drive(run)
	if cfg.KeepTrying {
		return c, nil
	}
	select {
	case err = <-c.first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the client at once, see Shutdown for a gentle end: sends that wait return ErrClosed, Events
// ends. It returns when every goroutine of the client has ended.
func (c *Client) Close() error {
	c.mu.Lock()
	c.mu.m.Close()
	c.settle()
	c.mu.Unlock()
	c.stop()
	c.poke()
	<-c.done
	return nil
}

// Shutdown ends the client once every Send has returned and every
// acknowledgement has reached the server, or when ctx ends: then it returns
// ctx's error.
func (c *Client) Shutdown(ctx context.Context) error {
	c.with((*Machine).Finish)
	var err error
	select {
	case <-c.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, c.Close())
}

// Done is closed when the client has ended, by Close or because the server
// refuses it for good; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client ended, nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.m.Err()
}

// User returns the user and device of this client, as the server named them.
func (c *Client) User() (UserID, DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.m.User()
}

// State returns the state of the connection.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.m.State()
}

// Stats returns the counters of this client.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.m.Stats()
}

// Send stores a message in a conversation and returns when the server has
// acknowledged it: it is on disk at a majority of replicas then. Lost
// connections and retryable errors are waited out, for as long as ctx allows,
// under the same client_msg_id, so the message is stored once.
//
// When ctx ends first the message may or may not be stored; the error is a
// *PendingError with the id to send it again with. Calls that follow one
// another are stored in their order; concurrent ones in any. content must not
// change until Send returns.
func (c *Client) Send(ctx context.Context, to Target, content []byte, opts ...SendOption) (Ack, error) {
	o := Outgoing{Target: to, Content: content}
	for _, opt := range opts {
		opt(&o)
	}
	if o.ID == "" {
		o.ID = NewID()
	}
	wait := make(chan Result, 1)
	c.mu.Lock()
	err := c.mu.m.Send(o)
	if err == nil {
		c.mu.waiters[o.ID] = wait
	}
	c.mu.Unlock()
	if err != nil {
		return Ack{}, err
	}
	c.poke()
	select {
	case r := <-wait:
		return r.Ack, r.Err
	case <-ctx.Done():
	}
	c.mu.Lock()
	last := c.mu.m.Cancel(o.ID)
	delete(c.mu.waiters, o.ID)
	c.mu.Unlock()
	select {
	case r := <-wait: // it came while the lock was awaited
		return r.Ack, r.Err
	default:
		return Ack{}, &PendingError{ID: o.ID, Err: ctx.Err(), Last: last}
	}
}

// PendingError says that Send's context ended before the server answered.
type PendingError struct {
	ID   string // pass it to WithID to send the same message again
	Err  error  // the context's error
	Last *Error // what the server answered last, which asked to try again; nil: nothing
}

// Error says that the outcome is unknown.
func (e *PendingError) Error() string {
	why := e.Err.Error()
	if e.Last != nil {
		why += ", last answer: " + e.Last.Error()
	}
	return fmt.Sprintf("client: no acknowledgement of message %s yet (%s); sending it again with the same id stores it once", e.ID, why)
}

// Unwrap returns the context's error.
func (e *PendingError) Unwrap() error { return e.Err }

// Events yields what arrives until ctx ends, the client ends, or the loop is
// left. Leaving the body of the loop acknowledges a Message as delivered (see
// Config.ManualAck). Several loops share the events between them.
//
// A slow loop never blocks Send, nor grows memory: see Config.Inbox.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for {
			ev, ok := c.next(ctx)
			if !ok {
				return
			}
			more := yield(ev)
			c.taken(ev)
			if !more {
				return
			}
		}
	}
}

// next waits for an event.
func (c *Client) next(ctx context.Context) (Event, bool) {
	for {
		if ctx.Err() != nil {
			return nil, false
		}
		c.mu.Lock()
		ev, ok := c.mu.m.Event()
		ended := c.mu.m.Err() != nil
		c.mu.Unlock()
		switch {
		case ok:
			signal(c.ready) // another loop may want the next
			return ev, true
		case ended:
			signal(c.ready)
			return nil, false
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// taken acknowledges an event, and saves the cursor once everything before it
// is handled.
func (c *Client) taken(ev Event) {
	c.with(func(m *Machine) { m.Taken(ev) })
	s, ok := ev.(Synced)
	if !ok || c.cfg.Cursors == nil {
		return
	}
	user, device := c.User()
	c.saving.Lock()
	defer c.saving.Unlock()
	if err := c.cfg.Cursors.Save(user, device, s.Cursor); err != nil {
		c.with(func(m *Machine) { m.in.hint(Notice{Err: err}) })
	}
}

// MarkDelivered acknowledges that this device has a conversation up to and
// including id. It is needed with Config.ManualAck only.
func (c *Client) MarkDelivered(chat ChatID, id Seq) {
	c.with(func(m *Machine) { m.Delivered(chat, id) })
}

// MarkRead tells the others that the user has read a conversation up to and
// including id. It is repeated after a lost connection.
func (c *Client) MarkRead(chat ChatID, id Seq) { c.with(func(m *Machine) { m.Read(chat, id) }) }

// Typing tells the others that the user types (or has stopped). Call it at
// most every wire.TypingEvery; it is a hint and may get lost.
func (c *Client) Typing(chat ChatID, start bool) { c.with(func(m *Machine) { m.Typing(chat, start) }) }

// Retry makes a client that waits between attempts connect at once.
func (c *Client) Retry() { c.with(func(m *Machine) { m.Retry(time.Now()) }) }

func (c *Client) with(do func(*Machine)) {
	c.mu.Lock()
	do(c.mu.m)
	c.mu.Unlock()
	c.poke()
}

func (c *Client) poke() { signal(c.changed) }

// signal fills a channel of one slot.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// settle hands finished sends to their callers and wakes Events. The lock is
// held.
func (c *Client) settle() {
	for {
		r, ok := c.mu.m.Result()
		if !ok {
			break
		}
		if wait := c.mu.waiters[r.ID]; wait != nil {
			delete(c.mu.waiters, r.ID)
			wait <- r
		}
	}
	signal(c.ready)
}

// NewID returns a new client_msg_id: a UUID of version 7 (RFC 9562), which
// starts with the time, so that ids made one after the other are neighbours in
// the server's index.
func NewID() string {
	var id [16]byte
	_, _ = crand.Read(id[:]) // never fails
	ms := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(id[0:], uint32(ms>>16))
	binary.BigEndian.PutUint16(id[4:], uint16(ms))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func seed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// drive is the driver of the machine: it dials, and while there is a
// connection it writes. It owns the goroutines that read and that fetch.
func (c *Client) drive(ctx context.Context) {
	var helpers sync.WaitGroup
	defer close(c.done)
	defer helpers.Wait()
	defer c.rest.http.CloseIdleConnections()
	defer c.stop()
	defer signal(c.ready)
	for {
		c.mu.Lock()
		wish, err, due := c.mu.m.Wish(time.Now()), c.mu.m.Err(), c.mu.m.Deadline()
		c.settle()
		c.mu.Unlock()
		switch wish {
		case WishStop:
			c.with((*Machine).Close)
			c.report(err)
			return
		case WishDial:
			lost := c.session(ctx, &helpers)
			c.mu.Lock()
			c.mu.m.Lost(lost, time.Now())
			failed := c.mu.m.stats.Connects == 0 && !c.mu.m.refreshed
			c.settle()
			c.mu.Unlock()
			if failed {
				c.report(lost)
			}
		default:
			c.sleep(due)
		}
	}
}

// report tells Connect how the first attempt went; later calls change nothing.
func (c *Client) report(err error) {
	select {
	case c.first <- err:
	default:
	}
}

// sleep waits until due or until something changes.
func (c *Client) sleep(due time.Time) {
	var timer <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(time.Until(due))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-c.changed:
	case <-timer:
	}
}

// session is one connection from dial to loss; it returns why it ended.
func (c *Client) session(ctx context.Context, helpers *sync.WaitGroup) error {
	c.with(func(m *Machine) { m.Dialing() })
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	c.with(func(m *Machine) { m.Opened("", time.Now()) })
	defer context.AfterFunc(ctx, func() { conn.Close() })() // a blocked write ends with the client too
	r := &reading{ended: make(chan struct{}), pings: make(chan []byte, 1)}
	helpers.Go(func() {
		defer c.poke()
		defer close(r.ended)
		r.err = c.readLoop(conn, r.pings)
	})
	err = c.writeLoop(ctx, conn, r, helpers)
	if ctx.Err() == nil {
		// The server's last words are worth more than a broken pipe, and its
		// answer to a close shows that it has read what came before.
		_ = conn.SetReadDeadline(time.Now().Add(lastWords))
		<-r.ended
	}
	conn.Close()
	<-r.ended
	if asError(r.err) != nil {
		return r.err
	}
	return err
}

// reading is what the reader of one connection shares with the writer.
type reading struct {
	ended chan struct{}
	err   error       // set before ended is closed
	pings chan []byte // one slot: the answer to a newer ping does for an older one
}

// lastWords is how long the reader may go on after the writer has ended.
const lastWords = time.Second

func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	token, err := c.newToken(ctx)
	if err != nil {
		return nil, err
	}
	return c.dialer.open(ctx, token)
}

// newToken returns the token for the next attempt, and gives it to REST.
func (c *Client) newToken(ctx context.Context) (string, error) {
	if c.cfg.TokenSource == nil {
		return c.cfg.Token, nil
	}
	c.tokens.Lock()
	defer c.tokens.Unlock()
	token, err := c.cfg.TokenSource(ctx)
	if err != nil {
		return "", fmt.Errorf("client: get a token: %w", err)
	}
	c.rest.use(token)
	return token, nil
}

// call is rest.call with another token when the server does not take the one
// of the connection any more.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	err := c.rest.call(ctx, method, path, in, out)
	if e := asError(err); e == nil || !isAuth(e.Code) || c.cfg.TokenSource == nil {
		return err
	}
	if _, terr := c.newToken(ctx); terr != nil {
		return terr
	}
	return c.rest.call(ctx, method, path, in, out)
}

// readLoop feeds the machine until the connection ends.
func (c *Client) readLoop(conn *conn, pings chan<- []byte) error {
	onPing := func(body []byte) {
		select {
		case pings <- body:
			c.poke()
		default:
		}
	}
	for {
		b, err := conn.read(onPing)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.mu.m.Received(b, time.Now())
		welcomed := c.mu.m.phase == phaseLive
		c.settle()
		c.mu.Unlock()
		if welcomed {
			c.report(nil)
		}
		c.poke()
	}
}

// errHangup stands for the machine's own reason to end a connection.
var errHangup = errors.New("client: hung up")

// writeLoop writes what the machine has to say until the connection ends.
func (c *Client) writeLoop(ctx context.Context, conn *conn, r *reading, helpers *sync.WaitGroup) error {
	for {
		select {
		case <-r.ended:
			return r.err
		case body := <-r.pings:
			conn.frame(ws.OpPong, body)
		default:
		}
		c.mu.Lock()
		now := time.Now()
		m := c.mu.m
		m.Tick(now)
		more := collect(m, conn, now)
		wish, due := m.Wish(now), m.Deadline()
		req, fetch := m.Fetch(now)
		c.settle()
		c.mu.Unlock()
		if err := conn.flush(); err != nil {
			return err
		}
		if fetch {
			helpers.Go(func() { c.fetch(ctx, req) })
		}
		switch {
		case wish == WishStop:
			return errHangup
		case wish == WishHangup:
			conn.frame(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
			return errors.Join(errHangup, conn.flush())
		case !more:
			c.sleep(due)
		}
	}
}

// collect puts frames into conn's buffer, about as many as one write should
// carry, and reports whether there may be more.
func collect(m *Machine, conn *conn, now time.Time) bool {
	var f wire.Frame
	for len(conn.out) < flushAt {
		if !m.Next(&f, now) {
			return false
		}
		conn.put(&f)
	}
	return true
}

// fetch answers one wish for history.
func (c *Client) fetch(ctx context.Context, req FetchRequest) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	page, err := c.History(ctx, req.Chat, HistoryQuery{After: req.After, Oldest: true, Limit: req.Limit})
	c.mu.Lock()
	c.mu.m.Fetched(req, page.Messages, err, time.Now())
	c.settle()
	c.mu.Unlock()
	c.poke()
}

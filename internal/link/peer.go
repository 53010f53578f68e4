package link

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// peer is what the link knows of one other node. TCP.mu guards it. It exists
// while there is a connection or a dialler.
type peer struct {
	id       wire.NodeID
	conn     *conn // nil: none
	last     *conn // the newest there was: its Down comes before the next Up
	dialling bool  // a goroutine looks for it
	asked    bool  // a hello of ours is out, unanswered
	failures int   // attempts since the last connection that lasted
}

// Two nodes may dial each other at once. They must agree on one connection
// without talking about it, so: the node with the lower id, once its hello is
// out or its own connection stands, refuses the other's as a duplicate; the
// node with the higher id takes what comes. A process that was restarted (its
// boot number is new) or that dials again replaces its old connection.

// admit decides about a hello that judge accepted, and on accepted registers
// the connection, which the caller then runs.
func (t *TCP) admit(nc net.Conn, h *hello) (*conn, refuse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.mu.peers[h.from]
	if t.mu.closed || p == nil && len(t.mu.peers) >= maxPeers {
		return nil, refuseBusy
	}
	if p == nil {
		p = &peer{id: h.from}
		t.mu.peers[h.from] = p
	}
	if t.cfg.ID < p.id {
		mine := p.conn != nil && p.conn.dialled && p.conn.boot == h.boot
		if mine || p.conn == nil && p.asked {
			return nil, refuseDuplicate
		}
	}
	return t.register(p, nc, h, false), accepted
}

// register makes a connection the peer's own. An older one ends first: the new
// one's reader waits for the old one's Down. t.mu is held.
func (t *TCP) register(p *peer, nc net.Conn, h *hello, dialled bool) *conn {
	c := newConn(t, p, nc, h.boot, dialled)
	if p.conn != nil {
		p.conn.shut(errReplaced)
	}
	if p.last != nil {
		c.after = p.last.done
	}
	p.conn, p.last = c, c
	for r := range t.mu.refusals {
		if r.who == fmt.Sprint(p.id) {
			delete(t.mu.refusals, r)
		}
	}
	return c
}

// startDialling starts a dialler for the peer unless there is one, or a
// connection. t.mu is held.
func (t *TCP) startDialling(id wire.NodeID) {
	p := t.mu.peers[id]
	if p == nil {
		if len(t.mu.peers) >= maxPeers {
			return
		}
		p = &peer{id: id}
		t.mu.peers[id] = p
	}
	if t.mu.closed || p.conn != nil || p.dialling {
		return
	}
	p.dialling = true
	t.wg.Go(func() { t.dial(p) })
}

// dial tries to reach p until it is connected, in whatever direction, or must
// not be dialled any more.
func (t *TCP) dial(p *peer) {
	for {
		t.mu.Lock()
		wait := t.backoff(p.failures)
		t.mu.Unlock()
		if wait > 0 {
			t.pause(wait)
		}
		addr, ok := t.cfg.Resolve(p.id)
		if !ok || !t.stillWanted(p) {
			t.mu.Lock()
			p.dialling = false
			t.forget(p)
			t.mu.Unlock()
			return
		}
		c, code, err := t.attempt(p, addr)
		if c != nil {
			c.run()
			return
		}
		t.mu.Lock()
		p.failures++
		t.mu.Unlock()
		if code != refuseDuplicate && t.ctx.Err() == nil {
			t.refused(fmt.Sprint(p.id), code, fmt.Errorf("node %d at %s: %w", p.id, addr, err))
		}
	}
}

// stillWanted reports whether p has no connection and the link is open.
func (t *TCP) stillWanted(p *peer) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return !t.mu.closed && p.conn == nil
}

// attempt dials p once. It returns a connection that is registered and must be
// run, or why there is none.
func (t *TCP) attempt(p *peer, addr string) (*conn, refuse, error) {
	d := net.Dialer{Timeout: t.timing.greet}
	nc, err := d.DialContext(t.ctx, "tcp", addr)
	if err != nil {
		return nil, unreachable, err
	}
	t.mu.Lock()
	if t.mu.closed || p.conn != nil {
		t.mu.Unlock()
		nc.Close()
		return nil, refuseDuplicate, nil
	}
	p.asked = true
	t.mu.asking[nc] = struct{}{}
	t.mu.Unlock()

	use, h, code, err := t.ask(nc, p.id)

	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.asking, nc)
	p.asked = false
	if err == nil && (t.mu.closed || p.conn != nil) {
		code = refuseDuplicate
	}
	if err != nil || code != accepted {
		nc.Close()
		return nil, code, err
	}
	p.dialling = false
	return t.register(p, use, &h, true), accepted, nil
}

// backoff returns how long to wait before an attempt after so many failures:
// nothing, then doubling times with jitter, so that a fleet whose core restarts
// does not knock in step.
func (t *TCP) backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	d := min(t.timing.backoff<<min(failures-1, 16), t.timing.backoffs)
	return d/2 + rand.N(d)
}

// lose takes a connection that has ended off its peer, so that Send knows, and
// before Down is raised. A connection that did not last counts as a failure.
func (t *TCP) lose(c *conn, lasted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := c.peer
	if p.conn != c {
		return // replaced
	}
	p.conn = nil
	if lasted {
		p.failures = 0
	} else {
		p.failures++
	}
}

// lost is called after Down: the peer is looked for again if it may be dialled.
func (t *TCP) lost(c *conn) {
	_, known := t.cfg.Resolve(c.peer.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	p := c.peer
	if p.last == c {
		p.last = nil
	}
	if known && !t.mu.closed {
		t.startDialling(p.id)
	}
	t.forget(p)
}

// forget drops a peer that nothing is left of. t.mu is held.
func (t *TCP) forget(p *peer) {
	if p.conn == nil && p.last == nil && !p.dialling && t.mu.peers[p.id] == p {
		delete(t.mu.peers, p.id)
	}
}

package swarm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// Reconnecting: full jitter between 0 and a ceiling that doubles.
const (
	backoffFirst = 50 * time.Millisecond
	backoffLast  = 2 * time.Second
	dialTimeout  = 10 * time.Second
	readBuffer   = 4 << 10
)

// user is one connected user with what a careful client keeps.
type user struct {
	s     *Swarm
	name  wire.UserID
	chat  uint32
	side  int
	idle  bool
	live  chan struct{} // closed at the first welcome
	fatal chan error    // one error that retrying does not mend

	// Owned by run.
	token     string
	tries     int // connections so far, for the choice of the edge
	cursor    wire.Cursor
	hasCursor bool
	frame     wire.Frame

	mu struct {
		sync.Mutex
		f       *framer // nil while offline
		unacked []unacked
		once    bool
	}
}

// unacked is a send that no ack_sent has answered.
type unacked struct {
	id  workload.ID
	due time.Duration
}

func newUser(s *Swarm, chat uint32, side int) *user {
	return &user{s: s, name: s.opt.Work.User(chat, side), chat: chat, side: side,
		live: make(chan struct{}), fatal: make(chan error, 1)}
}

func newIdleUser(s *Swarm, n uint32) *user {
	name := wire.UserID(fmt.Sprintf("%s-idle%d", s.opt.Work.Run, n))
	return &user{s: s, name: name, idle: true, live: make(chan struct{}), fatal: make(chan error, 1)}
}

// run keeps the user connected until ctx ends.
func (u *user) run(ctx context.Context, gate chan struct{}) {
	if u.side == 1 {
		select {
		case <-u.s.goB:
		case <-ctx.Done():
			return
		}
	}
	wait := backoffFirst
	for ctx.Err() == nil {
		welcomed, err := u.session(ctx, gate)
		if ctx.Err() != nil {
			return
		}
		u.s.Count.Disconnects.Add(1)
		u.s.Errs.add(err)
		if !mayPass(err) {
			select {
			case u.fatal <- fmt.Errorf("%w (user %s)", err, u.name):
			default:
			}
			return
		}
		if welcomed {
			wait = backoffFirst
		}
		select {
		case <-time.After(rand.N(wait)):
		case <-ctx.Done():
		}
		wait = min(2*wait, backoffLast)
	}
}

// tokenError says that Options.Token gave nothing.
type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

// mayPass reports whether it is worth to connect again after err.
func mayPass(err error) bool {
	if code := wire.Code(0); errors.As(err, &code) {
		return code.Retryable()
	}
	var network net.Error
	return !errors.As(err, new(tokenError)) || errors.As(err, &network)
}

// session is one connection from dial to end.
func (u *user) session(ctx context.Context, gate chan struct{}) (welcomed bool, err error) {
	f, err := u.dial(ctx, gate)
	if err != nil {
		return false, err
	}
	defer func() {
		u.mu.Lock()
		if u.mu.f != nil {
			u.s.Count.Online.Add(-1)
		}
		u.mu.f = nil
		u.mu.Unlock()
		f.conn.Close()
	}()
	stop := context.AfterFunc(ctx, func() { f.conn.Close() })
	defer stop()
	if err := u.awaitWelcome(f); err != nil {
		return false, err
	}
	if err := u.goLive(f); err != nil {
		return true, err
	}
	return true, u.readLoop(f)
}

func (u *user) dial(ctx context.Context, gate chan struct{}) (*framer, error) {
	select {
	case gate <- struct{}{}:
		defer func() { <-gate }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if u.token == "" {
		t, err := u.s.opt.Token(ctx, u.name)
		if err != nil {
			return nil, tokenError{err}
		}
		u.token = t
	}
	d := ws.Dialer{Timeout: dialTimeout, TLSConfig: u.s.opt.TLS, Protocols: []string{wire.SubprotocolMsgpack}}
	conn, br, _, err := d.Dial(ctx, u.nextURL())
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReaderSize(conn, readBuffer)
	}
	f := &framer{conn: conn, br: br, mask: rand.Uint32()}
	hello := wire.Frame{Op: wire.OpHello, Token: []byte(u.token), Cursor: u.cursor, HasCursor: u.hasCursor}
	if err := f.write(&hello); err != nil {
		conn.Close()
		return nil, err
	}
	return f, nil
}

// nextURL is another edge at each call.
func (u *user) nextURL() string {
	n := int(u.chat) + u.side + u.tries
	u.tries++
	if n %= 1 + len(u.s.opt.More); n > 0 {
		return u.s.opt.More[n-1]
	}
	return u.s.opt.URL
}

func (u *user) awaitWelcome(f *framer) error {
	if err := f.conn.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	for {
		op, b, err := f.read()
		if err != nil {
			return err
		}
		if op != ws.OpBinary {
			continue
		}
		if err := wire.DecodeMsgpack(b, &u.frame); err != nil {
			return err
		}
		switch u.frame.Op {
		case wire.OpWelcome:
			return nil
		case wire.OpError:
			return u.frame.Code
		}
	}
}

// goLive makes the connection the one that sends, and repeats what no answer
// came to, in order, under the same names.
func (u *user) goLive(f *framer) error {
	u.s.Count.Connects.Add(1)
	u.s.Count.Online.Add(1)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.f = f
	if !u.mu.once {
		u.mu.once = true
		close(u.live)
	}
	for _, m := range u.mu.unacked {
		if err := u.transmit(f, m); err != nil {
			return err
		}
		u.s.Count.Resent.Add(1)
	}
	return nil
}

// transmit writes one send; u.mu is held.
func (u *user) transmit(f *framer, m unacked) error {
	w := &u.s.opt.Work
	frame := wire.Frame{
		Op:          wire.OpSendMessage,
		ClientMsgID: []byte(w.ClientMsgID(m.id)),
		Content:     w.AppendContent(nil, m.id, m.due),
	}
	if w.IsGroup(u.chat) {
		frame.Chat = u.s.chats[u.chat].id
	} else {
		frame.To = []byte(w.User(u.chat, 1-u.side))
	}
	return f.write(&frame)
}

// send takes a message over; false when too many are unacknowledged. While
// offline it waits for the next connection.
func (u *user) send(id workload.ID, due time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.mu.unacked) >= u.s.opt.MaxUnacked {
		return false
	}
	m := unacked{id, due}
	u.mu.unacked = append(u.mu.unacked, m)
	u.s.Count.Sent.Add(1)
	u.s.Check.Sent(id)
	if f := u.mu.f; f != nil {
		if err := u.transmit(f, m); err != nil {
			f.conn.Close() // the reader sees it and reconnects
		}
	}
	return true
}

func (u *user) unackedLen() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.mu.unacked)
}

func (u *user) ping() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.mu.f; f != nil {
		_ = f.write(&wire.Frame{Op: wire.OpPing}) // the reader sees a dead connection
	}
}

func (u *user) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.mu.f; f != nil {
		f.conn.Close()
	}
}

package edge

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
)

// loop is one event loop: a gnet client with a single loop of its own, so that
// the loop's state can be its event handler. Everything outside inbox, n and
// the fields set at the start belongs to the loop's goroutine.
type loop struct {
	gnet.BuiltinEventEngine

	// Set at the start.
	srv    *Server
	idx    int
	client *gnet.Client
	el     gnet.EventLoop
	bell   *bell
	start  time.Time
	share  int64 // of outboundBudget

	// Owned by the loop.
	shared  *session.Loop // what the sessions share
	pending *session.Pending
	table   table
	leavers map[wire.SessionID]*leaver // each has requests in pending, which bounds them
	seconds wheel
	ticks   wheel
	fineLen int           // entries of ticks
	second  uint32        // the last one in which requests were expired
	since   time.Duration // from start to the begin of this turn
	tick    uint32        // the current fine tick
	outputs
	out     []outbound
	owed    int // bytes in out
	reopen  reopening
	work    []work // being done
	scratch []byte
	json    []byte       // a frame converted for text sessions
	push    session.Push // the push being delivered

	wantsFine atomic.Bool // the clock should not skip fine ticks
	n         counters

	inbox struct {
		sync.Mutex
		work      []work
		bytes     int  // of batches in work
		scheduled bool // a drain is on its way
		ticking   bool // a tick is in work
		stopped   bool
	}
}

// newLoop starts loop number idx.
func newLoop(srv *Server, idx int, cfg session.Config) (*loop, error) {
	shared, err := session.NewLoop(cfg)
	if err != nil {
		return nil, err
	}
	l := &loop{
		srv:     srv,
		idx:     idx,
		start:   time.Now(),
		share:   outboundBudget / int64(srv.cfg.Loops),
		pending: session.NewPending(requestsMax),
		leavers: make(map[wire.SessionID]*leaver),
		scratch: make([]byte, readChunk),
	}
	l.shared = shared
	l.table.firstGen = srv.salt
	l.client, err = gnet.NewClient(l,
		gnet.WithNumEventLoop(1), gnet.WithReadBufferCap(readChunk), gnet.WithLogger(gnetLog{srv.cfg.Log}))
	if err != nil {
		return nil, fmt.Errorf("edge: cannot make an event loop: %w", err)
	}
	if err := l.client.Start(); err != nil {
		return nil, fmt.Errorf("edge: cannot start an event loop: %w; raise the descriptor limit (ulimit -n) if it is low", err)
	}
	if l.bell, err = ring(l); err != nil {
		_ = l.client.Stop()
		return nil, err
	}
	return l, nil
}

// stop ends the loop and its connections. Nothing may be enrolling.
func (l *loop) stop() {
	l.inbox.Lock()
	l.inbox.stopped = true // behind this nobody pokes a poller that is closed
	l.inbox.Unlock()
	_ = l.client.Stop()
	l.bell.close()
}

// begin sets the clock of a turn.
func (l *loop) begin() {
	l.since = time.Since(l.start)
	l.shared.Now = wire.Millis(l.start.UnixMilli() + l.since.Milliseconds())
	l.tick = uint32(l.since/fineTick) + 1 // 0 means none
}

// tickOf returns the first fine tick that begins at or after time at.
func (l *loop) tickOf(at wire.Millis) uint32 {
	since := l.since
	if at > l.shared.Now {
		since += time.Duration(min(at-l.shared.Now, 1<<32)) * time.Millisecond
	}
	return max(uint32((since+fineTick-1)/fineTick)+1, l.tick+1)
}

// OnOpen takes over a socket. It implements gnet.EventHandler, as do OnTraffic
// and OnClose.
func (l *loop) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	ho, ok := gc.Context().(*handoff)
	if !ok {
		return nil, gnet.None // the bell
	}
	ho.opened = true
	l.begin()
	gc.SetContext(nil)
	gc.SetSafeContext(nil) // it would keep the handoff alive
	slim(gc.LocalAddr())
	slim(gc.RemoteAddr())
	c := l.table.add()
	if c == nil {
		l.srv.gone()
		return nil, gnet.Close
	}
	c.loop, c.gc = l, gc
	gc.SetContext(c)
	l.n.opened.Add(1)
	l.n.live.Add(1)
	c.sess.Start(l.shared, c, sessionID(l.idx, c.h), ho.format, ho.who)
	if ho.tls != nil || len(ho.early) > 0 {
		c.side = &side{plain: ho.early}
		if ho.tls != nil {
			c.side.conn = ho.tls
			ho.under.shim.Store(&c.side.shim)
		}
		c.offer(nil)
		c.receive()
	}
	l.endTurn()
	return nil, gnet.None
}

// slim frees the bytes of an address that gnet keeps for the life of the
// connection and nobody asks for: 60 of the two.
func slim(a net.Addr) {
	if ta, ok := a.(*net.TCPAddr); ok {
		ta.IP = nil
	}
}

// OnTraffic implements gnet.EventHandler.
func (l *loop) OnTraffic(gc gnet.Conn) gnet.Action {
	c, ok := gc.Context().(*conn)
	if !ok {
		_, _ = gc.Discard(0)
		return gnet.None
	}
	l.begin()
	l.n.reads.Add(1)
	c.receive()
	l.endTurn()
	return gnet.None
}

// OnClose implements gnet.EventHandler. It may come in the middle of a flush,
// when a write fails.
func (l *loop) OnClose(gc gnet.Conn, _ error) gnet.Action {
	c, ok := gc.Context().(*conn)
	if !ok || !c.open {
		return gnet.None
	}
	gc.SetContext(nil)
	if !c.closing {
		l.n.vanished.Add(1)
	}
	c.closing = true // nothing more can be written
	l.hold(c, 0)
	c.sess.Gone(l.shared, c)
	l.table.remove(c)
	l.n.live.Add(-1)
	l.srv.gone()
	if l.owed > 0 {
		l.poke()
	}
	return gnet.None
}

// endTurn sends what the handler of one socket led to. What it has for cores
// waits for the other sockets of the same turn.
func (l *loop) endTurn() {
	l.flushSockets()
	if l.owed >= batchFlush {
		l.flushPeers()
		l.flushSockets()
	}
	if l.owed > 0 {
		l.poke()
	}
}

// poke asks for a drain after the events at hand.
func (l *loop) poke() {
	l.inbox.Lock()
	defer l.inbox.Unlock()
	l.pokeLocked()
}

func (l *loop) pokeLocked() {
	if l.inbox.scheduled || l.inbox.stopped {
		return
	}
	l.inbox.scheduled = true
	_ = l.el.Execute(context.Background(), l) // fails only when stopped
}

// Run is one drain: it does what waits in the inbox and sends what it and the
// events before it led to. It implements gnet.Runnable.
func (l *loop) Run(context.Context) error {
	l.inbox.Lock()
	l.inbox.scheduled = false
	l.work, l.inbox.work = l.inbox.work, l.work[:0]
	l.inbox.bytes, l.inbox.ticking = 0, false
	l.inbox.Unlock()

	l.begin()
	for i := range l.work {
		l.do(&l.work[i])
		l.work[i] = work{}
		if len(l.dirty) >= dirtyMax {
			l.flushSockets()
		}
	}
	l.reopenSome()
	l.flushPeers()
	l.endTurn()
	return nil
}

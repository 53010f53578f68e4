package edge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// gate is the public listener. It has places for only so many connections that
// are not yet (or will never be) WebSockets; the others wait in the kernel's
// backlog, so plain HTTP cannot eat the descriptors of live connections.
//
// When every place is taken and somebody waits, whoever keeps the server
// waiting makes room, the address that holds most first (see room): else one
// address that connects and says nothing would keep everybody out. Without
// that pressure an address may have all places, as a load balancer does.
type gate struct {
	*net.TCPListener
	done     chan struct{}
	freed    chan struct{} // holds a token after a place came free
	once     sync.Once
	tls      *tls.Config   // nil: plain
	madeRoom atomic.Uint64 // connections closed for others

	mu struct {
		sync.Mutex
		places int
		in     map[*publicConn]*visit
		from   map[netip.Prefix]int // how many of in, by address
	}
}

func newGate(ln *net.TCPListener, places int, cfg *tls.Config) *gate {
	g := &gate{TCPListener: ln, done: make(chan struct{}), freed: make(chan struct{}, 1), tls: cfg}
	g.mu.places, g.mu.in, g.mu.from = places, map[*publicConn]*visit{}, map[netip.Prefix]int{}
	return g
}

// Accept waits for a connection, then for its place. When descriptors run out
// it returns the error that net/http answers by pausing for a moment.
func (g *gate) Accept() (net.Conn, error) {
	c, err := g.AcceptTCP()
	if err != nil {
		return nil, err
	}
	pc := &publicConn{TCPConn: c}
	v := newVisit(c.RemoteAddr(), time.Now())
	pc.visit.Store(v)
	pc.leave = sync.OnceFunc(func() { g.leave(pc) })
	look := time.NewTicker(roomEvery)
	defer look.Stop()
	for !g.enter(pc, v) {
		if other := g.room(v.from, time.Now()); other != nil {
			g.madeRoom.Add(1)
			_ = other.Close() // a connection that is closed already has left
			continue
		}
		select {
		case <-g.freed:
		case <-look.C:
		case <-g.done:
			_ = c.Close()
			return nil, net.ErrClosed
		}
	}
	if g.tls != nil {
		return tls.Server(pc, g.tls), nil
	}
	return pc, nil
}

// Close stops accepting; connections live on.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.done) })
	return g.TCPListener.Close()
}

// enter gives pc a place if there is one.
func (g *gate) enter(pc *publicConn, v *visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.mu.in) >= g.mu.places {
		return false
	}
	g.mu.in[pc] = v
	g.mu.from[v.from]++
	return true
}

// leave gives the place of pc back.
func (g *gate) leave(pc *publicConn) {
	pc.visit.Store(nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.mu.in[pc]
	if !ok {
		return
	}
	delete(g.mu.in, pc)
	if g.mu.from[v.from]--; g.mu.from[v.from] == 0 {
		delete(g.mu.from, v.from)
	}
	select {
	case g.freed <- struct{}{}:
	default:
	}
}

// room returns which connection has to make room for one from an address: of
// those that may be closed (see visit.tries) one of the address that holds
// most, there the one that has kept the server waiting longest. Nil: none.
func (g *gate) room(next netip.Prefix, now time.Time) (most *publicConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var held int
	var since int64
	for pc, v := range g.mu.in {
		n := g.mu.from[v.from]
		crowd := v.from != next && n*crowdShare > g.mu.places
		if !v.tries(now.UnixMilli(), crowd) {
			continue
		}
		if at := v.waited.Load(); most == nil || n > held || n == held && at < since {
			most, held, since = pc, n, at
		}
	}
	return most
}

// visit is what the gate knows about a connection that it has given a place.
// Times are in milliseconds.
type visit struct {
	from   netip.Prefix
	waited atomic.Int64 // since when the server waits for a request, or for the body of one
	heard  atomic.Int64 // when the client last sent a byte; 0: never
	busy   atomic.Bool  // the server is at work on a request, nobody waits for the client
}

func newVisit(addr net.Addr, now time.Time) *visit {
	v := &visit{from: neighbourhood(addr)}
	v.waited.Store(now.UnixMilli())
	return v
}

// neighbourhood is the addresses that one client can have: its IPv4 address,
// or the /64 that a host is given of IPv6.
func neighbourhood(addr net.Addr) netip.Prefix {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := a.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the lengths are right
	return p
}

// tries reports whether the client tries the server's patience enough to be
// closed for another. Of a crowd even who sends is late after a while: a
// byte a second would do to keep a place.
func (v *visit) tries(now int64, crowd bool) bool {
	if v.busy.Load() {
		return false
	}
	waited, heard := v.waited.Load(), v.heard.Load()
	switch {
	case heard == 0:
		return now-waited > muteFor.Milliseconds()
	case crowd && now-waited > silentFor.Milliseconds():
		return true
	}
	return now-max(waited, heard) > silentFor.Milliseconds()
}

// work notes that the server is at work for the client from now on, or waits
// for it.
func (v *visit) work(on bool) {
	v.waited.Store(time.Now().UnixMilli())
	v.busy.Store(on)
}

// visitKey is where withVisit leaves a connection's visit.
type visitKey struct{}

// withVisit is the http.Server's ConnContext.
func withVisit(ctx context.Context, nc net.Conn) context.Context {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	if pc, ok := nc.(*publicConn); ok {
		return context.WithValue(ctx, visitKey{}, pc.visit.Load())
	}
	return ctx
}

// attended notes when the server works on a request and when it waits for it.
func attended(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := r.Context().Value(visitKey{}).(*visit)
		if v == nil {
			h.ServeHTTP(w, r)
			return
		}
		v.work(true)
		defer v.work(false)
		if r.Body != nil && r.Body != http.NoBody {
			r = r.WithContext(r.Context()) // the server goes on with the body it made
			r.Body = awaited{r.Body, v}
		}
		h.ServeHTTP(w, r)
	})
}

// awaited is a request's body: while it is read the server waits for the client.
type awaited struct {
	io.ReadCloser
	v *visit
}

func (a awaited) Read(p []byte) (int, error) {
	a.v.busy.Store(false)
	defer a.v.busy.Store(true)
	return a.ReadCloser.Read(p)
}

// publicConn is one accepted connection while net/http has it. It gives its
// place at the gate back when it is closed or becomes a WebSocket. Under TLS it
// stays beneath the tls.Conn afterwards and reads from the loop's bytes.
type publicConn struct {
	*net.TCPConn
	leave func()
	visit atomic.Pointer[visit] // nil once it has left
	shim  atomic.Pointer[shim]  // set once, when a loop takes over
}

func (c *publicConn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

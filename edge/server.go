package edge

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

// Server is a running edge. Its methods may be called from any goroutine.
type Server struct {
	// Set by Open.
	cfg     Config
	session session.Config
	salt    uint32 // random: tells this process's ids from those of another
	router  *router
	verify  *verifier
	calls   *calls
	clock   *clock
	loops   []*loop
	gate    *gate
	http    *http.Server
	stop    context.CancelFunc // ends the goroutines of wg
	wg      sync.WaitGroup

	live      atomic.Int64 // WebSockets, and upgrades on their way
	link      atomic.Pointer[link.Link]
	enrolling sync.WaitGroup      // upgrades between claim and enrol
	buffers   bytebufferpool.Pool // parts of batches
	splits    sync.Pool           // *split
	n         serverCounters

	life struct {
		sync.Mutex
		draining bool
		closed   bool
	}
}

var _ prometheus.Collector = (*Server)(nil)

// Open binds the public address and starts the loops. Until Attach gave the
// edge a link, what needs a core is answered with CodeUnavailable.
func Open(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, router: newRouter(cfg.Watcher.Current()), clock: &clock{wanted: make(chan struct{}, 1)}}
	s.session = cfg.sessions()
	s.calls = newCalls(s)
	s.verify = &verifier{auth: cfg.Auth, log: cfg.Log, jobs: make(chan verifyJob, verifyQueue)}
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // never fails, says its documentation
	s.salt = binary.LittleEndian.Uint32(salt[:]) >> 1

	if err := s.listen(); err != nil {
		return nil, err
	}
	if cfg.DevSecret != nil {
		cfg.Log.Warn("edge: development sign-in is on: anybody who reaches this address may be anybody")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for i := range cfg.Loops {
		l, err := newLoop(s, i, s.session)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.loops = append(s.loops, l)
	}
	s.run(ctx)
	return s, nil
}

// listen binds the public address and prepares what serves it.
func (s *Server) listen() error {
	ln := s.cfg.Listener
	if ln == nil {
		var err error
		if ln, err = Bind(s.cfg.Listen); err != nil {
			return err
		}
	}
	if err := s.checkDevAuth(ln.Addr()); err != nil {
		return errors.Join(err, ln.Close())
	}
	s.gate = newGate(ln, s.shareDescriptors(), nil)
	if s.cfg.CertFile != "" {
		var err error
		warn := func(err error) {
			s.cfg.Log.Warn("edge: the new certificate cannot be used; the old one stays", "error", err)
		}
		if s.gate.tls, err = tlsConfig(s.cfg.CertFile, s.cfg.KeyFile, warn); err != nil {
			return errors.Join(err, ln.Close())
		}
	}
	s.http = &http.Server{
		Handler:           attended(s.handler()),
		ConnContext:       withVisit,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	s.http.Protocols = new(http.Protocols)
	s.http.Protocols.SetHTTP1(true)
	return nil
}

// shareDescriptors sets the connection cap below the descriptor limit and
// returns how many of the rest plain HTTP may have.
func (s *Server) shareDescriptors() int {
	files := descriptorLimit()
	reserve, most := divide(files)
	if s.cfg.MaxConnections > most {
		s.cfg.Log.Warn("edge: the descriptor limit allows fewer connections than asked for; raise it with ulimit -n or LimitNOFILE",
			"asked", s.cfg.MaxConnections, "allowed", most, "descriptors", files)
	}
	if s.cfg.MaxConnections <= 0 || s.cfg.MaxConnections > most {
		s.cfg.MaxConnections = most
	}
	return max(reserve/httpShare, 16)
}

// divide splits the descriptor limit into what is kept back and how many
// WebSockets the rest allows.
func divide(files int) (reserve, connections int) {
	reserve = min(max(files/8, minDescriptorReserve), maxDescriptorReserve, files/2)
	return reserve, max(files-reserve, 1)
}

// checkDevAuth refuses sign-in without a check where strangers can reach it.
func (s *Server) checkDevAuth(addr net.Addr) error {
	if s.cfg.DevSecret == nil {
		return nil
	}
	if a, ok := addr.(*net.TCPAddr); ok && a.IP.IsLoopback() || s.cfg.InsecureDevAuth {
		return nil
	}
	return fmt.Errorf("edge: development sign-in lets anybody be anybody, and %s is not a loopback address; configure a key for tokens, listen on 127.0.0.1, or pass --insecure-dev-auth", addr)
}

// run starts the goroutines that live as long as the server.
func (s *Server) run(ctx context.Context) {
	s.wg.Go(func() { s.clock.run(ctx, s.loops) })
	s.wg.Go(func() { s.router.follow(ctx, s.cfg.Watcher, s.connect) })
	s.wg.Go(func() { s.watchCores(ctx) })
	for range verifiers {
		s.wg.Go(func() { s.verify.run(ctx) })
	}
	s.wg.Go(func() {
		if err := s.http.Serve(s.gate); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.cfg.Log.Error("edge: the public address stopped serving", "error", err)
		}
	})
}

// Attach gives the edge its way to the cores. It is called once; the caller
// keeps the link and closes it after the edge.
func (s *Server) Attach(l link.Link) {
	s.link.Store(&l)
	if m := s.cfg.Watcher.Current(); m != nil {
		s.connect(m)
	}
}

// connect has a link that dials keep connected to every core of the map, so
// that what they push gets through before the edge has asked them anything.
func (s *Server) connect(m *shardmap.Map) {
	l := s.link.Load()
	if l == nil {
		return
	}
	dialer, ok := (*l).(interface{ Connect(wire.NodeID) })
	if !ok {
		return
	}
	for _, n := range m.Nodes() {
		dialer.Connect(n.ID)
	}
}

// send hands a batch to the link.
func (s *Server) send(to wire.NodeID, batch []byte) bool {
	l := s.link.Load()
	return l != nil && (*l).Send(to, batch)
}

// Addr returns the public address that was bound, host:port.
func (s *Server) Addr() string { return s.gate.Addr().String() }

// Connections returns how many WebSockets are open.
func (s *Server) Connections() int { return int(s.live.Load()) }

// Ready says whether the edge can serve: nil, or what it waits for. It is
// what /readyz asks.
func (s *Server) Ready() error {
	s.life.Lock()
	draining := s.life.draining
	s.life.Unlock()
	switch {
	case draining:
		return errors.New("the edge is stopping")
	case !s.router.ready():
		return errors.New("no shard map yet; is control reachable?")
	case !s.router.anyUp():
		return errors.New("no core is connected")
	}
	return nil
}

// Shutdown says going_away to every client, closes with 1001 and returns when
// all have left and their receipts are stored or ctx is done, at the latest
// after Config.DrainFor and a moment. Then it closes the edge.
func (s *Server) Shutdown(ctx context.Context) error {
	s.life.Lock()
	first := !s.life.draining
	s.life.draining = true
	s.life.Unlock()
	if first {
		_ = s.gate.Close()
		s.enrolling.Wait()
		s.farewell()
	}
	grace := time.Duration(s.session.DrainGrace) * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DrainFor+grace+lingerFor)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.busy() && ctx.Err() == nil {
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	_ = s.http.Shutdown(ctx)
	return s.Close()
}

// busy reports whether a client is connected or has left receipts under way.
func (s *Server) busy() bool {
	for _, l := range s.loops {
		if l.n.leaving.Load() > 0 {
			return true
		}
	}
	return s.live.Load() > 0
}

// Close ends everything at once: listeners, connections and loops. It returns
// when no goroutine of the edge is left. Close again is harmless.
func (s *Server) Close() error {
	s.life.Lock()
	if s.life.closed {
		s.life.Unlock()
		return nil
	}
	s.life.draining, s.life.closed = true, true
	s.life.Unlock()
	s.stop()
	_ = s.gate.Close() // the only error is that it is closed already
	_ = s.http.Close()
	s.enrolling.Wait()
	for _, l := range s.loops {
		l.stop()
	}
	s.wg.Wait()
	return nil
}

package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

// closers are what has been taken, released in reverse.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	return errors.Join(errs...)
}

// closeListener closes l and does not mind that it is closed already.
func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// lockDir makes dir and locks it. The kernel drops the lock with the process.
func lockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("control: make the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("control: lock the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrInUse, dir)
		}
		return nil, fmt.Errorf("control: lock %s: %w", dir, err)
	}
	return f.Close, nil
}

// transport is what Open needs of raft's transports.
type transport interface {
	raft.Transport
	Close() error
}

// newTransport returns one in memory for a member that is alone.
func newTransport(cfg Config, logger *hclogger) transport {
	if cfg.Listener == nil {
		_, t := raft.NewInmemTransport(raft.ServerAddress("alone/" + string(serverID(cfg.ID))))
		return t
	}
	s := &stream{Listener: cfg.Listener, tls: cfg.TLS}
	s.mu.conns = make(map[*accepted]struct{})
	return &netTransport{stream: s, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, MaxPool: 2, Timeout: rpcTimeout, Logger: logger,
	})}
}

// netTransport also ends the connections that others made, on which raft's own
// Close would leave goroutines reading for as long as the other side pleases.
type netTransport struct {
	*raft.NetworkTransport
	stream *stream
}

func (t *netTransport) Close() error {
	err := t.NetworkTransport.Close()
	t.stream.closeAccepted()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stream is the raft.StreamLayer over the member's listener.
type stream struct {
	net.Listener
	tls TLS

	mu struct {
		sync.Mutex
		closed bool
		conns  map[*accepted]struct{}
	}
}

// accepted is a connection that another member made.
type accepted struct {
	net.Conn
	s     *stream
	shake sync.Once // before the first byte is read
}

func (s *stream) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout}
	if s.tls.Client == nil {
		return d.Dial("tcp", string(addr))
	}
	return tls.DialWithDialer(d, "tcp", string(addr), s.tls.Client)
}

func (s *stream) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if s.tls.Server != nil {
		conn = tls.Server(conn, s.tls.Server)
	}
	c := &accepted{Conn: conn, s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	s.mu.conns[c] = struct{}{}
	return c, nil
}

func (s *stream) closeAccepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	for c := range s.mu.conns {
		c.Conn.Close()
	}
	clear(s.mu.conns)
}

// Read shakes hands first, within a time: whoever connects without a
// certificate must not hold the connection for ever. raft reads on a goroutine
// of the connection, so nobody else waits.
func (c *accepted) Read(b []byte) (int, error) {
	var err error
	c.shake.Do(func() {
		if t, ok := c.Conn.(*tls.Conn); ok {
			ctx, cancel := context.WithTimeout(context.Background(), rpcTimeout)
			defer cancel()
			err = t.HandshakeContext(ctx)
		}
	})
	if err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *accepted) Close() error {
	c.s.mu.Lock()
	delete(c.s.mu.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

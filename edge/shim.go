package edge

import (
	"crypto/tls"
	"io"
	"net"
	"time"
)

// shim lets crypto/tls work without a goroutine once a loop owns the socket.
// The tls.Conn reads from bytes that the loop has received, is told "nothing
// yet" with a temporary error instead of blocking, and writes records into a
// buffer that the loop sends. It belongs to the loop.
type shim struct {
	conn *tls.Conn
	in   []byte // received and not yet read; a view of the loop's buffer
	out  []byte // records to send
}

// errNothingYet tells a tls.Conn that the socket has no more bytes. crypto/tls
// keeps its state on errors that are temporary.
type errNothingYet struct{}

func (errNothingYet) Error() string   { return "edge: nothing to read yet" }
func (errNothingYet) Timeout() bool   { return true }
func (errNothingYet) Temporary() bool { return true }

var _ net.Error = errNothingYet{}

// Read serves the tls.Conn: from the socket while net/http has the
// connection, from the loop's bytes afterwards.
func (c *publicConn) Read(p []byte) (int, error) {
	s := c.shim.Load()
	if s == nil {
		n, err := c.TCPConn.Read(p)
		if n > 0 {
			if v := c.visit.Load(); v != nil {
				v.heard.Store(time.Now().UnixMilli())
			}
		}
		return n, err
	}
	if len(s.in) == 0 {
		return 0, errNothingYet{}
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Write serves the tls.Conn, like Read.
func (c *publicConn) Write(p []byte) (int, error) {
	s := c.shim.Load()
	if s == nil {
		return c.TCPConn.Write(p)
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

// ReadFrom hides TCPConn's, which would pass the shim by.
func (c *publicConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// WriteTo hides TCPConn's, which would pass the shim by.
func (c *publicConn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// SetDeadline and its siblings do nothing once a loop has its own timers.
func (c *publicConn) SetDeadline(t time.Time) error {
	if c.shim.Load() != nil {
		return nil
	}
	return c.TCPConn.SetDeadline(t)
}

// SetReadDeadline is like SetDeadline.
func (c *publicConn) SetReadDeadline(t time.Time) error {
	if c.shim.Load() != nil {
		return nil
	}
	return c.TCPConn.SetReadDeadline(t)
}

// SetWriteDeadline is like SetDeadline.
func (c *publicConn) SetWriteDeadline(t time.Time) error {
	if c.shim.Load() != nil {
		return nil
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// read decrypts what it can of raw and calls got with each piece, which is
// valid during the call. scratch is where pieces are put. A nil raw drains
// what the tls.Conn had buffered. It returns an error when the stream has
// ended or is broken.
func (s *shim) read(raw, scratch []byte, got func(plain []byte) bool) error {
	s.in = raw
	for {
		n, err := s.conn.Read(scratch)
		if n > 0 && !got(scratch[:n]) {
			return nil
		}
		if _, ok := err.(errNothingYet); ok {
			s.in = nil
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// seal encrypts plain, and with last the end of the stream, and returns the
// records to send. They are valid until the next call on s.
func (s *shim) seal(plain []byte, last bool) []byte {
	if len(plain) > 0 {
		_, _ = s.conn.Write(plain) // the shim's Write does not fail
	}
	if last {
		_ = s.conn.CloseWrite()
	}
	records := s.out
	s.out = nil
	return records
}

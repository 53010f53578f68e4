package client

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// conn is a WebSocket with godwit's binary subprotocol over a net.Conn. One
// goroutine may read while another writes.
type conn struct {
	net.Conn
	r    *bufio.Reader
	in   []byte // the message being read
	out  []byte // frames to write, as they go to the socket
	body []byte // scratch of one frame's body
}

// maxFrame bounds what a server may send: the largest content an operator may
// allow, and the rest of the frame.
const maxFrame = wire.MaxContentCeiling + wire.FrameOverhead

// writeTimeout ends a connection whose peer has stopped reading.
const writeTimeout = 30 * time.Second

// dialer holds what does not change from one connection to the next.
type dialer struct {
	url  string // ws or wss
	tls  *tls.Config
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// open dials and upgrades. A refusal by the server is an *Error, everything
// else a *ConnectError.
func (d *dialer) open(ctx context.Context, token string) (*conn, error) {
	var refused []byte
	var after string
	status := 0
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	wd := ws.Dialer{
		NetDial:   d.dial,
		TLSConfig: d.tls,
		Protocols: []string{wire.SubprotocolMsgpack},
		Header:    ws.HandshakeHeaderHTTP(header),
		OnStatusError: func(code int, _ []byte, resp io.Reader) {
			status = code
			if r, err := http.ReadResponse(bufio.NewReader(resp), nil); err == nil {
				after = r.Header.Get("Retry-After")
				refused, _ = io.ReadAll(io.LimitReader(r.Body, maxProblem))
				r.Body.Close()
			}
		},
	}
	c, br, hs, err := wd.Dial(ctx, d.url)
	if status != 0 {
		if e := problem(status, after, refused); e != nil {
			return nil, e
		}
		return nil, &ConnectError{URL: d.url, Err: fmt.Errorf("%w: HTTP status %d to the upgrade", ErrNotGodwit, status)}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &ConnectError{URL: d.url, Err: err}
	}
	if hs.Protocol != wire.SubprotocolMsgpack {
		c.Close()
		return nil, &Error{Code: wire.CodeWrongSubprotocol}
	}
	if br == nil {
		br = bufio.NewReader(c)
	}
	return &conn{Conn: c, r: br}, nil
}

// maxProblem bounds the body of an HTTP error.
const maxProblem = 64 << 10

// problem reads an RFC 9457 body, nil when it is not one of godwit's.
func problem(status int, retryAfter string, body []byte) *Error {
	var p struct {
		Code       Code   `json:"code"`
		Title      string `json:"title"`
		Detail     string `json:"detail"`
		Advice     string `json:"advice"`
		RetryAfter int64  `json:"retry_after_ms"`
	}
	if json.Unmarshal(body, &p) != nil || p.Code == wire.OK {
		return nil
	}
	if p.Detail != "" {
		p.Title += ": " + p.Detail
	}
	e := &Error{Code: p.Code, Message: p.Title, Advice: p.Advice, Retryable: p.Code.Retryable(), RetryAfter: time.Duration(p.RetryAfter) * time.Millisecond}
	if s, err := strconv.Atoi(retryAfter); err == nil && s > 0 && e.RetryAfter == 0 {
		e.RetryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	return e
}

// put appends a frame to what flush writes.
func (c *conn) put(f *wire.Frame) {
	c.body = wire.AppendMsgpack(c.body[:0], f)
	c.frame(ws.OpBinary, c.body)
}

func (c *conn) frame(op ws.OpCode, body []byte) {
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Length: int64(len(body))}
	// RFC 6455 wants masks that a page's author cannot foretell. The standard
	// library's random source never fails.
	_, _ = rand.Read(h.Mask[:])
	w := sliceWriter{c.out}
	_ = ws.WriteHeader(&w, h)
	start := len(w.b)
	c.out = append(w.b, body...)
	ws.Cipher(c.out[start:], h.Mask, 0)
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// flushAt is how many bytes are collected before they are written.
const flushAt = 64 << 10

// flush writes what was put, in one call.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 4*flushAt {
		c.out = nil
	}
	return err
}

// read returns the next binary message, valid until the next call. Control
// pings are handed to onPing; a close frame of the server is an *Error when its
// code is one of godwit's.
func (c *conn) read(onPing func(body []byte)) ([]byte, error) {
	c.in = c.in[:0]
	for started := false; ; {
		h, err := ws.ReadHeader(c.r)
		if err != nil {
			return nil, err
		}
		if err := checkHeader(h, started, len(c.in)); err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() {
			body := make([]byte, h.Length)
			if _, err := io.ReadFull(c.r, body); err != nil {
				return nil, err
			}
			switch h.OpCode {
			case ws.OpClose:
				return nil, closed(body)
			case ws.OpPing:
				onPing(body)
			}
			continue
		}
		started = true
		if err := c.fill(int(h.Length)); err != nil {
			return nil, err
		}
		if h.Fin {
			return c.in, nil
		}
	}
}

// checkHeader judges a frame before a byte of its body is read.
func checkHeader(h ws.Header, started bool, have int) error {
	switch {
	case h.Masked || h.Rsv != 0 || h.OpCode.IsReserved():
		return wire.CodeProtocol
	case h.OpCode.IsControl() && (h.Length > ws.MaxControlFramePayloadSize || !h.Fin):
		return wire.CodeProtocol
	case h.OpCode.IsControl():
		return nil
	case h.OpCode == ws.OpText:
		return wire.CodeWrongMessageType
	case (h.OpCode == ws.OpContinuation) != started:
		return wire.CodeProtocol
	case h.Length < 0 || h.Length > int64(maxFrame-have):
		return wire.CodeFrameTooBig
	}
	return nil
}

// fill appends n bytes to the message in steps, so that memory follows bytes
// that are there and not a length that was declared.
func (c *conn) fill(n int) error {
	const step = 32 << 10
	for n > 0 {
		part := min(n, step)
		at := len(c.in)
		c.in = slices.Grow(c.in, part)[:at+part]
		if _, err := io.ReadFull(c.r, c.in[at:]); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// closed turns the body of a close frame into an error.
func closed(body []byte) error {
	if len(body) < 2 {
		return io.EOF
	}
	code, reason := ws.ParseCloseFrameData(body)
	for i := range wire.Codes {
		if s := &wire.Codes[i]; s.Close != 0 && s.Close == uint16(code) {
			return &Error{Code: s.Code, Retryable: s.Retryable}
		}
	}
	return fmt.Errorf("client: the server closed with %d %q", code, reason)
}

// ErrNotGodwit says that something else than godwit answers at the address.
var ErrNotGodwit = errors.New("client: not a godwit server")

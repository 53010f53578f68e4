package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// rawClient writes and reads the bytes of a connection itself, to do what a
// proper client would not.
type rawClient struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

const upgradeText = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// rawDial connects and upgrades; extra is put right behind the request.
func (f *fleet) rawDial(extra []byte, header ...string) *rawClient {
	f.t.Helper()
	nc, err := net.Dial("tcp", f.srv.Addr())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = nc.Close() })
	c := &rawClient{t: f.t, nc: nc, r: bufio.NewReader(nc)}
	lines := append([]string{"Sec-WebSocket-Protocol: " + wire.SubprotocolMsgpack}, header...)
	c.write(append([]byte(upgradeText+strings.Join(lines, "\r\n")+"\r\n\r\n"), extra...))
	c.deadline()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(resp.Body)
		f.t.Fatalf("upgrade: %s %s", resp.Status, b)
	}
	return c
}

// rawHello also signs in and reads until synced.
func (f *fleet) rawHello(user, device string) *rawClient {
	f.t.Helper()
	c := f.rawDial(nil)
	c.write(appendClientFrame(nil, &wire.Frame{Op: wire.OpHello, Token: []byte(f.token(user, device))}))
	c.expect(wire.OpSynced)
	return c
}

func (c *rawClient) deadline() { _ = c.nc.SetReadDeadline(time.Now().Add(15 * time.Second)) }

func (c *rawClient) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next frame, or the close status when that comes.
func (c *rawClient) read() (f wire.Frame, status ws.StatusCode, err error) {
	c.deadline()
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return f, 0, err
	}
	if h.Masked {
		return f, 0, fmt.Errorf("the edge masked a frame")
	}
	b := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return f, 0, err
	}
	switch h.OpCode {
	case ws.OpClose:
		code, _ := ws.ParseCloseFrameData(b)
		return f, code, nil
	case ws.OpPong:
		return f, 0, nil
	}
	return f, 0, wire.DecodeMsgpack(b, &f)
}

func (c *rawClient) expect(op wire.Op) wire.Frame {
	c.t.Helper()
	for {
		f, status, err := c.read()
		if err != nil || status != 0 {
			c.t.Fatalf("want %s, got close %d, error %v", op, status, err)
		}
		if f.Op == op {
			return f
		}
		if f.Op == wire.OpError {
			c.t.Fatalf("want %s, got error %d %s", op, f.Code, f.Message)
		}
	}
}

// appendClientFrame appends f as a masked binary WebSocket frame.
func appendClientFrame(b []byte, f *wire.Frame) []byte {
	return appendMasked(b, ws.OpBinary, wire.AppendMsgpack(nil, f))
}

func appendMasked(b []byte, op ws.OpCode, payload []byte) []byte {
	fr := ws.MaskFrameWith(ws.NewFrame(op, true, payload), [4]byte{1, 2, 3, 4})
	return append(b, ws.MustCompileFrame(fr)...)
}

package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// reader returns a conn that reads b.
func reader(b []byte) *conn { return &conn{r: bufio.NewReader(bytes.NewReader(b))} }

func frame(h ws.Header, body []byte) []byte {
	var b bytes.Buffer
	if h.Length == 0 {
		h.Length = int64(len(body))
	}
	if err := ws.WriteHeader(&b, h); err != nil {
		panic(err)
	}
	return append(b.Bytes(), body...)
}

func TestReadJoinsFragmentsAroundControlFrames(t *testing.T) {
	var in []byte
	in = append(in, frame(ws.Header{OpCode: ws.OpBinary}, []byte("one "))...)
	in = append(in, frame(ws.Header{OpCode: ws.OpPing, Fin: true}, []byte("p"))...)
	in = append(in, frame(ws.Header{OpCode: ws.OpContinuation}, nil)...)
	in = append(in, frame(ws.Header{OpCode: ws.OpContinuation, Fin: true}, []byte("message"))...)
	in = append(in, frame(ws.Header{OpCode: ws.OpBinary, Fin: true}, []byte("next"))...)
	c := reader(in)
	pinged := ""
	for _, want := range []string{"one message", "next"} {
		b, err := c.read(func(p []byte) { pinged = string(p) })
		if err != nil || string(b) != want {
			t.Fatalf("read %q %v, want %q", b, err, want)
		}
	}
	if pinged != "p" {
		t.Errorf("ping body %q", pinged)
	}
	if _, err := c.read(func([]byte) {}); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestReadRefusesWhatBreaksTheRules(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want wire.Code
	}{
		"masked":              {frame(ws.Header{OpCode: ws.OpBinary, Fin: true, Masked: true}, []byte("x")), wire.CodeProtocol},
		"reserved bit":        {frame(ws.Header{OpCode: ws.OpBinary, Fin: true, Rsv: 4}, []byte("x")), wire.CodeProtocol},
		"reserved opcode":     {frame(ws.Header{OpCode: 5, Fin: true}, nil), wire.CodeProtocol},
		"text":                {frame(ws.Header{OpCode: ws.OpText, Fin: true}, []byte("x")), wire.CodeWrongMessageType},
		"continuation first":  {frame(ws.Header{OpCode: ws.OpContinuation, Fin: true}, []byte("x")), wire.CodeProtocol},
		"long ping":           {frame(ws.Header{OpCode: ws.OpPing, Fin: true}, make([]byte, 126)), wire.CodeProtocol},
		"fragmented ping":     {frame(ws.Header{OpCode: ws.OpPing}, []byte("x")), wire.CodeProtocol},
		"too long":            {frame(ws.Header{OpCode: ws.OpBinary, Fin: true, Length: maxFrame + 1}, nil), wire.CodeFrameTooBig},
		"too long in pieces":  {append(frame(ws.Header{OpCode: ws.OpBinary}, make([]byte, maxFrame)), frame(ws.Header{OpCode: ws.OpContinuation, Fin: true}, []byte("x"))...), wire.CodeFrameTooBig},
		"close with a number": {frame(ws.Header{OpCode: ws.OpClose, Fin: true}, ws.NewCloseFrameBody(4103, "")), wire.CodeTokenExpired},
	} {
		if _, err := reader(c.in).read(func([]byte) {}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestDeclaredLengthCostsNothing(t *testing.T) {
	in := frame(ws.Header{OpCode: ws.OpBinary, Fin: true, Length: maxFrame}, []byte("short"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 100
	for range n {
		if _, err := reader(in).read(func([]byte) {}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > 96<<10 { // one step, twice under the race detector
		t.Errorf("%d bytes allocated for a frame that declares %d and has 5", got, maxFrame)
	}
}

func TestWrittenFramesAreMaskedAndWhole(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &conn{Conn: near}
	c.put(&wire.Frame{Op: wire.OpPing})
	c.put(&wire.Frame{Op: wire.OpSendMessage, To: []byte("bob"), Content: []byte(strings.Repeat("x", 70_000)), ClientMsgID: []byte("id")})
	go func() { _ = c.flush(); near.Close() }()
	for _, want := range []wire.Op{wire.OpPing, wire.OpSendMessage} {
		h, err := ws.ReadHeader(far)
		if err != nil || !h.Masked || !h.Fin {
			t.Fatalf("%+v %v", h, err)
		}
		body := make([]byte, h.Length)
		if _, err := io.ReadFull(far, body); err != nil {
			t.Fatal(err)
		}
		ws.Cipher(body, h.Mask, 0)
		var got wire.Frame
		if err := wire.DecodeMsgpack(body, &got); err != nil || got.Op != want {
			t.Errorf("got %v %v, want %v", got.Op, err, want)
		}
	}
}

func FuzzConnRead(f *testing.F) {
	f.Add(frame(ws.Header{OpCode: ws.OpBinary, Fin: true}, []byte("x")))
	f.Add(frame(ws.Header{OpCode: ws.OpClose, Fin: true}, ws.NewCloseFrameBody(1001, "bye")))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := reader(b)
		for {
			if _, err := c.read(func([]byte) {}); err != nil {
				return
			}
		}
	})
}

func BenchmarkMachineReceive(b *testing.B) {
	r := newRig(b, MachineConfig{}).online()
	seq := Seq(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		f := msg('c', seq)
		r.get(f)
		ev, _ := r.Event()
		r.Taken(ev)
		r.next()
	}
}

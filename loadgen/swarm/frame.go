package swarm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/wire"
)

// maxServerFrame bounds a frame from the server before it is read.
const maxServerFrame = wire.MaxContentCeiling + wire.FrameOverhead

// writeTimeout bounds one write: a server that does not read is an error of
// the run, not a hang of the generator.
const writeTimeout = 10 * time.Second

// framer moves protocol frames over one WebSocket connection. The reading half
// belongs to the goroutine that reads, the writing half to whoever holds the
// user's lock.
type framer struct {
	conn net.Conn
	br   *bufio.Reader
	in   []byte // the last message; views of it die with the next read

	out  []byte // scratch
	mask uint32
}

// read returns the next message. WebSocket pings are the caller's: it gets the
// opcode.
func (f *framer) read() (op ws.OpCode, payload []byte, err error) {
	h, err := ws.ReadHeader(f.br)
	if err != nil {
		return 0, nil, err
	}
	if h.Length > maxServerFrame || h.Masked || !h.Fin {
		return 0, nil, fmt.Errorf("the server sent a frame of %d bytes, masked %v, final %v", h.Length, h.Masked, h.Fin)
	}
	if cap(f.in) < int(h.Length) {
		f.in = make([]byte, h.Length)
	}
	f.in = f.in[:h.Length]
	_, err = io.ReadFull(f.br, f.in)
	return h.OpCode, f.in, err
}

// write sends one or more frames in one system call.
func (f *framer) write(frames ...*wire.Frame) error {
	f.out = f.out[:0]
	for _, fr := range frames {
		f.append(fr)
	}
	if err := f.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := f.conn.Write(f.out)
	return err
}

// append adds one masked binary WebSocket frame (RFC 6455, section 5.2).
func (f *framer) append(fr *wire.Frame) {
	const room = ws.MaxHeaderSize
	start := len(f.out)
	f.out = append(f.out, make([]byte, room)...)
	f.out = wire.AppendMsgpack(f.out, fr)
	body := f.out[start+room:]
	f.mask = f.mask*1664525 + 1013904223
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], f.mask)

	head := append(f.out[start:start:start+room], 0x82)
	switch n := len(body); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	head = append(head, mask[:]...)
	ws.Cipher(body, mask, 0)
	n := copy(f.out[start+len(head):], body)
	f.out = f.out[:start+len(head)+n]
}

// pong answers a WebSocket ping.
func (f *framer) pong(payload []byte) error {
	fr := ws.MaskFrame(ws.NewPongFrame(payload))
	return ws.WriteFrame(f.conn, fr)
}

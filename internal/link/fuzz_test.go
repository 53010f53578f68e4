package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/wire"
)

// tape is a connection whose other end has said what is on it, and ends. It
// gives at most step bytes a read.
type tape struct {
	in   []byte
	step int
	out  bytes.Buffer // what was answered; one goroutine writes before others begin
}

func (c *tape) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.in[:min(len(c.in), c.step)])
	c.in = c.in[n:]
	return n, nil
}

func (c *tape) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// heard is what a node makes of a connection.
type heard struct {
	answered bool
	code     refuse      // of the answer
	up       wire.NodeID // who came up; 0 nobody
	batches  []string
}

// hear is a second opinion on what node 1 of cluster "test" has to make of in,
// written without a reader or a buffer.
func hear(in []byte) (h heard) {
	le := binary.LittleEndian
	if len(in) > 0 && in[0] == tlsHandshake {
		return heard{answered: true, code: refuseWithTLS}
	}
	if len(in) < helloHead || string(in[:4]) != linkMagic {
		return h
	}
	n := int(le.Uint16(in[6:]))
	if n > maxHello || len(in) < helloHead+n {
		return h
	}
	version, rest := in[4], in[helloHead+n:]
	in = in[helloHead : helloHead+n]
	if version != linkVersion {
		return heard{answered: true, code: refuseVersion}
	}
	if n < helloFixed || n > helloFixed+maxCluster {
		return h
	}
	from, to := wire.NodeID(le.Uint32(in)), wire.NodeID(le.Uint32(in[4:]))
	h.answered = true
	switch {
	case string(in[helloFixed:]) != "test":
		h.code = refuseCluster
		return h
	case to != 1 || from <= 1:
		h.code = refuseNode
		return h
	}
	h.up = from
	for len(rest) >= header {
		n := le.Uint32(rest)
		if n > MaxBatch || uint64(len(rest)-header) < uint64(n) {
			break
		}
		if n > 0 {
			h.batches = append(h.batches, string(rest[header:header+n]))
		}
		rest = rest[header+n:]
	}
	return h
}

// FuzzConnection plays a whole connection, from its first byte to its end, to a
// node: only a hello that is right brings a peer up, and what is handed over is
// what was sent, whole and in order.
func FuzzConnection(f *testing.F) {
	good := hello{from: 7, to: 1, boot: 1, cluster: "test"}
	batch := func(b []byte, size int) []byte {
		b = binary.LittleEndian.AppendUint32(b, uint32(size))
		return append(b, bytes.Repeat([]byte{'x'}, size)...)
	}
	bad := func(change func(b []byte)) []byte {
		b := good.append(nil)
		change(b)
		return b
	}
	f.Add([]byte{}, uint16(1))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), uint16(9))
	f.Add(good.append(nil)[:9], uint16(1))
	f.Add(bad(func(b []byte) { b[4] = 9 }), uint16(3))
	f.Add(bad(func(b []byte) { b[5] = byte(refuseBusy) }), uint16(3))
	f.Add(bad(func(b []byte) { b[6], b[7] = 0xff, 0xff }), uint16(100))
	f.Add(bad(func(b []byte) { b[8] = 1 }), uint16(100))  // from our own id
	f.Add(bad(func(b []byte) { b[12] = 2 }), uint16(100)) // for another node
	f.Add(bad(func(b []byte) { b[len(b)-1] = 'x' }), uint16(100))
	f.Add(batch(batch(batch(good.append(nil), 3), 0), 1), uint16(1))
	f.Add(batch(batch(good.append(nil), readBuffer), readBuffer+1), uint16(1000))
	f.Add(batch(good.append(nil), 2*readStep+1), uint16(60000))
	f.Add([]byte{tlsHandshake, 3, 1, 0, 2, 1, 0}, uint16(2))
	f.Add([]byte{tlsHandshake, 3, 1, 0xff, 0xff, 1}, uint16(100)) // a record that never comes
	f.Add(append(good.append(nil), 0xff, 0xff, 0xff, 0xff, 1), uint16(5))
	f.Add(append(good.append(nil), 0xfc, 0xff, 0x7f, 0, 1), uint16(5)) // MaxBatch that never comes
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		var got heard
		downs := 0
		node, err := Listen(Config{ID: 1, Cluster: "test", Events: Events{
			Up:    func(p wire.NodeID) { got.up = p },
			Batch: func(_ wire.NodeID, b []byte) { got.batches = append(got.batches, string(b)) },
			Down:  func(wire.NodeID) { downs++ },
		}})
		if err != nil {
			t.Fatal(err)
		}
		c := &tape{in: in, step: max(1, int(step))}
		node.answer(c)
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
		if c.out.Len() > 0 {
			h, err := readHello(&c.out)
			if err != nil || h.from != 1 && h.code != refuseWithTLS || c.out.Len() > 0 {
				t.Fatalf("the answer is no hello of node 1: %+v, %v", h, err)
			}
			got.answered, got.code = true, h.code
		}
		want := hear(in)
		if got.answered != want.answered || got.code != want.code || got.up != want.up {
			t.Fatalf("answered %v with code %d, up %d; want %v, %d, %d",
				got.answered, got.code, got.up, want.answered, want.code, want.up)
		}
		if (downs == 1) != (want.up != 0) {
			t.Errorf("%d times down", downs)
		}
		if len(got.batches) != len(want.batches) {
			t.Fatalf("%d batches, want %d", len(got.batches), len(want.batches))
		}
		for i := range got.batches {
			if got.batches[i] != want.batches[i] {
				t.Errorf("batch %d of %d bytes differs from what was sent", i, len(want.batches[i]))
			}
		}
		if len(node.mu.peers) != 0 {
			t.Error("a peer is left")
		}
	})
}

// FuzzKnock says anything, without a certificate, to a node that requires TLS:
// nobody comes up, and who speaks plainly is told why.
func FuzzKnock(f *testing.F) {
	dir := f.TempDir()
	node := filepath.Join(dir, "node")
	if err := errors.Join(pki.Init(dir), pki.Issue(pki.Request{CADir: dir, OutDir: node, Role: pki.Core, Name: "a", Hosts: []string{"a"}})); err != nil {
		f.Fatal(err)
	}
	certs, err := pki.Load(node)
	if err != nil {
		f.Fatal(err)
	}
	good := hello{from: 7, to: 1, boot: 1, cluster: "test"}
	f.Add([]byte{}, uint16(1))
	f.Add(good.append(nil), uint16(3))
	f.Add([]byte("gwlk but no more"), uint16(3))
	f.Add([]byte{tlsHandshake, 3, 1, 0, 2, 1, 0}, uint16(2))
	f.Add([]byte{tlsHandshake, 3, 1, 0xff, 0xff, 1}, uint16(100))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), uint16(9))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		node, err := Listen(Config{ID: 1, Cluster: "test", TLS: &TLS{Server: certs.Server(), Client: certs.Client()}, Events: Events{
			Up: func(p wire.NodeID) { t.Errorf("%d is up", p) },
		}})
		if err != nil {
			t.Fatal(err)
		}
		c := &tape{in: in, step: max(1, int(step))}
		node.answer(c)
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := readHello(bytes.NewReader(in)); err == nil {
			if h, err := readHello(&c.out); err != nil || h.code != refuseWithoutTLS {
				t.Errorf("a plain hello is answered with %+v, %v", h, err)
			}
		}
	})
}

// FuzzReadLong announces lengths: what is allocated follows what has come.
func FuzzReadLong(f *testing.F) {
	f.Add([]byte("only this"), uint32(MaxBatch))
	f.Add([]byte("all of it"), uint32(9))
	f.Add(make([]byte, readStep), uint32(readStep+1))
	f.Add(make([]byte, readStep+1), uint32(MaxBatch))
	f.Fuzz(func(t *testing.T, in []byte, n uint32) {
		n %= MaxBatch + 1
		buf, err := readLong(bytes.NewReader(in), nil, int(n))
		if most := 2 * (len(in) + readStep); cap(buf) > most {
			t.Errorf("%d bytes allocated for a length of %d of which %d came; at most %d", cap(buf), n, len(in), most)
		}
		if all := int(n) <= len(in); all != (err == nil) || all && !bytes.Equal(buf, in[:n]) {
			t.Errorf("%d of %d bytes: read %d, %v", n, len(in), len(buf), err)
		}
	})
}

package link

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/godwit-im/godwit/wire"
)

// Whether a connection is TLS shows in its first byte: that of a TLS record
// that holds a handshake, or that of linkMagic. A node that is met in the other
// way answers in the clear, with a hello that says so and no more, for the log
// of whoever knocks.

const (
	tlsHandshake = 22      // the first byte of a TLS connection
	tlsHead      = 5       // type, version, length u16be
	maxRecord    = 1 << 14 // of a handshake, by RFC 8446
)

// abrupt is a TLS connection whose Close closes the socket and says nothing:
// crypto/tls would write a farewell, and wait for a peer that takes nothing.
type abrupt struct{ *tls.Conn }

func (a abrupt) Close() error { return a.NetConn().Close() }

// begun is a connection of which one byte was read already.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// secureIn brings a connection that came in to where a hello can be read from
// it, within the deadline that is set. On an error the caller closes nc; the
// peer has been told what it could be told.
func (t *TCP) secureIn(nc net.Conn) (net.Conn, refuse, error) {
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, saidNothing, err
		}
		return nil, refuseGarbage, fmt.Errorf("link: the connection ended before a hello: %w", err)
	}
	addr := nc.RemoteAddr().String()
	nc = &begun{Conn: nc, first: first[:]}
	switch {
	case t.cfg.TLS == nil && first[0] == tlsHandshake:
		skipRecord(nc)
		t.tell(nc, refuseWithTLS)
		return nil, refuseWithTLS, fmt.Errorf("link: %s speaks TLS, and this node does not: give this node certificates (--pki), or start both with --insecure-plaintext", addr)
	case t.cfg.TLS == nil:
		return nc, accepted, nil
	case first[0] == linkMagic[0]:
		if _, err := readHello(nc); err != nil {
			return nil, refuseGarbage, err
		}
		t.tell(nc, refuseWithoutTLS)
		return nil, refuseWithoutTLS, fmt.Errorf("link: %s speaks without TLS, which this node requires: give it certificates (--pki)", addr)
	case first[0] != tlsHandshake:
		return nil, refuseGarbage, errNotHello
	}
	sc := tls.Server(nc, t.cfg.TLS.Server)
	if err := sc.HandshakeContext(t.ctx); err != nil {
		linger(nc)
		return nil, refuseTLS, t.tlsError(addr, err)
	}
	return abrupt{sc}, accepted, nil
}

// secureOut does for a connection to peer what secureIn does for one that came in.
func (t *TCP) secureOut(nc net.Conn, peer wire.NodeID) (net.Conn, refuse, error) {
	if t.cfg.TLS == nil {
		return nc, accepted, nil
	}
	addr := nc.RemoteAddr().String()
	sc := tls.Client(nc, t.cfg.TLS.Client)
	err := sc.HandshakeContext(t.ctx)
	var head tls.RecordHeaderError
	switch {
	case errors.As(err, &head) && bytes.HasPrefix(head.RecordHeader[:], []byte(linkMagic)):
		return nil, refuseWithTLS, t.refusalError(nil, refuseWithTLS, addr)
	case err != nil:
		return nil, refuseTLS, t.tlsError(addr, err)
	}
	if code, err := t.judgePeer(abrupt{sc}, peer, addr); code != accepted {
		return nil, code, err
	}
	return abrupt{sc}, accepted, nil
}

// judgePeer asks Config.TLS.Peer about who is at the other end of nc.
func (t *TCP) judgePeer(nc net.Conn, peer wire.NodeID, addr string) (refuse, error) {
	sc, secure := nc.(abrupt)
	if !secure || t.cfg.TLS.Peer == nil {
		return accepted, nil
	}
	if err := t.cfg.TLS.Peer(peer, sc.ConnectionState()); err != nil {
		return refusePeer, fmt.Errorf("link: %s may not be node %d: %w", addr, peer, err)
	}
	return accepted, nil
}

// tlsError says in words why a TLS handshake failed, or the first bytes after
// it: with TLS 1.3 that is where a dialler learns that it was refused.
func (t *TCP) tlsError(addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate") {
		return fmt.Errorf("link: %s refuses this node's certificate (%w): its log says why; check that both are of one authority and in their time", addr, err)
	}
	return fmt.Errorf("link: TLS with %s: %w", addr, err)
}

// tell answers in the clear why a connection is refused, and lets the peer read
// it. That it could not be told is no news: the refusal is logged here too.
func (t *TCP) tell(nc net.Conn, code refuse) {
	h := hello{code: code}
	if _, err := nc.Write(h.append(nil)); err == nil {
		linger(nc)
	}
}

// linger waits, until the deadline that is set, for the peer to close: closing
// first, with bytes of the peer unread, could take the last words with it.
func linger(nc net.Conn) {
	if b, ok := nc.(*begun); ok {
		nc = b.Conn
	}
	if c, ok := nc.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, maxRecord) // for its end, whatever that is
	}
}

// skipRecord reads one TLS record.
func skipRecord(nc net.Conn) {
	var head [tlsHead]byte
	if _, err := io.ReadFull(nc, head[:]); err == nil {
		n := min(int64(binary.BigEndian.Uint16(head[3:])), maxRecord)
		_, _ = io.CopyN(io.Discard, nc, n) // the answer is the same
	}
}

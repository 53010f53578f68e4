package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// A connection starts with a hello from the dialler and one in answer:
//
//	"gwlk" | version u8 | code u8 | length u16le | from u32le | to u32le | boot u64le | cluster
//
// inside of TLS when Config.TLS says so, where length counts what follows it. The part up to length is the same in all
// versions, so that nodes of any two versions can refuse each other in words.
// Then both sides send batches, each a length u32le and the bytes; length 0 is a
// beat, which says only that the sender lives.
const (
	linkMagic   = "gwlk"
	linkVersion = 1
	helloHead   = len(linkMagic) + 1 + 1 + 2
	helloFixed  = 4 + 4 + 8
	maxCluster  = 64
	maxHello    = 512 // bytes after the head, in any version
)

// refuse is the code of a hello: zero, or why the connection is refused.
type refuse uint8

// Append-only: other versions know them.
const (
	accepted        refuse = iota
	refuseVersion          // the versions differ
	refuseCluster          // the clusters differ
	refuseNode             // the dialler wanted another node
	refuseDuplicate        // there is, or will be, a connection the other way round
	refuseBusy             // closing, or too many peers

	refuseGarbage // not a hello, or cut off; never sent
	unreachable   // nobody listens; never sent
	saidNothing   // connected and went, as health checks do, and peers who are connected by now

	refuseWithoutTLS // the node requires TLS
	refuseWithTLS    // the node does not speak TLS
	refusePeer       // its certificate is that of another process
	refuseTLS        // the handshake of TLS failed; never sent
)

// hello is who a process is.
type hello struct {
	version  uint8
	code     refuse
	from, to wire.NodeID
	boot     uint64
	cluster  string
}

var errNotHello = errors.New("link: what answers is not a godwit link: check the address and the port")

func (h *hello) append(b []byte) []byte {
	b = append(b, linkMagic...)
	b = append(b, linkVersion, byte(h.code))
	b = binary.LittleEndian.AppendUint16(b, uint16(helloFixed+len(h.cluster)))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.from))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.to))
	b = binary.LittleEndian.AppendUint64(b, h.boot)
	return append(b, h.cluster...)
}

// readHello reads one hello and not a byte more. Of another version it returns
// version and code only.
func readHello(r io.Reader) (h hello, err error) {
	var head [helloHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, fmt.Errorf("link: the connection ended before a hello: %w", err) // io.EOF: before its first byte
	}
	n := int(binary.LittleEndian.Uint16(head[helloHead-2:]))
	if string(head[:len(linkMagic)]) != linkMagic || n > maxHello {
		return h, errNotHello
	}
	h.version, h.code = head[len(linkMagic)], refuse(head[len(linkMagic)+1])
	var rest [maxHello]byte
	if _, err := io.ReadFull(r, rest[:n]); err != nil {
		return h, fmt.Errorf("link: the connection ended within a hello: %w", err)
	}
	if h.version != linkVersion {
		return h, nil
	}
	if n < helloFixed || n > helloFixed+maxCluster {
		return h, errNotHello
	}
	h.from = wire.NodeID(binary.LittleEndian.Uint32(rest[0:]))
	h.to = wire.NodeID(binary.LittleEndian.Uint32(rest[4:]))
	h.boot = binary.LittleEndian.Uint64(rest[8:])
	h.cluster = string(rest[helloFixed:n])
	return h, nil
}

// judge compares a hello with what this node expects; from is the peer that was
// dialled, or 0 for a hello that came in.
func (t *TCP) judge(h *hello, from wire.NodeID) refuse {
	switch {
	case h.version != linkVersion:
		return refuseVersion
	case h.cluster != t.cfg.Cluster:
		return refuseCluster
	case h.to != t.cfg.ID || h.from == 0 || h.from == t.cfg.ID || from != 0 && h.from != from:
		return refuseNode
	}
	return accepted
}

// refusalError says in words why a connection to or from addr is refused.
func (t *TCP) refusalError(h *hello, code refuse, addr string) error {
	switch code {
	case refuseVersion:
		return fmt.Errorf("link: %s speaks link version %d, this node %d: upgrade the older one", addr, h.version, linkVersion)
	case refuseCluster:
		return fmt.Errorf("link: %s belongs to another cluster than this node's %q: check the address, or the cluster's name in the configuration", addr, t.cfg.Cluster)
	case refuseNode:
		return fmt.Errorf("link: %s is or wants another node than the one expected there (this is node %d): check the addresses in the shard map and that no two nodes have one id", addr, t.cfg.ID)
	case refuseWithoutTLS:
		return fmt.Errorf("link: %s requires TLS, and this node does not speak it: give this node certificates (--pki)", addr)
	case refuseWithTLS:
		return fmt.Errorf("link: %s does not speak TLS, which this node requires: give it certificates (--pki)", addr)
	case refusePeer:
		return fmt.Errorf("link: %s takes this node's certificate for that of another than node %d: its log says why", addr, t.cfg.ID)
	case refuseBusy:
		return fmt.Errorf("link: %s is stopping or has too many peers", addr)
	}
	return fmt.Errorf("link: %s refuses with code %d, which this version does not know", addr, code)
}

// ask shakes hands on a connection that was dialled to peer, and returns the
// one to use from then on. On refuseDuplicate there is nothing to tell anybody.
func (t *TCP) ask(nc net.Conn, peer wire.NodeID) (use net.Conn, h hello, code refuse, err error) {
	if err := nc.SetDeadline(time.Now().Add(t.timing.greet)); err != nil {
		return nil, h, refuseGarbage, err
	}
	if use, code, err = t.secureOut(nc, peer); err != nil {
		return nil, h, code, err
	}
	mine := hello{from: t.cfg.ID, to: peer, boot: t.boot, cluster: t.cfg.Cluster}
	_, wrote := use.Write(mine.append(nil))
	if h, err = readHello(use); err != nil { // read in any case: a refusal may have come before the hello was out
		if t.cfg.TLS != nil {
			return nil, h, refuseTLS, t.tlsError(nc.RemoteAddr().String(), err)
		}
		return nil, h, refuseGarbage, err
	}
	if code = h.code; code == accepted {
		code = t.judge(&h, peer)
	}
	if code != accepted {
		return nil, h, code, t.refusalError(&h, code, nc.RemoteAddr().String())
	}
	return use, h, accepted, errors.Join(wrote, nc.SetDeadline(time.Time{}))
}

// answer shakes hands on a connection that was accepted and, when both sides
// agree, runs it.
func (t *TCP) answer(nc net.Conn) {
	c, who, code, err := t.receive(nc)
	t.mu.Lock()
	delete(t.mu.greeting, nc)
	t.mu.Unlock()
	if c != nil {
		if err != nil {
			c.shut(err)
		}
		c.run()
		return
	}
	nc.Close()
	if code != refuseDuplicate && code != saidNothing && t.ctx.Err() == nil {
		t.refused(who, code, err)
	}
}

// receive reads a hello, decides and answers. It returns a connection that is
// registered and must be run, or why there is none.
func (t *TCP) receive(nc net.Conn) (c *conn, who string, code refuse, err error) {
	addr := nc.RemoteAddr().String()
	if who, _, err = net.SplitHostPort(addr); err != nil {
		who = addr
	}
	if err := nc.SetDeadline(time.Now().Add(t.timing.greet)); err != nil {
		return nil, who, refuseGarbage, err
	}
	nc, code, err = t.secureIn(nc)
	if err != nil {
		return nil, who, code, err
	}
	h, err := readHello(nc)
	if err != nil {
		return nil, who, refuseGarbage, err
	}
	var why error
	if code = t.judge(&h, 0); code == accepted {
		if code, why = t.judgePeer(nc, h.from, addr); code == accepted {
			c, code = t.admit(nc, &h)
		}
	}
	mine := hello{code: code, from: t.cfg.ID, to: h.from, boot: t.boot, cluster: t.cfg.Cluster}
	if code == refuseCluster {
		mine.cluster = "" // not the business of another cluster
	}
	_, err = nc.Write(mine.append(nil))
	if err == nil && c != nil {
		err = nc.SetDeadline(time.Time{})
	}
	if c == nil {
		if err = why; err == nil {
			err = t.refusalError(&h, code, addr)
		}
	}
	return c, who, code, err
}

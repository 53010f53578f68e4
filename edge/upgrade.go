package edge

import (
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gobwas/ws"

	"github.com/godwit-im/godwit/edge/api"
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/wire"
)

// handoff is what a loop gets to know about a socket that it takes over.
type handoff struct {
	format wire.Format
	who    *session.Identity // of the bearer token, nil when there was none
	early  []byte            // bytes that came before the loop had the socket
	tls    *tls.Conn         // nil: plain
	under  *publicConn

	opened bool // set by the loop
}

// serveWS upgrades one connection and hands its socket to a loop. Whatever is
// wrong is answered with a problem while the connection is still HTTP.
func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {
	if p := s.checkUpgrade(r); p != nil {
		s.refuse(w, p)
		return
	}
	protocol, format, ok := chooseProtocol(r.Header.Values("Sec-Websocket-Protocol"))
	if !ok {
		s.refuse(w, api.NewProblem(wire.CodeWrongSubprotocol, ""))
		return
	}
	ho := &handoff{format: format}
	if p := s.bearer(r, ho); p != nil {
		s.refuse(w, p)
		return
	}
	if p := s.claim(); p != nil {
		s.refuse(w, p)
		return
	}
	defer s.enrolling.Done()
	up := ws.HTTPUpgrader{
		Timeout:  headerTimeout,
		Protocol: func(offered string) bool { return offered == protocol },
	}
	nc, rw, _, err := up.Upgrade(r, w)
	if err != nil {
		s.gone()
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n)
		ho.early = append([]byte(nil), early...)
	}
	if !s.enrol(nc, ho) {
		s.gone()
		_ = nc.Close()
	}
}

// enrol gives the socket of nc to the loop with the fewest connections.
func (s *Server) enrol(nc net.Conn, ho *handoff) bool {
	if tc, ok := nc.(*tls.Conn); ok {
		ho.tls, nc = tc, tc.NetConn()
	}
	pc, ok := nc.(*publicConn)
	if !ok {
		return false
	}
	ho.under = pc
	least := s.loops[0]
	for _, l := range s.loops[1:] {
		if l.n.live.Load() < least.n.live.Load() {
			least = l
		}
	}
	_, err := least.client.EnrollContext(pc.TCPConn, ho)
	pc.leave()
	if err != nil {
		s.cfg.Log.Warn("edge: a loop did not take a connection", "error", err)
		return false
	}
	return ho.opened
}

// claim takes a place under the connection cap and holds off the end of the
// loops until enrolling is done. With a problem there is nothing to give back.
func (s *Server) claim() *api.Problem {
	s.life.Lock()
	defer s.life.Unlock()
	if s.life.draining {
		return api.NewProblem(wire.CodeGoingAway, "connect to another edge")
	}
	if s.live.Add(1) > int64(s.cfg.MaxConnections) {
		s.live.Add(-1)
		return api.NewProblem(wire.CodeServerFull, "")
	}
	s.enrolling.Add(1)
	return nil
}

// gone gives a place under the cap back.
func (s *Server) gone() { s.live.Add(-1) }

// refuse answers an upgrade with a problem and counts it.
func (s *Server) refuse(w http.ResponseWriter, p *api.Problem) {
	s.n.refused.add(p.Code)
	if p.Status == http.StatusUpgradeRequired {
		w.Header().Set("Sec-WebSocket-Version", "13")
		w.Header().Set("Upgrade", "websocket")
	}
	w.Header().Set("Connection", "close")
	p.Write(w)
}

// checkUpgrade judges everything about the request but its subprotocol and
// token.
func (s *Server) checkUpgrade(r *http.Request) *api.Problem {
	values := 0
	for _, v := range r.Header {
		values += len(v)
	}
	h := r.Header
	switch {
	case values > maxHeaders:
		return api.NewProblem(wire.CodeBadRequest, "send fewer than "+strconv.Itoa(maxHeaders)+" headers")
	case !s.originAllowed(r):
		return api.NewProblem(wire.CodeOriginRefused, "")
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1:
		return api.NewProblem(wire.CodeProtocol, "upgrade with GET and HTTP/1.1")
	case !hasToken(h.Values("Upgrade"), "websocket") || !hasToken(h.Values("Connection"), "upgrade"):
		return upgradeRequired("this is a WebSocket: send Upgrade: websocket and Connection: Upgrade")
	case h.Get("Sec-Websocket-Version") != "13":
		return upgradeRequired("send Sec-WebSocket-Version: 13")
	case !goodKey(h.Values("Sec-Websocket-Key")):
		return api.NewProblem(wire.CodeProtocol, "send one Sec-WebSocket-Key: 16 random bytes, base64")
	case r.ContentLength > 0 || len(r.TransferEncoding) > 0:
		return api.NewProblem(wire.CodeProtocol, "an upgrade has no body")
	case !s.router.ready():
		return api.NewProblem(wire.CodeUnavailable, "the edge has no shard map yet; try again")
	case !s.router.anyUp():
		return api.NewProblem(wire.CodeUnavailable, "the edge is cut off from the cores; try again, or another edge")
	}
	return nil
}

func upgradeRequired(detail string) *api.Problem {
	p := api.NewProblem(wire.CodeProtocol, detail)
	p.Status = http.StatusUpgradeRequired
	return p
}

func goodKey(keys []string) bool {
	if len(keys) != 1 || len(keys[0]) != 24 {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(keys[0])
	return err == nil && len(b) == 16
}

// hasToken reports whether a comma-separated header holds token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// chooseProtocol returns the first subprotocol offered that this edge speaks.
func chooseProtocol(values []string) (string, wire.Format, bool) {
	for _, v := range values {
		for p := range strings.SplitSeq(v, ",") {
			p = strings.TrimSpace(p)
			if f, ok := wire.FormatOf(p); ok {
				return p, f, true
			}
		}
	}
	return "", 0, false
}

// bearer verifies the token of the upgrade, if it has one.
func (s *Server) bearer(r *http.Request, ho *handoff) *api.Problem {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil // hello will bring it
	}
	token, ok := api.BearerToken(header)
	if !ok {
		return api.NewProblem(wire.CodeUnauthenticated, "")
	}
	who, code := s.verify.identify(r.Context(), []byte(token))
	if code != wire.OK {
		return api.NewProblem(code, "")
	}
	ho.who = &who
	return nil
}

// originAllowed decides about the page that opens the connection. A request
// without Origin does not come from a browser's page.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	for _, allowed := range s.cfg.AllowOrigins {
		if allowed == "*" || strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin) {
			return true
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || loopbackHost(u.Hostname())
}

// loopbackHost reports whether a name is this machine's own.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

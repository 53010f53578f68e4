package edge

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/edge/api"
	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/wire"
)

// devTokenFor is how long a token of the development sign-in is good.
const devTokenFor = 12 * time.Hour

// pagePolicy is the Content-Security-Policy of the page: its own files and its
// own server, nothing inline, nobody's frame.
const pagePolicy = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// handler serves the public address.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serveWS)
	cfg := api.Config{
		Core: s.calls,
		Verify: func(ctx context.Context, token string) (wire.UserID, error) {
			who, code := s.verify.identify(ctx, []byte(token))
			if code != wire.OK {
				return "", code
			}
			return who.User, nil
		},
		Version: s.cfg.Version,
		Limits: wire.Limits{
			Content:  uint32(s.cfg.MaxContent),
			Frame:    uint32(wire.MaxFrame(wire.Msgpack, s.cfg.MaxContent)),
			InFlight: uint32(s.session.InFlight),
		},
		Heartbeat: s.cfg.Heartbeat,
	}
	if s.cfg.DevSecret != nil {
		cfg.DevToken = s.devToken
	}
	api.Register(mux, cfg)
	mux.Handle("/", page(s.cfg.Page))
	if s.cfg.DevSecret != nil && !s.cfg.InsecureDevAuth {
		return api.Patient(s.loopbackOnly(mux))
	}
	return api.Patient(mux)
}

// loopbackOnly refuses requests that name another host. Development sign-in
// listens on loopback, but a page elsewhere reaches that too when its own name
// resolves to it, and is then of the same origin as we are.
func (s *Server) loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := url.URL{Host: r.Host}
		if !loopbackHost(host.Hostname()) {
			s.refuse(w, api.NewProblem(wire.CodeOriginRefused,
				"with development sign-in, ask for 127.0.0.1 or localhost; for other names configure a key for tokens, or pass --insecure-dev-auth"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) devToken(user wire.UserID, device wire.DeviceID) (string, time.Time, error) {
	now := time.Now()
	token, err := auth.Mint(s.cfg.DevSecret, user, device, now, devTokenFor)
	return token, now.Add(devTokenFor), err
}

// page adds the headers that keep the page to itself.
func page(h http.Handler) http.Handler {
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "There is nothing at this address. The REST interface is at /v1 (see /docs), the WebSocket at /ws.", http.StatusNotFound)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hd := w.Header()
		hd.Set("Content-Security-Policy", pagePolicy)
		hd.Set("X-Content-Type-Options", "nosniff")
		hd.Set("Referrer-Policy", "no-referrer")
		hd.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

// descriptorLimit returns how many files this process may have open.
func descriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024 // what systems have had for decades
	}
	return int(min(r.Cur, 1<<30))
}

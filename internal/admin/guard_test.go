package admin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// An operator's browser visits a page that knows where the admin address is.
func TestPagesElsewhere(t *testing.T) {
	compactions := 0
	h := Handler(Config{Metrics: prometheus.NewRegistry(), Compact: func(context.Context) error { compactions++; return nil }})
	loop, wide := net.IPv4(127, 0, 0, 1), net.IPv4(192, 0, 2, 7)
	for _, tc := range []struct {
		name, method, path string
		at                 net.IP
		host, site, origin string
		status             int
	}{
		{"curl", "POST", "/debug/compact", loop, "127.0.0.1:8081", "", "", 204},
		{"curl by name", "POST", "/debug/compact", loop, "localhost:8081", "", "", 204},
		{"curl by IPv6", "GET", "/metrics", net.IPv6loopback, "[::1]:8081", "", "", 200},
		{"scraper in a cluster", "GET", "/metrics", wide, "godwit-0.godwit:8081", "", "", 200},
		{"form elsewhere", "POST", "/debug/compact", loop, "127.0.0.1:8081", "cross-site", "https://evil.example", 403},
		{"old browser", "POST", "/debug/compact", wide, "godwit-0:8081", "", "https://evil.example", 403},
		{"image elsewhere", "GET", "/debug/pprof/trace", loop, "127.0.0.1:8081", "cross-site", "", 403},
		{"page on another port", "GET", "/debug/pprof/trace", loop, "localhost:8081", "same-site", "", 403},
		{"typed", "GET", "/debug/pprof/cmdline", loop, "localhost:8081", "none", "", 200},
		{"link", "GET", "/metrics", loop, "localhost:8081", "cross-site", "", 200},
		{"rebound name", "GET", "/debug/pprof/heap", loop, "evil.example:8081", "", "", 421},
		{"rebound name, posting", "POST", "/debug/compact", loop, "evil.example", "", "http://evil.example", 421},
		{"name that looks the part", "GET", "/metrics", loop, "localhost.evil.example", "", "", 421},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, tc.path, nil)
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: tc.at, Port: 8081}))
			r.Host = tc.host
			for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Origin": tc.origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != tc.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tc.status)
			}
		})
	}
	if compactions != 2 {
		t.Errorf("%d compactions, want those of curl", compactions)
	}
}

package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHandler(t *testing.T) {
	var missing error
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "godwit_test_gauge", Help: "A test."}, func() float64 { return 42 }))
	h := Handler(reg,
		Check{Name: "edge", Ready: func() error { return missing }},
		Check{Name: "core", Ready: func() error { return nil }})

	for _, tc := range []struct {
		name, path string
		missing    error
		status     int
		body       string
	}{
		{"alive", "/healthz", errors.New("no map"), 200, "ok"},
		{"not ready", "/readyz", errors.New("no map"), 503, "edge: no map"},
		{"ready", "/readyz", nil, 200, "ready"},
		{"metrics", "/metrics", nil, 200, "godwit_test_gauge 42"},
		{"profiles", "/debug/pprof/", nil, 200, "goroutine"},
		{"elsewhere", "/v1/chats", nil, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			missing = tc.missing
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tc.path, nil))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("GET %s: %d %q, want %d with %q", tc.path, w.Code, w.Body, tc.status, tc.body)
			}
		})
	}
}

package admin

import (
	"context"
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
	h := Handler(Config{Metrics: reg, Checks: []Check{
		{Name: "edge", Ready: func() error { return missing }},
		{Name: "core", Ready: func() error { return nil }, Note: func() string { return "a key is missing" }}}})

	for _, tc := range []struct {
		name, path string
		missing    error
		status     int
		body       string
	}{
		{"alive", "/healthz", errors.New("no map"), 200, "ok"},
		{"not ready", "/readyz", errors.New("no map"), 503, "edge: no map"},
		{"ready", "/readyz", nil, 200, "ready\ncore: a key is missing\n"},
		{"metrics", "/metrics", nil, 200, "godwit_test_gauge 42"},
		{"profiles", "/debug/pprof/", nil, 200, "goroutine"},
		{"index", "/", nil, 200, "/readyz"},
		{"nothing to compact", "/debug/compact", nil, 404, ""},
		{"elsewhere", "/v1/chats", nil, 404, "/readyz"},
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

func TestCompact(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan error)
	h := Handler(Config{Metrics: prometheus.NewRegistry(), Compact: func(context.Context) error {
		begun <- struct{}{}
		return <-goOn
	}})
	post := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/debug/compact", nil))
		return w
	}
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- post() }()
	<-begun
	if w := post(); w.Code != 409 {
		t.Errorf("a second one at the same time: %d", w.Code)
	}
	goOn <- nil
	if w := <-first; w.Code != 204 {
		t.Errorf("done: %d %s", w.Code, w.Body)
	}
	go func() { first <- post() }()
	<-begun
	goOn <- errors.New("the disk is full")
	if w := <-first; w.Code != 503 || !strings.Contains(w.Body.String(), "the disk is full") {
		t.Errorf("failed: %d %s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/compact", nil))
	if w.Code != 405 {
		t.Errorf("GET: %d; a crawler must not start it", w.Code)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "POST /debug/compact") {
		t.Errorf("the index does not list it: %s", w.Body)
	}
}

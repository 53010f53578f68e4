package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Who opens connections and says nothing gets MaxConnections descriptors, and
// whoever comes then is served as soon as one of them goes.
func TestConnectionCap(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(Handler(Config{Metrics: prometheus.NewRegistry()}))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	idle := make([]net.Conn, 2*MaxConnections)
	for i := range idle {
		if idle[i], err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer idle[i].Close()
	}
	for deadline := time.Now().Add(5 * time.Second); ln.full.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the cap was not reached")
		}
	}
	if n := len(ln.slots); n != MaxConnections {
		t.Errorf("%d connections are open, want %d", n, MaxConnections)
	}
	if n := ln.full.Load(); n != 1 {
		t.Errorf("counted %d waits, want 1", n)
	}
	for _, c := range idle {
		c.Close()
	}
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + ln.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal("behind the idle ones:", err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "ok\n" {
		t.Errorf("healthz: %q", b)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

// A listener that is full closes at once.
func TestCloseWhileFull(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for range MaxConnections {
		ln.slots <- struct{}{}
	}
	got := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		got <- err
	}()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; err == nil {
		t.Error("accepted on a closed listener")
	}
}

func TestLongProfiles(t *testing.T) {
	h := Handler(Config{Metrics: prometheus.NewRegistry()})
	for _, path := range []string{"/debug/pprof/trace?seconds=61", "/debug/pprof/profile?seconds=100000", "/debug/pprof/heap?seconds=3600",
		"/debug/pprof/trace?seconds=Inf", "/debug/pprof/trace?seconds=nan", "/debug/pprof/trace?seconds=1e400"} {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != 400 {
			t.Errorf("%s: %d, want 400", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/trace?seconds=0.01", nil)); w.Code != 200 || w.Body.Len() == 0 {
		t.Errorf("a short one: %d", w.Code)
	}
}

// A compaction may take longer than any other answer.
func TestLongCompaction(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const limit = 50 * time.Millisecond
	srv := NewServer(Handler(Config{Metrics: prometheus.NewRegistry(), Compact: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(4 * limit):
			return nil
		}
	}}))
	srv.ReadTimeout, srv.WriteTimeout = limit, limit
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	resp, err := http.Post("http://"+ln.Addr().String()+"/debug/compact", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Error(resp.Status)
	}
}

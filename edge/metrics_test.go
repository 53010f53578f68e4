package edge

import (
	"bytes"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/wire"
)

func scrape(t testing.TB, c prometheus.Collector) []byte {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func dialTCP(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// The metrics are named and described as Prometheus wants them.
func TestMetrics(t *testing.T) {
	f := start(t, nil)
	f.connect("alice", "phone", wire.JSON)
	problems, err := promlint.New(bytes.NewReader(scrape(t, f.srv))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	text := string(scrape(t, f.srv))
	for _, want := range []string{"godwit_edge_connections 1", "godwit_edge_syncs_total 1", `godwit_edge_drops_total{reason="inbox_full"} 0`} {
		if !contains(text, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
}

// A refused token leaves a trace that names what failed and nothing of it.
func TestRefusedTokens(t *testing.T) {
	var log bytes.Buffer
	believer, err := auth.New(t.Context(), auth.Config{HS256Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	v := &verifier{auth: believer, log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	long := time.Now().Add(-time.Hour)
	expired, err := auth.Mint(secret, "alice", "", long, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := auth.Mint([]byte("another secret of thirty-two bytes"), "alice", "", time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ check, token string }{{"present", ""}, {"form", "x"}, {"exp", expired}, {"signature", forged}} {
		log.Reset()
		if _, code := v.identify(t.Context(), []byte(tc.token)); code == wire.OK {
			t.Errorf("%s: believed", tc.check)
		}
		if n := v.refused[slices.Index(tokenChecks[:], tc.check)].Load(); n != 1 {
			t.Errorf("%s: counted %d", tc.check, n)
		}
		if !contains(log.String(), "check="+tc.check) || len(tc.token) > 1 && contains(log.String(), tc.token[:20]) {
			t.Errorf("%s: logged %s", tc.check, &log)
		}
	}
	f := start(t, nil)
	if status, _ := f.rest("GET", "/v1/chats", expired, ""); status != 401 {
		t.Errorf("REST: %d", status)
	}
	if !contains(string(scrape(t, f.srv)), `godwit_edge_tokens_refused_total{check="exp"} 1`) {
		t.Error("not in the metrics")
	}
}

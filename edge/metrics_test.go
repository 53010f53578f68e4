package edge

import (
	"bytes"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

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

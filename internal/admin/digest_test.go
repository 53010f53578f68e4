package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestDigest(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := Handler(Config{
		Metrics:  prometheus.NewRegistry(),
		Replicas: func() any { return []int{7, 8} },
		Digest: func(_ context.Context, shard uint32) (any, error) {
			switch shard {
			case 7:
				return map[string]uint64{"applied": 41}, nil
			case 8:
				entered <- struct{}{}
				<-leave
				return nil, nil
			}
			return nil, errors.New("shard 9 has no replica on this node")
		},
	})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	want := func(path string, status int, body string) {
		t.Helper()
		if code, text := get(path); code != status || text != body {
			t.Errorf("GET %s answers %d %q, want %d %q", path, code, text, status, body)
		}
	}
	want("/debug/shards", 200, "[7,8]\n")
	want("/debug/shards/7/digest", 200, "{\"applied\":41}\n")
	want("/debug/shards/9/digest", 503, "shard 9 has no replica on this node\n")
	want("/debug/shards/x/digest", 400, "a shard is a number; /debug/shards lists those that are here\n")

	done := make(chan struct{})
	go func() {
		defer close(done)
		get("/debug/shards/8/digest")
	}()
	<-entered
	want("/debug/shards/7/digest", 409, "a digest is being read; wait for it\n")
	close(leave)
	<-done
	want("/debug/shards/7/digest", 200, "{\"applied\":41}\n")
}

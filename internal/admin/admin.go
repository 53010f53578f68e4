// Package admin serves what operators and their tools ask a process: health,
// readiness, metrics, profiles and compaction. It belongs on an address of its own that
// the public cannot reach; it asks for no credentials.
//
// A page in an operator's browser can reach such an address too. So a browser's
// request that comes from a page elsewhere gets neither profiles nor a
// compaction, and a loopback address answers to loopback names only, whatever
// name a page had resolve to it.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must hold before the process may get traffic.
type Check struct {
	Name string // a word, such as "edge"
	// Ready returns nil, or what is missing. It must not block.
	Ready func() error
	// Note returns what to say of a part that is ready, "" for nothing; nil: it
	// never has anything to say. It must not block.
	Note func() string
}

// Config is what a Handler serves from.
type Config struct {
	Metrics prometheus.Gatherer
	Checks  []Check
	// Compact makes the data directory small and returns when that is done; nil
	// when the process keeps no data. It is called once at a time.
	Compact func(context.Context) error
	// Replicas returns the replicas of this process, as JSON shows them; nil when
	// it has none. Digest returns what the replica of a shard holds, in a few
	// bytes; it is set when Replicas is, and called once at a time.
	Replicas func() any
	Digest   func(ctx context.Context, shard uint32) (any, error)
}

// compactTimeout bounds one compaction: some 50 GB.
const compactTimeout = 30 * time.Minute

// index is what / answers: all that every process serves. indexCompact and
// indexReplicas follow where Config has the parts.
const (
	index = `GET  /healthz        200 while the process runs
GET  /readyz         200 when every part is ready, else 503 and what is missing
GET  /metrics        Prometheus
GET  /debug/pprof/   profiles
`
	indexCompact = `POST /debug/compact  makes the data directory as small as it gets; 204 when done, 409 while one is under way
`
	indexReplicas = `GET  /debug/shards   the replicas here, and who leads
GET  /debug/shards/{id}/digest  what a replica holds, in a few bytes: equal ones are equal where applied is; 409 while one is read
`
)

// Handler serves what index lists, and index at /. It is safe for concurrent
// use.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	text := index
	if cfg.Compact != nil {
		text += indexCompact
	}
	if cfg.Replicas != nil {
		text += indexReplicas
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, text) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		for _, method := range [...]string{http.MethodGet, http.MethodPost} {
			other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(other); pattern != "/" {
				w.Header().Set("Allow", method)
				plain(w, http.StatusMethodNotAllowed, "use "+method+"\n")
				return
			}
		}
		plain(w, http.StatusNotFound, "there is nothing at this address; there is:\n"+text)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(cfg.Checks); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		plain(w, http.StatusOK, "ready\n"+notes(cfg.Checks))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	if cfg.Compact != nil {
		mux.Handle("POST /debug/compact", compact(cfg.Compact))
	}
	if cfg.Replicas != nil {
		mux.HandleFunc("GET /debug/shards", func(w http.ResponseWriter, _ *http.Request) { asJSON(w, cfg.Replicas()) })
		mux.Handle("GET /debug/shards/{id}/digest", digest(cfg.Digest))
	}
	mux.HandleFunc("/debug/pprof/", short(pprof.Index))
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", short(pprof.Profile))
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", short(pprof.Trace))
	return guard(mux)
}

// maxProfile is the longest profile or trace in seconds. A trace grows by some
// megabytes a second, and it has one of MaxConnections.
const maxProfile = 60

// short refuses to profile for longer than maxProfile.
func short(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds, _ := strconv.ParseFloat(r.FormValue("seconds"), 64) // what is no number means pprof's default
		if !(seconds <= maxProfile) {                                // not a number neither
			plain(w, http.StatusBadRequest, fmt.Sprintf("at most seconds=%d\n", maxProfile))
			return
		}
		h(w, r)
	}
}

// answerTimeout bounds a request and its answer, all but a compaction's: who
// does not read it loses the connection.
const answerTimeout = maxProfile*time.Second + 30*time.Second

// guard keeps pages of other sites out. What is not a browser passes: it sends
// none of these headers and the name that it was given.
func guard(h http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		switch {
		case local != nil && local.IP.IsLoopback() && !loopback(r.Host):
			plain(w, http.StatusMisdirectedRequest, "this is a loopback address: ask for it as 127.0.0.1 or localhost\n")
		case foreign.Check(r) != nil,
			strings.HasPrefix(r.URL.Path, "/debug/") && site != "" && site != "none" && site != "same-origin":
			plain(w, http.StatusForbidden, "a page of another site may not ask for this\n")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether the host of a request, with or without a port,
// means this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

// compact answers when do is done. A client that goes away ends it.
func compact(do func(context.Context) error) http.Handler {
	var busy sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !busy.TryLock() {
			plain(w, http.StatusConflict, "a compaction is under way; wait for it\n")
			return
		}
		defer busy.Unlock()
		rc := http.NewResponseController(w) // a writer without deadlines is a test's
		_, _ = rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(r.Context(), compactTimeout)
		defer cancel()
		if err := do(ctx); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// NewServer returns a server for h with time-outs that suit an admin address:
// headers must arrive soon, answers may take as long as a profile does. It is
// meant for a Listener: a silent connection has its slot for five seconds, one
// between requests for a little longer than scrapers pause.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, IdleTimeout: time.Minute}
}

// ready runs all checks and returns what is missing, one line each.
func ready(checks []Check) error {
	var errs []error
	for _, c := range checks {
		if err := c.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}

// notes returns what the checks have to say, one line each.
func notes(checks []Check) (text string) {
	for _, c := range checks {
		if c.Note == nil {
			continue
		}
		if note := c.Note(); note != "" {
			text += c.Name + ": " + note + "\n"
		}
	}
	return text
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

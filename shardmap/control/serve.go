package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/control/api"
)

// APIConfig says how a member answers the calls of package api.
type APIConfig struct {
	Listener   net.Listener // Close closes it
	TLS        *tls.Config  // the server's side; nil: plain HTTP, which is for loopback
	Secret     string       // the join secret, not empty; space around it does not count
	MaxWaiting int          // calls that wait for a map at a time; 0: 8,192, two for each node
	MaxCalls   int          // other calls at a time; 0: 256
}

// Bounds and times of the API.
const (
	defaultWaiting = 8192
	defaultCalls   = 256
	headerWithin   = 5 * time.Second
	bodyWithin     = 5 * time.Second
	callWithin     = 5 * time.Second
	answerWithin   = 10 * time.Second
	idleFor        = 2 * time.Minute
	maxHeader      = 16 << 10
	stopWithin     = time.Second
	maxRefusals    = 1024 // that are remembered as logged
)

// API answers calls until it is closed. It has to be closed before its Control.
type API struct {
	control *Control
	server  *http.Server
	secret  [sha256.Size]byte
	waiting chan struct{} // a token for each call that waits for a map
	calls   chan struct{} // a token for each other call
	stop    chan struct{}
	serving sync.WaitGroup
	closing sync.Once

	mu struct {
		sync.Mutex
		logged map[string]bool // refusals, by what and whom
	}
}

// Serve answers the calls of package api on a listener. The member must run a
// fleet (Config.Fleet).
func (c *Control) Serve(cfg APIConfig) (*API, error) {
	cfg.Secret = strings.TrimSpace(cfg.Secret)
	if c.settings == nil || cfg.Listener == nil || cfg.Secret == "" {
		return nil, errors.New("control: Serve needs a member with Config.Fleet, a Listener and a Secret")
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = defaultWaiting
	}
	if cfg.MaxCalls == 0 {
		cfg.MaxCalls = defaultCalls
	}
	a := &API{
		control: c, secret: sha256.Sum256([]byte(cfg.Secret)), stop: make(chan struct{}),
		waiting: make(chan struct{}, cfg.MaxWaiting), calls: make(chan struct{}, cfg.MaxCalls),
	}
	a.mu.logged = make(map[string]bool)
	a.server = &http.Server{
		Handler:           a.routes(),
		TLSConfig:         cfg.TLS.Clone(), // the server writes to it
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: headerWithin,
		WriteTimeout:      api.MaxWait + answerWithin,
		IdleTimeout:       idleFor,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	a.server.Protocols.SetHTTP1(true) // one kind of connection, whose deadlines are plain
	a.serving.Go(func() {
		var err error
		if cfg.TLS != nil {
			err = a.server.ServeTLS(cfg.Listener, "", "")
		} else {
			err = a.server.Serve(cfg.Listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("the control API has stopped", "err", err)
		}
	})
	return a, nil
}

// Close answers what waits and stops. Close again is harmless.
func (a *API) Close() error {
	var err error
	a.closing.Do(func() {
		close(a.stop)
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if a.server.Shutdown(ctx) != nil {
			err = a.server.Close()
		}
		a.serving.Wait()
	})
	return err
}

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathJoin, a.leader(a.calls, a.join))
	mux.HandleFunc("POST "+api.PathReport, a.leader(a.calls, a.report))
	mux.HandleFunc("POST "+api.PathLeave, a.leader(a.calls, a.leave))
	mux.HandleFunc("GET "+api.PathMap, a.leader(a.waiting, a.newerMap))
	mux.HandleFunc("POST "+api.PathPlan, a.leader(a.calls, a.plan))
	mux.HandleFunc("POST "+api.PathNodes+"{node}", a.leader(a.calls, a.wish))
	mux.HandleFunc("DELETE "+api.PathNodes+"{node}", a.leader(a.calls, a.forget))
	mux.HandleFunc("GET "+api.PathFleet, a.answer(a.calls, a.fleet))
	mux.HandleFunc("/", a.answer(a.calls, func(r *http.Request) (any, error) {
		return nil, fault.New(fault.BadControlCall, "there is no %s %s", r.Method, r.URL.Path)
	}))
	return mux
}

// leader answers with do on the member that leads, and elsewhere with who does.
func (a *API) leader(limit chan struct{}, do func(*http.Request, *term) (any, error)) http.HandlerFunc {
	return a.answer(limit, func(r *http.Request) (any, error) {
		t := a.control.leading()
		if t == nil {
			if err := a.control.fsm.broken(); err != nil {
				return nil, fault.New(fault.ControlBroken, "%w", err)
			}
			return nil, a.control.elsewhere()
		}
		return do(r, t)
	})
}

// answer lets in who knows the secret, as many at a time as limit has tokens,
// and writes what do returns: a map, JSON, nil (204), unchanged (304) or an error.
func (a *API) answer(limit chan struct{}, do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.knows(r) {
			a.refuse(w, r, fault.New(fault.JoinSecret, ""))
			return
		}
		select {
		case limit <- struct{}{}:
			defer func() { <-limit }()
		default:
			a.refuse(w, r, fault.New(fault.TooManyWaiting, "%d at a time", cap(limit)))
			return
		}
		rc := http.NewResponseController(w)
		// Errors of the deadlines mean that the connection is gone, as the
		// next read or write finds out. The deadline ends before do waits: it
		// would end the request then.
		_ = rc.SetReadDeadline(time.Now().Add(bodyWithin))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxBody))
		_ = rc.SetReadDeadline(time.Time{})
		if err != nil {
			a.refuse(w, r, fault.New(fault.BadControlCall, "the body cannot be read, it may have %d bytes: %w", api.MaxBody, err))
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		result, err := do(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		write(w, result)
	}
}

// unchanged is the answer to who has the newest map.
type unchanged struct{}

func write(w http.ResponseWriter, result any) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch v := result.(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case unchanged:
		w.WriteHeader(http.StatusNotModified)
	case *shardmap.Map:
		h.Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(v.Encode()) // who is gone asks again
	default:
		h.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}

// knows compares digests, so that neither the secret's length nor how much of a
// guess is right shows in the time it takes.
func (a *API) knows(r *http.Request) bool {
	guess, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(guess))
	return subtle.ConstantTimeCompare(sum[:], a.secret[:]) == 1 && ok
}

// refuse answers with a problem, and logs it once for each kind, path and host.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := a.control.problem(err)
	p.Write(w)
	if p.Code == fault.NotControlLeader || p.Code == fault.NoControlLeader || p.Retryable {
		return // who asked goes on by itself
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	key := p.Name + " " + r.URL.Path + " " + host
	a.mu.Lock()
	again := a.mu.logged[key]
	if len(a.mu.logged) >= maxRefusals {
		clear(a.mu.logged)
	}
	a.mu.logged[key] = true
	a.mu.Unlock()
	if !again {
		a.control.log.Warn("a call was refused", "path", r.URL.Path, "from", r.RemoteAddr, "err", p)
	}
}

// body reads the JSON of a request into v. Fields that this version does not
// know are left out: the caller may be newer.
func body(r *http.Request, v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return fault.New(fault.BadControlCall, "the body is not the JSON that this call takes: %w", err)
	}
	return nil
}

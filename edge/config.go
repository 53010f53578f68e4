package edge

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/edge/session"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// Config says what an edge is. Zero values of the fields below Auth mean the
// defaults that their comments name.
type Config struct {
	// Node is this edge's id in the fleet. Required.
	Node wire.NodeID
	// Listen is the public address, "host:port"; port 0 picks a free one.
	Listen string
	// Listener, when set, is the public address that Bind has opened, instead
	// of Listen. The edge closes it.
	Listener *net.TCPListener
	// CertFile and KeyFile hold a PEM certificate chain and its key. With both
	// set the public address speaks TLS 1.3 only; the files are read again
	// when they change.
	CertFile, KeyFile string
	// Watcher follows the shard map. Required.
	Watcher *watch.Watcher
	// Auth verifies tokens. Required.
	Auth *auth.Verifier

	// DevSecret, when set, is the HS256 secret that POST /v1/dev/token signs
	// with: anybody may be anybody. Open refuses it on a listener that is not
	// loopback unless InsecureDevAuth is set.
	DevSecret       []byte
	InsecureDevAuth bool

	// AllowOrigins lists origins such as "https://chat.example" whose pages
	// may connect, beside the edge's own and loopback ones; "*" allows all.
	AllowOrigins []string
	// MaxConnections caps WebSocket connections. Zero, or more than the
	// descriptor limit allows, means as many as the limit less a reserve.
	MaxConnections int
	// Loops is how many event loops run. Zero: one per CPU, at most MaxLoops.
	Loops int
	// Heartbeat is how often a client pings. Zero: wire.Heartbeat.
	Heartbeat time.Duration
	// MaxContent is the longest content in bytes. Zero: wire.MaxContent.
	MaxContent int
	// SendRate and OpsRate are how many sends, and how many other frames, a
	// session may send per second, five times as many at once. Zero: the
	// session's defaults. Negative: no limit.
	SendRate, OpsRate int
	// DrainFor is how long Shutdown spreads its farewells and waits for
	// clients to leave. Zero: 5 s.
	DrainFor time.Duration

	// CutOff is how long the edge may be without any core before it sends its
	// clients away. Zero: 5 s.
	CutOff time.Duration

	// Version is what /v1/server and the OpenAPI document say.
	Version string
	// Page serves everything that is not /ws, /v1, /openapi.json or /docs.
	// Nil: a plain 404.
	Page http.Handler
	// Log receives what an operator should know. Nil: discarded.
	Log *slog.Logger
}

// withDefaults returns cfg with its zero values filled in.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case cfg.Node == 0:
		return cfg, errors.New("edge: no node id; set Config.Node")
	case cfg.Watcher == nil:
		return cfg, errors.New("edge: no shard map watcher; set Config.Watcher")
	case cfg.Auth == nil:
		return cfg, errors.New("edge: no token verifier; set Config.Auth")
	case (cfg.CertFile == "") != (cfg.KeyFile == ""):
		return cfg, errors.New("edge: TLS needs a certificate and a key; give both or neither")
	case cfg.MaxContent > wire.MaxContentCeiling:
		return cfg, errors.New("edge: the limit of content is above wire.MaxContentCeiling (1 MiB); send media by reference")
	}
	setDefault(&cfg.Heartbeat, wire.Heartbeat)
	setDefault(&cfg.MaxContent, wire.MaxContent)
	setDefault(&cfg.DrainFor, 5*time.Second)
	setDefault(&cfg.CutOff, 5*time.Second)
	setDefault(&cfg.Version, "unknown")
	setDefault(&cfg.Log, slog.New(slog.DiscardHandler))
	setDefault(&cfg.Loops, defaultLoops())
	cfg.Loops = min(max(cfg.Loops, 1), MaxLoops)
	return cfg, nil
}

// sessions returns the configuration of the sessions.
func (cfg *Config) sessions() session.Config {
	sc := session.Defaults().WithContent(cfg.MaxContent)
	sc.Heartbeat = wire.Millis(cfg.Heartbeat.Milliseconds())
	if cfg.SendRate != 0 {
		sc.SendRate, sc.SendBurst = max(cfg.SendRate, 0), 5*max(cfg.SendRate, 0)
	}
	if cfg.OpsRate != 0 {
		sc.OpsRate, sc.OpsBurst = max(cfg.OpsRate, 0), 5*max(cfg.OpsRate, 0)
	}
	return sc
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

package process

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/godwit-im/godwit/edge"
	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

// EdgeConfig says how to open an edge.
type EdgeConfig struct {
	Settings *config.Server
	Node     wire.NodeID
	Listener *net.TCPListener // the public address, when it is bound already
	Watcher  *watch.Watcher
	Version  string       // of the program
	Page     http.Handler // what the public address serves beside /v1 and /ws
	Log      *slog.Logger
	// DevSecret gives the secret of development sign-in. It is asked when the
	// settings have no key.
	DevSecret func() ([]byte, error)
}

// Edge is an edge with what verifies its tokens.
type Edge struct {
	*edge.Server
	auth *auth.Verifier
}

// OpenEdge binds the public address and starts an edge without a link.
func OpenEdge(ctx context.Context, cfg EdgeConfig) (*Edge, error) {
	c := cfg.Settings
	ac := auth.Config{HS256Secret: []byte(c.AuthHS256Secret), KeyFiles: c.AuthPublicKeys, JWKSURL: c.AuthJWKSURL, Issuer: c.AuthIssuer, Audience: c.AuthAudience}
	var devSecret []byte
	var err error
	if c.DevSignIn() {
		if devSecret, err = cfg.DevSecret(); err != nil {
			return nil, err
		}
		ac.HS256Secret = devSecret
	}
	if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return nil, fault.New(fault.BadKeyFile, "--tls-cert %s with --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
		}
	}
	verifier, err := auth.New(ctx, ac)
	if err != nil {
		return nil, fault.New(fault.BadKeyFile, "%w", err)
	}
	if _, err := verifier.Trouble(); err != nil {
		cfg.Log.Warn("edge: --auth-jwks-url does not work; see whether it is right and answers this host", "err", err)
	}
	s, err := edge.Open(edge.Config{
		Node: cfg.Node, Listen: c.Listen, Listener: cfg.Listener, CertFile: c.TLSCert, KeyFile: c.TLSKey, Watcher: cfg.Watcher, Auth: verifier,
		DevSecret: devSecret, InsecureDevAuth: c.InsecureDevAuth, AllowOrigins: c.AllowOrigins, MaxConnections: c.MaxConnections,
		Heartbeat: c.Heartbeat, MaxContent: c.MaxContent, SendRate: rate(c.SendRate), OpsRate: rate(c.OpsRate), Version: cfg.Version, Page: cfg.Page, Log: cfg.Log,
	})
	if err != nil {
		verifier.Close()
		return nil, ListenFault(c.Listen, err)
	}
	return &Edge{Server: s, auth: verifier}, nil
}

// Check is what /readyz asks: it serves, and could verify a token.
func (e *Edge) Check() error {
	if err := e.Ready(); err != nil {
		return err
	}
	if none, err := e.auth.Trouble(); none {
		return err
	}
	return nil
}

// Note is what an operator should know although the edge is ready: that some
// of the keys are missing.
func (e *Edge) Note() string {
	if _, err := e.auth.Trouble(); err != nil {
		return err.Error()
	}
	return ""
}

// rate turns "0: no limit" of the settings into the edge's form.
func rate(perSecond int) int {
	if perSecond == 0 {
		return -1
	}
	return perSecond
}

// Close closes the edge at once; nil and closed ones are fine.
func (e *Edge) Close() error {
	if e == nil {
		return nil
	}
	err := e.Server.Close()
	e.auth.Close()
	return err
}

// Page returns the address of an edge's page: scheme, host and port.
func Page(c *config.Server, addr string) string {
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + Reachable(addr)
}

// Reachable replaces an address that means "all" by one that can be dialled.
func Reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// Program is what to type for a program that was started as p.
func Program(p string) string {
	switch {
	case p == "":
		return "godwit"
	case strings.ContainsAny(p, " '\"$&;()<>|*?`\\"):
		return Quote(p)
	default:
		return p
	}
}

// Quote makes one word of v for a shell.
func Quote(v string) string { return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'" }

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Config says where to connect and as whom. URL and one of Token and
// TokenSource are needed; the rest has defaults.
type Config struct {
	// URL is the public address of a server: http, https, ws or wss.
	URL string
	// Token is a JWT whose sub is the user id.
	Token string
	// TokenSource is asked for a token at every attempt to connect; it wins
	// over Token. With it, a client whose token expires gets another one and
	// goes on. It is called by one goroutine at a time.
	TokenSource func(ctx context.Context) (string, error)
	// Device names this device when the token does not.
	Device DeviceID
	// Cursors keeps how far this device has come, across restarts of the
	// program. Without it the server's own memory of the device is used.
	Cursors CursorStore

	// ManualAck leaves acknowledging delivery to MarkDelivered. Without it a
	// message is acknowledged when the body of the loop over Events is left.
	ManualAck bool
	// KeepTrying makes Connect return at once, before the first welcome, and
	// go on trying: for programs that may start offline.
	KeepTrying bool
	// Outbox is how many sends may wait for their acknowledgement (default
	// 1024). Send answers ErrOutboxFull beyond it.
	Outbox int
	// Inbox is how many events may wait for Events (default 1024). Messages
	// beyond it are fetched from history later, hints are shed; see Stats.
	Inbox int
	// BackoffMin and BackoffMax bound the wait between attempts to connect,
	// which is random between zero and a bound that doubles (defaults 250 ms
	// and 30 s).
	BackoffMin, BackoffMax time.Duration
	// DialTimeout bounds one attempt (default 10 s).
	DialTimeout time.Duration

	// TLS is used for https and wss; nil takes the system's certificates.
	TLS *tls.Config
	// Dial replaces net.Dialer.DialContext, for instance to go through a proxy.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const defaultDialTimeout = 10 * time.Second

// addresses returns the WebSocket and the REST address of c.URL.
func (c *Config) addresses() (socket, rest string, err error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", "", fmt.Errorf("client: URL: %w", err)
	}
	var httpScheme, wsScheme string
	switch u.Scheme {
	case "http", "ws":
		httpScheme, wsScheme = "http", "ws"
	case "https", "wss":
		httpScheme, wsScheme = "https", "wss"
	default:
		return "", "", fmt.Errorf("client: URL %q must start with http://, https://, ws:// or wss://", c.URL)
	}
	if u.Host == "" {
		return "", "", fmt.Errorf("client: URL %q has no host", c.URL)
	}
	path := strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/ws")
	return wsScheme + "://" + u.Host + path + "/ws", httpScheme + "://" + u.Host + path, nil
}

func (c *Config) check() error {
	if c.Token == "" && c.TokenSource == nil {
		return errors.New("client: Config needs Token or TokenSource")
	}
	return nil
}

package client

import (
	"context"
	"net/http"
	"time"
)

// DevSignIn gets tokens from a server in development, where any name will do.
// It keeps connections, so that signing in thousands of users, as load
// generators do, costs a few of them. It is safe for concurrent use.
type DevSignIn struct{ rest rest }

// signInConns is how many connections a DevSignIn opens, and keeps for a while.
// More callers at a time wait for their turn: a sign-in takes a millisecond.
// Without the bound a busy machine dials in vain while one is about to get free.
const signInConns = 16

// NewDevSignIn returns a DevSignIn for URL of cfg, by way of its TLS and Dial.
// The other fields do not matter. Close it after use.
func NewDevSignIn(cfg Config) (*DevSignIn, error) {
	_, base, err := cfg.addresses()
	if err != nil {
		return nil, err
	}
	cfg.Token = ""
	return &DevSignIn{newRest(base, &cfg, signInConns, signInConns)}, nil
}

// Token gets a token for user. device may be "".
func (d *DevSignIn) Token(ctx context.Context, user UserID, device DeviceID) (token string, expires time.Time, err error) {
	in := struct {
		User   UserID   `json:"user"`
		Device DeviceID `json:"device,omitempty"`
	}{user, device}
	var a struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	err = d.rest.call(ctx, http.MethodPost, "/v1/dev/token", in, &a)
	return a.Token, a.ExpiresAt, err
}

// Close closes the connections that no call uses.
func (d *DevSignIn) Close() { d.rest.http.CloseIdleConnections() }

// DevToken gets one token for user from a server in development; for many, use
// a DevSignIn. device may be "".
func DevToken(ctx context.Context, serverURL string, user UserID, device DeviceID) (token string, expires time.Time, err error) {
	return Config{URL: serverURL, Device: device}.DevToken(ctx, user)
}

// DevToken is the function DevToken for URL and Device of c, by way of its TLS
// and Dial. The other fields do not matter.
func (c Config) DevToken(ctx context.Context, user UserID) (token string, expires time.Time, err error) {
	d, err := NewDevSignIn(c)
	if err != nil {
		return "", time.Time{}, err
	}
	defer d.Close()
	return d.Token(ctx, user, c.Device)
}

// Package auth decides who a token names.
package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Config says which tokens to believe. At least one of HS256Secret, KeyFiles
// and JWKSURL must be set.
type Config struct {
	HS256Secret []byte   // at least MinSecret bytes
	KeyFiles    []string // PEM public keys or certificates: Ed25519, P-256 or RSA >= 2048
	JWKSURL     string   // https, or http to a loopback host
	Issuer      string   // when set, iss must equal it
	Audience    string   // when set, aud must hold it

	Now    func() time.Time // nil: time.Now
	Client *http.Client     // for JWKSURL; nil: one with a 5 s timeout
}

// Identity is who a token names.
type Identity struct {
	User    wire.UserID
	Device  wire.DeviceID // empty when the token names none
	Expires time.Time
}

// Error says why a token was refused: the code for the client and which check
// failed. It never holds any of the token.
type Error struct {
	Code  wire.Code // CodeUnauthenticated, CodeTokenInvalid, CodeTokenExpired or CodeTokenTooLong
	Check string
}

// Error returns the code's text and the check that failed.
func (e *Error) Error() string { return e.Code.Error() }

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct{}

// New returns a verifier. With a JWKSURL it starts a goroutine that refreshes
// the keys until Close or until ctx ends; an address that does not answer is no error,
// its keys are fetched when it does.
func New(ctx context.Context, cfg Config) (*Verifier, error) { return &Verifier{}, nil }

// Close stops the refreshing of keys.
func (v *Verifier) Close() {}

// MayBlock reports whether Verify may wait for the network, up to five
// seconds. Otherwise it takes some 100 µs of CPU at most.
func (v *Verifier) MayBlock() bool { return false }

// Verify returns who token names. Its error is an *Error, whose code goes to
// the client.
func (v *Verifier) Verify(ctx context.Context, token []byte) (Identity, error) {
	return Identity{}, nil
}

// CodeOf returns the code of an error of Verify, CodeInternal for any other.
func CodeOf(err error) wire.Code { return wire.CodeInternal }

// Mint signs a token with an HS256 secret, for development and tests. device
// may be empty.
func Mint(secret []byte, user wire.UserID, device wire.DeviceID, now time.Time, ttl time.Duration) (string, error) {
	return "", nil
}

// MinSecret is the least length of an HS256 secret: the length of its hash.
const MinSecret = 32

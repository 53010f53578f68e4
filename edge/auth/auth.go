// Package auth decides who a token names.
//
// What it promises: a token is believed only when its signature verifies with
// a key that was configured for exactly the token's algorithm, when it has not
// expired, and when its claims have the form that godwit needs. The algorithm
// follows from the key and never from the token: an HS256 signature is only
// ever checked against the secret, a public key is never used as a secret, and
// "none" is no algorithm. A token is refused for its length before anything
// looks into it. Errors name the check that failed and hold nothing of the
// token, so that they may be logged and sent.
//
// There is no cache of verified tokens: HS256 takes some 4 µs, the slowest key
// some 100 µs, once per connection, beside an upgrade of 55 µs. A cache would
// only help the reconnecting, and hold what must not leak.
//
// A Verifier is immutable but for the keys behind a JWKS address, and safe for
// concurrent use.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

// The numbers of verification.
const (
	// MinSecret is the least length of an HS256 secret: that of its hash.
	MinSecret = 32

	// Leeway is how far ahead of ours the clock of an issuer may be, for nbf
	// and iat. An expired token gets none.
	Leeway = 30 * time.Second

	// maxExpiry is the latest exp in seconds since 1970 (year 2514). Beyond it
	// lie numbers that milliseconds or float64 do not hold.
	maxExpiry = 1 << 34

	// MaxKeys bounds the public keys of KeyFiles: a token without a key id is
	// tried with each of its algorithm.
	MaxKeys = 16
)

// Config says which tokens to believe. At least one of HS256Secret, KeyFiles
// and JWKSURL must be set.
type Config struct {
	HS256Secret []byte   // at least MinSecret bytes
	KeyFiles    []string // PEM public keys or certificates: Ed25519, P-256, or RSA of 2048 bits or more
	JWKSURL     string   // https, or http to a loopback host
	Issuer      string   // when set, iss must equal it
	Audience    string   // when set, aud must hold it

	Now    func() time.Time // nil: time.Now
	Client *http.Client     // for JWKSURL; nil: one with a timeout of JWKSTimeout
}

// Identity is who a token names.
type Identity struct {
	User    wire.UserID
	Device  wire.DeviceID // empty when the token names none
	Expires time.Time
}

// Error says why a token was refused. It holds nothing of the token.
type Error struct {
	// Code goes to the client: CodeUnauthenticated, CodeTokenInvalid,
	// CodeTokenExpired or CodeTokenTooLong, or CodeUnavailable while the keys
	// of JWKSURL cannot be fetched.
	Code wire.Code
	// Check names what failed: present, length, form, algorithm, critical,
	// key, keys, signature, exp, nbf, iat, iss, aud, sub or device.
	Check string
}

// Error returns the code, what failed and what to do.
func (e *Error) Error() string {
	if e.Check == "keys" {
		return fmt.Sprintf("E%d: the issuer's keys cannot be fetched (check: keys); retry later; operators: see whether the JWKS address answers this edge", uint16(e.Code))
	}
	spec := e.Code.SpecOf()
	return fmt.Sprintf("E%d: %s (check: %s); %s", uint16(e.Code), spec.Text, e.Check, spec.Do)
}

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

// CodeOf returns the code of an error of Verify, CodeInternal for any other.
func CodeOf(err error) wire.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return wire.CodeInternal
}

func refused(check string) *Error { return &Error{Code: wire.CodeTokenInvalid, Check: check} }

// Verifier verifies tokens.
type Verifier struct {
	keys   map[string][]any // by algorithm; the secret is the only key of HS256
	jwks   *jwks            // nil: none
	parser *jwt.Parser
	issuer string
	aud    string
	now    func() time.Time
}

// New returns a verifier, or what is wrong with cfg. With a JWKSURL it fetches
// the keys, for JWKSTimeout at most, and starts a goroutine that does so again
// until Close or until ctx ends. An address that does not answer is no error:
// its keys are fetched when a token asks for one.
func New(ctx context.Context, cfg Config) (*Verifier, error) {
	if len(cfg.HS256Secret) == 0 && len(cfg.KeyFiles) == 0 && cfg.JWKSURL == "" {
		return nil, errors.New("auth: no key to verify tokens with; set an HS256 secret, a key file or a JWKS address")
	}
	v := &Verifier{keys: make(map[string][]any), issuer: cfg.Issuer, aud: cfg.Audience, now: cfg.Now}
	if v.now == nil {
		v.now = time.Now
	}
	if n := len(cfg.HS256Secret); n > 0 {
		if n < MinSecret {
			return nil, fmt.Errorf("auth: the HS256 secret has %d bytes; use at least %d random ones", n, MinSecret)
		}
		v.keys[algHS256] = []any{append([]byte(nil), cfg.HS256Secret...)}
	}
	if err := v.loadKeys(cfg.KeyFiles); err != nil {
		return nil, err
	}
	if cfg.JWKSURL != "" {
		var err error
		if v.jwks, err = newJWKS(ctx, cfg.JWKSURL, cfg.Client); err != nil {
			return nil, err
		}
	}
	v.parser = jwt.NewParser(jwt.WithValidMethods(v.algorithms()), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	return v, nil
}

// algorithms lists those for which there is, or may come, a key.
func (v *Verifier) algorithms() (algs []string) {
	for _, alg := range [...]string{algHS256, algEdDSA, algES256, algRS256} {
		if len(v.keys[alg]) > 0 || v.jwks != nil && alg != algHS256 {
			algs = append(algs, alg)
		}
	}
	return algs
}

// Close stops the refreshing of keys.
func (v *Verifier) Close() {
	if v.jwks != nil {
		v.jwks.stop()
	}
}

// MayBlock reports whether Verify may wait for the network, twice JWKSTimeout
// at most. Otherwise it takes some 100 µs of CPU at most.
func (v *Verifier) MayBlock() bool { return v.jwks != nil }

// Trouble says what is wrong with the keys of the JWKS address: the last fetch
// failed, or brought none. none: there is no other key, so no token can be
// verified.
func (v *Verifier) Trouble() (none bool, err error) {
	if v.jwks == nil {
		return false, nil
	}
	none, err = v.jwks.trouble()
	return none && len(v.keys) == 0, err
}

// Verify returns who token names. Its error is an *Error. token is not kept.
func (v *Verifier) Verify(ctx context.Context, token []byte) (Identity, error) {
	switch {
	case len(token) == 0:
		return Identity{}, &Error{Code: wire.CodeUnauthenticated, Check: "present"}
	case len(token) > wire.MaxToken:
		return Identity{}, &Error{Code: wire.CodeTokenTooLong, Check: "length"}
	}
	var c claims
	if err := v.checkSignature(ctx, string(token), &c); err != nil {
		return Identity{}, err
	}
	if err := v.checkTimes(&c); err != nil {
		return Identity{}, err
	}
	if err := v.checkNames(&c); err != nil {
		return Identity{}, err
	}
	return Identity{User: wire.UserID(c.Subject), Device: wire.DeviceID(c.Device), Expires: c.Expires.Time}, nil
}

// checkSignature parses token into c and verifies it, with the configured keys
// first and then with the fetched ones.
func (v *Verifier) checkSignature(ctx context.Context, token string, c *claims) error {
	tried := "" // the algorithm, once it is known to be one of ours
	why := v.parse(token, c, func(t *jwt.Token) (any, error) {
		tried = t.Method.Alg()
		if _, critical := t.Header["crit"]; critical {
			return nil, refused("critical") // RFC 7515: what we do not know must be refused
		}
		return keySet(v.keys[tried])
	}, &tried)
	if why == nil || v.jwks == nil || tried == algHS256 || why.Check != "signature" && why.Check != "key" {
		return asError(why)
	}
	*c = claims{}
	return asError(v.parse(token, c, v.jwks.keyfunc(ctx), &tried))
}

// asError keeps a nil *Error from becoming an error that is not nil.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// parse runs the parser and turns its errors into ours. tried is empty until
// the algorithm was accepted.
func (v *Verifier) parse(token string, c *claims, keys jwt.Keyfunc, tried *string) *Error {
	_, err := v.parser.ParseWithClaims(token, c, keys)
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refused("form")
	case *tried == "":
		return refused("algorithm")
	}
	return refused("signature")
}

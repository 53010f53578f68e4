package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

func bigOne() *big.Int { return big.NewInt(1) }

// issuer serves a JWKS that a test may change, and counts who asks.
type issuer struct {
	*httptest.Server
	body  atomic.Value // string; "" answers 500
	asked atomic.Int32
}

func newIssuer(t *testing.T, body string) *issuer {
	is := new(issuer)
	is.body.Store(body)
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is.asked.Add(1)
		if s := is.body.Load().(string); s != "" {
			fmt.Fprint(w, s)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(is.Close)
	return is
}

func edJWK(kid string, key ed25519.PrivateKey) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, kid, base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
}

func ecJWK(kid string, key *ecdsa.PrivateKey, crv string) string {
	size := (key.Curve.Params().BitSize + 7) / 8
	e := base64.RawURLEncoding
	return fmt.Sprintf(`{"kty":"EC","crv":%q,"kid":%q,"x":%q,"y":%q}`, crv, kid,
		e.EncodeToString(key.X.FillBytes(make([]byte, size))), e.EncodeToString(key.Y.FillBytes(make([]byte, size))))
}

func jwksOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func follow(t *testing.T, is *issuer, edit func(*Config)) *Verifier {
	t.Helper()
	cfg := Config{JWKSURL: is.URL, Now: now}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func wantCheck(t *testing.T, v *Verifier, tok string, code wire.Code, check string) {
	t.Helper()
	_, err := v.Verify(t.Context(), []byte(tok))
	var e *Error
	if check == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if !errors.As(err, &e) || e.Code != code || e.Check != check {
		t.Errorf("got %v; want %v, check %s", err, code, check)
	}
}

func TestJWKS(t *testing.T) {
	k := keysOnce()
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	oct := fmt.Sprintf(`{"kty":"oct","kid":"oct","k":%q}`, base64.RawURLEncoding.EncodeToString(k.secret))
	is := newIssuer(t, jwksOf(edJWK("ed", k.ed), ecJWK("ec", k.ec, "P-256"), ecJWK("p384", p384, "P-384"), oct))
	v := follow(t, is, nil)
	if !v.MayBlock() {
		t.Error("MayBlock is false although keys are fetched")
	}
	kid := func(s string) map[string]any { return map[string]any{"kid": s} }
	invalid := wire.CodeTokenInvalid
	wantCheck(t, v, sign(t, jwt.SigningMethodEdDSA, k.ed, kid("ed"), alice()), 0, "")
	wantCheck(t, v, sign(t, jwt.SigningMethodES256, k.ec, kid("ec"), alice()), 0, "")
	wantCheck(t, v, sign(t, jwt.SigningMethodES256, k.ec, nil, alice()), 0, "") // no key id: all of them are tried
	wantCheck(t, v, sign(t, jwt.SigningMethodEdDSA, k.ed, kid("ec"), alice()), invalid, "key")
	wantCheck(t, v, sign(t, jwt.SigningMethodHS256, k.secret, kid("oct"), alice()), invalid, "algorithm")
	wantCheck(t, v, sign(t, jwt.SigningMethodES384, p384, kid("p384"), alice()), invalid, "algorithm")
	wantCheck(t, v, sign(t, jwt.SigningMethodES256, k.ec, kid("p384"), alice()), invalid, "key")
	wantCheck(t, v, sign(t, jwt.SigningMethodES256, k.ec, kid(strings.Repeat("k", maxKeyID+1)), alice()), invalid, "key")
	if n := is.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}

// TestJWKSRotation: a new key is fetched when a token names it, and a thousand
// made-up key ids cause no second fetch.
func TestJWKSRotation(t *testing.T) {
	k := keysOnce()
	_, next, _ := ed25519.GenerateKey(rand.Reader)
	is := newIssuer(t, jwksOf(edJWK("old", k.ed)))
	v := follow(t, is, nil)
	is.body.Store(jwksOf(edJWK("old", k.ed), edJWK("new", next)))
	wantCheck(t, v, sign(t, jwt.SigningMethodEdDSA, next, map[string]any{"kid": "new"}, alice()), 0, "")
	for i := range 1000 {
		wantCheck(t, v, sign(t, jwt.SigningMethodEdDSA, next, map[string]any{"kid": fmt.Sprint(i)}, alice()), wire.CodeTokenInvalid, "key")
	}
	if n := is.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times, want twice", n)
	}
}

// TestJWKSDown: while the issuer does not answer, its tokens are not called
// invalid, and those of other keys work.
func TestJWKSDown(t *testing.T) {
	k := keysOnce()
	is := newIssuer(t, "")
	v := follow(t, is, func(c *Config) { c.HS256Secret = k.secret })
	tok := sign(t, jwt.SigningMethodEdDSA, k.ed, map[string]any{"kid": "ed"}, alice())
	wantCheck(t, v, tok, wire.CodeUnavailable, "keys")
	wantCheck(t, v, sign(t, jwt.SigningMethodHS256, k.secret, nil, alice()), 0, "")

	if none, err := v.Trouble(); none || err == nil || !strings.Contains(err.Error(), is.URL) {
		t.Errorf("with another key: %v, %v", none, err)
	}

	is = newIssuer(t, "")
	v = follow(t, is, nil)
	if none, err := v.Trouble(); !none || err == nil {
		t.Errorf("without any key: %v, %v", none, err)
	}
	is.body.Store(jwksOf(edJWK("ed", k.ed)))
	wantCheck(t, v, tok, 0, "") // it is back: the key is fetched when a token asks
	if none, err := v.Trouble(); none || err != nil {
		t.Errorf("after it came back: %v, %v", none, err)
	}
}

// TestJWKSHostile: an endless answer and a redirect cost no more than a
// bounded read.
func TestJWKSHostile(t *testing.T) {
	k := keysOnce()
	tok := sign(t, jwt.SigningMethodEdDSA, k.ed, map[string]any{"kid": "ed"}, alice())
	is := newIssuer(t, `{"keys":[`+strings.Repeat(edJWK("x", k.ed)+",", maxJWKS/50)+edJWK("ed", k.ed)+`]}`)
	wantCheck(t, follow(t, is, nil), tok, wire.CodeUnavailable, "keys")

	target := newIssuer(t, jwksOf(edJWK("ed", k.ed)))
	from := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusFound))
	t.Cleanup(from.Close)
	is = &issuer{Server: from}
	wantCheck(t, follow(t, is, nil), tok, wire.CodeUnavailable, "keys")
	if target.asked.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

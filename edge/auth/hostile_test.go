package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

const invalid, expired = wire.CodeTokenInvalid, wire.CodeTokenExpired

// hostile is a token that must not get in, with the code that the client sees
// and the check that says why.
type hostile struct {
	name, token string
	code        wire.Code
	check       string
}

// goodToken signs alice's claims, edited, with the secret.
func goodToken(t testing.TB, edit ...func(map[string]any)) string {
	return sign(t, jwt.SigningMethodHS256, keysOnce().secret, nil, alice(edit...))
}

// TestHostileTokens is the table of everything that must not get in.
func TestHostileTokens(t *testing.T) {
	v := everyKey(t, nil)
	for _, table := range [][]hostile{hostileForms(t), hostileAlgorithms(t), hostileSignatures(t), hostileClaims(t)} {
		for _, c := range table {
			checkHostile(t, v, c)
		}
	}
}

func checkHostile(t *testing.T, v *Verifier, c hostile) {
	t.Helper()
	id, err := v.Verify(t.Context(), []byte(c.token))
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: let in as %q", c.name, id.User)
		return
	}
	if e.Code != c.code || e.Check != c.check || id != (Identity{}) {
		t.Errorf("%s: got %v, check %s; want %v, check %s", c.name, e.Code, e.Check, c.code, c.check)
	}
	if len(c.token) > 40 && strings.Contains(err.Error(), c.token[20:40]) || strings.Contains(err.Error(), "alice") {
		t.Errorf("%s: the error shows the token: %v", c.name, err)
	}
}

func hostileForms(t testing.TB) []hostile {
	good := goodToken(t)
	return []hostile{
		{"no token", "", wire.CodeUnauthenticated, "present"},
		{"too long", strings.Repeat("a", wire.MaxToken+1), wire.CodeTokenTooLong, "length"},
		{"longest garbage", strings.Repeat("a", wire.MaxToken), invalid, "form"},
		{"only dots", strings.Repeat(".", wire.MaxToken), invalid, "form"},
		{"two parts", "a.b", invalid, "form"},
		{"four parts", good + ".x", invalid, "form"},
		{"not base64", "!!." + good, invalid, "form"},
		{"padded base64", raw(hs256JSON, aliceJSON, nil) + "==", invalid, "form"},
		{"not JSON", raw("x", aliceJSON, nil), invalid, "form"},
		{"deep JSON", raw(`{"alg":`+strings.Repeat("[", 2000), aliceJSON, nil), invalid, "form"},
		{"header is null", raw("null", aliceJSON, nil), invalid, "algorithm"},
	}
}

func hostileAlgorithms(t testing.TB) []hostile {
	k := keysOnce()
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return []hostile{
		{"alg none", raw(`{"alg":"none"}`, aliceJSON, nil), invalid, "algorithm"},
		{"alg NONE", raw(`{"alg":"NONE"}`, aliceJSON, nil), invalid, "algorithm"},
		{"alg nOnE with a signature", hmacWith(t, k.secret, `{"alg":"nOnE"}`, aliceJSON), invalid, "algorithm"},
		{"alg missing", raw(`{}`, aliceJSON, nil), invalid, "algorithm"},
		{"alg is a number", raw(`{"alg":256}`, aliceJSON, nil), invalid, "algorithm"},
		{"alg is a list", raw(`{"alg":["HS256"]}`, aliceJSON, nil), invalid, "algorithm"},
		{"alg of another hash, same secret", sign(t, jwt.SigningMethodHS512, k.secret, nil, alice()), invalid, "algorithm"},
		{"alg of another padding, same key", sign(t, jwt.SigningMethodPS256, k.rsa, nil, alice()), invalid, "algorithm"},
		{"alg of another curve", sign(t, jwt.SigningMethodES384, p384, nil, alice()), invalid, "algorithm"},
		{"public key as secret, PEM", hmacWith(t, publicPEM(t, k.rsa.Public()), hs256JSON, aliceJSON), invalid, "signature"},
		{"public key as secret, raw", hmacWith(t, k.ed.Public().(ed25519.PublicKey), hs256JSON, aliceJSON), invalid, "signature"},
		{"secret's signature called EdDSA", hmacWith(t, k.secret, `{"alg":"EdDSA"}`, aliceJSON), invalid, "signature"},
		{"secret's signature called RS256", hmacWith(t, k.secret, `{"alg":"RS256"}`, aliceJSON), invalid, "signature"},
		{"critical header", hmacWith(t, k.secret, `{"alg":"HS256","crit":["b64"],"b64":false}`, aliceJSON), invalid, "critical"},
		{"key in the header", sign(t, jwt.SigningMethodES256, stranger, map[string]any{"jwk": map[string]any{"kty": "EC"}}, alice()), invalid, "signature"},
	}
}

func hostileSignatures(t testing.TB) []hostile {
	good := goodToken(t)
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	flip := []byte(good)
	flip[len(flip)-20] ^= 1
	return []hostile{
		{"no signature", raw(hs256JSON, aliceJSON, nil), invalid, "signature"},
		{"cut signature", good[:len(good)-3], invalid, "signature"},
		{"changed signature", string(flip), invalid, "signature"},
		{"empty secret", hmacWith(t, []byte{}, hs256JSON, aliceJSON), invalid, "signature"},
		{"stranger's key", sign(t, jwt.SigningMethodES256, stranger, nil, alice()), invalid, "signature"},
		{"zero ECDSA signature", raw(`{"alg":"ES256"}`, aliceJSON, make([]byte, 64)), invalid, "signature"},
	}
}

func hostileClaims(t testing.TB) []hostile {
	k := keysOnce()
	hs := func(edit ...func(map[string]any)) string { return goodToken(t, edit...) }
	return []hostile{
		{"claims are null", hmacWith(t, k.secret, hs256JSON, `null`), invalid, "exp"},
		{"claims are a list", hmacWith(t, k.secret, hs256JSON, `[]`), invalid, "form"},
		{"exp missing", hs(without("exp")), invalid, "exp"},
		{"exp null", hs(set("exp", nil)), invalid, "exp"},
		{"exp text", hs(set("exp", "tomorrow")), invalid, "form"},
		{"exp huge", hmacWith(t, k.secret, hs256JSON, `{"sub":"alice","exp":99999999999999}`), invalid, "exp"},
		{"exp beyond float64", hmacWith(t, k.secret, hs256JSON, `{"sub":"alice","exp":1e999}`), invalid, "form"},
		{"exp negative", hs(set("exp", -1)), expired, "exp"},
		{"expired a second ago", hs(set("exp", now().Unix()-1)), expired, "exp"},
		{"expires now", hs(set("exp", now().Unix())), expired, "exp"},
		{"expired and not yet valid", hs(set("exp", now().Unix()-1), set("nbf", now().Unix()+999)), expired, "exp"},
		{"nbf beyond leeway", hs(set("nbf", now().Unix()+31)), invalid, "nbf"},
		{"iat beyond leeway", hs(set("iat", now().Unix()+31)), invalid, "iat"},

		{"sub missing", hs(without("sub")), invalid, "sub"},
		{"sub empty", hs(set("sub", "")), invalid, "sub"},
		{"sub a number", hs(set("sub", 7)), invalid, "form"},
		{"sub too long", hs(set("sub", strings.Repeat("x", wire.MaxID+1))), invalid, "sub"},
		{"sub with control characters", hs(set("sub", "a\x00b")), invalid, "sub"},
		{"sub not UTF-8", hmacWith(t, k.secret, hs256JSON, "{\"sub\":\"\xff\",\"exp\":1800000060}"), invalid, "sub"},
		{"device with control characters", hs(set("device", "a\nb")), invalid, "device"},
		{"device a list", hs(set("device", []string{"a"})), invalid, "form"},
	}
}

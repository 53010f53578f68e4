package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

// now is when the tests take place.
func now() time.Time { return time.Unix(1_800_000_000, 0) }

// testKeys are made once: an RSA key takes its time.
type testKeys struct {
	secret []byte
	ed     ed25519.PrivateKey
	ec     *ecdsa.PrivateKey
	rsa    *rsa.PrivateKey
}

var keysOnce = sync.OnceValue(func() testKeys {
	k := testKeys{secret: []byte("0123456789abcdef0123456789abcdef")}
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	return k
})

func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func keyFile(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// everyKey returns a verifier with a secret and a public key of each kind.
func everyKey(t testing.TB, edit func(*Config)) *Verifier {
	t.Helper()
	k := keysOnce()
	text := publicPEM(t, k.ed.Public())
	text = append(text, publicPEM(t, k.ec.Public())...)
	text = append(text, publicPEM(t, k.rsa.Public())...)
	cfg := Config{HS256Secret: k.secret, KeyFiles: []string{keyFile(t, text)}, Now: now}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, m jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, jwt.MapClaims(claims))
	for k, v := range header {
		tok.Header[k] = v
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func alice(edit ...func(map[string]any)) map[string]any {
	c := map[string]any{"sub": "alice", "exp": now().Unix() + 60}
	for _, f := range edit {
		f(c)
	}
	return c
}

func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func without(name string) func(map[string]any) {
	return func(c map[string]any) { delete(c, name) }
}

func TestGoodTokens(t *testing.T) {
	k := keysOnce()
	for name, tok := range map[string]string{
		"HS256": sign(t, jwt.SigningMethodHS256, k.secret, nil, alice(set("device", "phone"))),
		"EdDSA": sign(t, jwt.SigningMethodEdDSA, k.ed, nil, alice(set("device", "phone"))),
		"ES256": sign(t, jwt.SigningMethodES256, k.ec, map[string]any{"kid": "unheard of"}, alice(set("device", "phone"))),
		"RS256": sign(t, jwt.SigningMethodRS256, k.rsa, nil, alice(set("device", "phone"))),
	} {
		id, err := everyKey(t, nil).Verify(t.Context(), []byte(tok))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := (Identity{"alice", "phone", now().Add(time.Minute)}); id != want {
			t.Errorf("%s: got %v, want %v", name, id, want)
		}
	}
}

func TestMint(t *testing.T) {
	k := keysOnce()
	tok, err := Mint(k.secret, "bob", "", now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := everyKey(t, nil).Verify(t.Context(), []byte(tok))
	if want := (Identity{"bob", "", now().Add(time.Hour)}); err != nil || id != want {
		t.Errorf("got %v, %v; want %v", id, err, want)
	}
	for _, bad := range []struct {
		secret []byte
		user   wire.UserID
		device wire.DeviceID
	}{{k.secret[:31], "bob", ""}, {k.secret, "", ""}, {k.secret, "bob\n", ""}, {k.secret, "bob", "\x00"}} {
		if _, err := Mint(bad.secret, bad.user, bad.device, now(), time.Hour); err == nil {
			t.Errorf("minted %q %q with %d bytes of secret", bad.user, bad.device, len(bad.secret))
		}
	}
}

// raw builds a token of the given JSON texts and signature.
func raw(header, claims string, sig []byte) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(claims)) + "." + e.EncodeToString(sig)
}

// hmacWith signs with HS256 whatever the header says.
func hmacWith(t testing.TB, secret []byte, header, claims string) string {
	t.Helper()
	unsigned := strings.TrimSuffix(raw(header, claims, nil), ".")
	sig, err := jwt.SigningMethodHS256.Sign(unsigned, secret)
	if err != nil {
		t.Fatal(err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(sig)
}

const (
	aliceJSON = `{"sub":"alice","exp":1800000060}`
	hs256JSON = `{"alg":"HS256","typ":"JWT"}`
)

func TestIssuerAndAudience(t *testing.T) {
	k := keysOnce()
	v := everyKey(t, func(c *Config) { c.Issuer, c.Audience = "https://id.example", "godwit" })
	for _, c := range []struct {
		iss, aud any
		check    string
	}{
		{"https://id.example", "godwit", ""},
		{"https://id.example", []string{"web", "godwit"}, ""},
		{"https://id.example", []string{"web"}, "aud"},
		{"https://id.example", "", "aud"},
		{"https://id.example/", "godwit", "iss"},
		{"", "godwit", "iss"},
	} {
		tok := sign(t, jwt.SigningMethodHS256, k.secret, nil, alice(set("iss", c.iss), set("aud", c.aud)))
		_, err := v.Verify(t.Context(), []byte(tok))
		got := ""
		if e := (*Error)(nil); errors.As(err, &e) {
			got = e.Check
		}
		if got != c.check {
			t.Errorf("iss %v, aud %v: failed check %q, want %q", c.iss, c.aud, got, c.check)
		}
	}
}

// TestOnlyPublicKeys: with no secret configured, HS256 is no algorithm at all.
func TestOnlyPublicKeys(t *testing.T) {
	k := keysOnce()
	v := everyKey(t, func(c *Config) { c.HS256Secret = nil })
	for _, secret := range [][]byte{nil, k.secret, publicPEM(t, k.rsa.Public())} {
		_, err := v.Verify(t.Context(), []byte(hmacWith(t, secret, hs256JSON, aliceJSON)))
		if e := (*Error)(nil); !errors.As(err, &e) || e.Check != "algorithm" {
			t.Errorf("got %v", err)
		}
	}
}

func TestLeewayIsForNbfAndIat(t *testing.T) {
	k := keysOnce()
	tok := sign(t, jwt.SigningMethodHS256, k.secret, nil, alice(set("nbf", now().Unix()+30), set("iat", now().Unix()+30)))
	if _, err := everyKey(t, nil).Verify(t.Context(), []byte(tok)); err != nil {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	k := keysOnce()
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	private, err := x509.MarshalPKCS8PrivateKey(k.ed)
	if err != nil {
		t.Fatal(err)
	}
	many := []byte{}
	for range MaxKeys + 1 {
		many = append(many, publicPEM(t, k.ed.Public())...)
	}
	file := func(text []byte) Config { return Config{KeyFiles: []string{keyFile(t, text)}} }
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"nothing":        {Config{}, "no key"},
		"short secret":   {Config{HS256Secret: k.secret[:31]}, "31 bytes"},
		"no such file":   {Config{KeyFiles: []string{"/nowhere/key.pem"}}, "no such file"},
		"not PEM":        {file([]byte("hello")), "PEM"},
		"PEM and more":   {file(append(publicPEM(t, k.ed.Public()), "hello"...)), "PEM"},
		"private key":    {file(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "private key"},
		"short RSA":      {file(publicPEM(t, small.Public())), "1024 bits"},
		"other curve":    {file(publicPEM(t, p384.Public())), "P-256"},
		"too many":       {file(many), "more than"},
		"JWKS over http": {Config{JWKSURL: "http://id.example/jwks.json"}, "https"},
		"JWKS no URL":    {Config{JWKSURL: "jwks.json"}, "not a URL"},
	} {
		if _, err := New(context.Background(), c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want an error that says %q", name, err, c.says)
		}
	}
}

func TestCertificate(t *testing.T) {
	k := keysOnce()
	tmpl := &x509.Certificate{SerialNumber: bigOne(), NotAfter: now()}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.ec.Public(), crypto.Signer(k.ec))
	if err != nil {
		t.Fatal(err)
	}
	name := keyFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	v, err := New(t.Context(), Config{KeyFiles: []string{name}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), []byte(sign(t, jwt.SigningMethodES256, k.ec, nil, alice()))); err != nil {
		t.Error(err)
	}
}

func TestCodeOf(t *testing.T) {
	if got := CodeOf(refused("sub")); got != wire.CodeTokenInvalid {
		t.Errorf("got %v", got)
	}
	if got := CodeOf(errors.New("else")); got != wire.CodeInternal {
		t.Errorf("got %v", got)
	}
}

func FuzzVerify(f *testing.F) {
	k := keysOnce()
	f.Add([]byte(sign(f, jwt.SigningMethodHS256, k.secret, nil, alice())))
	f.Add([]byte(sign(f, jwt.SigningMethodEdDSA, k.ed, map[string]any{"kid": "k"}, alice())))
	f.Add([]byte(raw(`{"alg":"none"}`, aliceJSON, nil)))
	f.Add([]byte("a.b.c"))
	v := everyKey(f, nil)
	f.Fuzz(func(t *testing.T, token []byte) {
		id, err := v.Verify(t.Context(), token)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Code.SpecOf() == nil || id != (Identity{}) {
				t.Fatalf("%v, %v", id, err)
			}
			return
		}
		// Only who has the key gets in: the seeds say nothing but alice.
		if id.User != "alice" || !id.Expires.After(now()) {
			t.Fatalf("let in as %v", id)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := keysOnce()
	v := everyKey(b, nil)
	for name, tok := range map[string]string{
		"HS256": sign(b, jwt.SigningMethodHS256, k.secret, nil, alice()),
		"EdDSA": sign(b, jwt.SigningMethodEdDSA, k.ed, nil, alice()),
		"ES256": sign(b, jwt.SigningMethodES256, k.ec, nil, alice()),
		"RS256": sign(b, jwt.SigningMethodRS256, k.rsa, nil, alice()),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), []byte(tok)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

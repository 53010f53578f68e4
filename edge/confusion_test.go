package edge

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/wire"
)

// issuer is a sign-in service with an RSA key. What it publishes is all that an
// attacker has.
type issuer struct {
	key       *rsa.PrivateKey
	file      string            // the public key
	published map[string][]byte // the public key in every form it is handed about
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	is := &issuer{key: key, file: filepath.Join(t.TempDir(), "issuer.pem"), published: map[string][]byte{
		"PEM": text, "PEM without its last line end": bytes.TrimSpace(text), "SPKI": spki, "PKCS 1": pkcs1,
		"PKCS 1 in PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}), "modulus": key.N.Bytes(),
	}}
	if err := os.WriteFile(is.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return is
}

func mallory(t *testing.T, method jwt.SigningMethod, key any) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A token that says HS256 and is signed with the public RSA key as its secret
// opens no door: not the upgrade, not hello, not REST. The same claims signed
// with the private key open all three.
func TestPublicKeyIsNoSecret(t *testing.T) {
	is := newIssuer(t)
	for name, secret := range map[string][]byte{"RSA alone": nil, "RSA beside a secret": secret} {
		t.Run(name, func(t *testing.T) {
			verifier, err := auth.New(t.Context(), auth.Config{KeyFiles: []string{is.file}, HS256Secret: secret})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(verifier.Close)
			f := start(t, func(c *Config) { c.Auth, c.DevSecret = verifier, nil })

			good := mallory(t, jwt.SigningMethodRS256, is.key)
			if who := f.signIn(good); who != "alice" {
				t.Fatalf("the issuer's own token signs in %q", who)
			}
			if status, m := f.rest("GET", "/v1/chats", good, ""); status != 200 {
				t.Fatalf("REST with the issuer's own token: %d %v", status, m)
			}
			for form, key := range is.published {
				f.keepsOut(t, form, mallory(t, jwt.SigningMethodHS256, key))
			}
		})
	}
}

// signIn opens a connection by both ways and returns whom welcome names.
func (f *fleet) signIn(token string) string {
	f.t.Helper()
	byHeader, _, err := f.dial(wire.JSON, bearer(token))
	if err != nil {
		f.t.Fatal(err)
	}
	byHeader.send(&wire.Frame{Op: wire.OpHello})
	byHello, _, err := f.dial(wire.Msgpack, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	byHello.send(&wire.Frame{Op: wire.OpHello, Token: []byte(token)})
	first, second := byHeader.expect(wire.OpWelcome), byHello.expect(wire.OpWelcome)
	if string(first.User) != string(second.User) {
		f.t.Errorf("header names %q, hello %q", first.User, second.User)
	}
	return string(first.User)
}

// keepsOut tries a forged token at every door.
func (f *fleet) keepsOut(t *testing.T, form, token string) {
	t.Helper()
	if _, resp, err := f.dial(wire.JSON, bearer(token)); err == nil || resp == nil || resp.StatusCode != 401 {
		t.Errorf("%s: the upgrade is not refused with 401: %v", form, err)
	}
	c, _, err := f.dial(wire.JSON, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.send(&wire.Frame{Op: wire.OpHello, Token: []byte(token)})
	if status, code := c.closed(); status != 4102 || code != wire.CodeTokenInvalid {
		t.Errorf("%s: hello ends with %d after error %d", form, status, code)
	}
	if status, m := f.rest("GET", "/v1/chats", token, ""); status != 401 || m["code"] != float64(wire.CodeTokenInvalid) {
		t.Errorf("%s: REST answers %d %v", form, status, m)
	}
}

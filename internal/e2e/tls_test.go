package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCommandsTrustACertificateOfOnesOwn(t *testing.T) {
	cert, key := certificate(t)
	s := newServer(t, "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatalf("the page is at %s", s.url)
	}
	if _, stderr, code := s.run("", "send", "--as", "alice", "--to", "bob", "x"); code != 6 || !strings.Contains(stderr, "E3007") || !strings.Contains(stderr, "--ca FILE") {
		t.Errorf("without --ca: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := s.run("", "send", "--ca", cert, "--as", "alice", "--to", "bob", "over TLS"); code != 0 {
		t.Errorf("send: %d %s", code, stderr)
	}
	if _, stderr, code := s.run("and again\n", "chat", "--ca", cert, "--as", "alice", "--with", "bob"); code != 0 {
		t.Errorf("chat: %d %s", code, stderr)
	}
	out, stderr, code := s.run("", "recv", "--ca", cert, "--as", "bob", "--count", "2", "--timeout", "20s")
	if code != 0 || !strings.Contains(out, "over TLS") || !strings.Contains(out, "and again") {
		t.Errorf("recv: %d %s%s", code, out, stderr)
	}
}

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

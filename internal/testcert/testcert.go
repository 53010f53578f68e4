// Package testcert makes certificates for tests that speak TLS over loopback.
// Each is its own authority: who trusts it trusts no other. The package is for
// tests only and keeps nothing.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Cert is a certificate for 127.0.0.1 and its key, as PEM files that only
// their owner may read. It is immutable.
type Cert struct {
	CertFile, KeyFile string
	pool              *x509.CertPool
}

// New makes a certificate in a directory that goes away with the test.
func New(t testing.TB) Cert {
	t.Helper()
	return Write(t, t.TempDir(), 1)
}

// Write makes a certificate with this serial number and a key of its own in
// dir, over what an earlier call left there.
func Write(t testing.TB, dir string, serial int64) Cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial),
		NotBefore: date(2020), NotAfter: date(2120), // no clock: nobody tests that time passes
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)

	c := Cert{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	c.pool.AddCert(cert)
	check(t, os.WriteFile(c.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(c.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return c
}

// Trust returns the settings of a client that trusts this certificate alone.
// The caller owns them.
func (c Cert) Trust() *tls.Config {
	return &tls.Config{RootCAs: c.pool, MinVersion: tls.VersionTLS12}
}

func date(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

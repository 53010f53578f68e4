package edge

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// testCert writes a certificate for 127.0.0.1 and its key, and returns a pool
// that trusts it.
func testCert(t testing.TB, dir string, serial int64) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "edge"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der)))
	return certFile, keyFile, pool
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// startTLS runs a fleet whose public address speaks TLS.
func startTLS(t testing.TB, change func(*Config)) *fleet {
	certFile, keyFile, pool := testCert(t, t.TempDir(), 1)
	f := start(t, func(c *Config) {
		c.CertFile, c.KeyFile = certFile, keyFile
		if change != nil {
			change(c)
		}
	})
	f.trust(&tls.Config{RootCAs: pool})
	return f
}

// Everything works the same over TLS, large frames included.
func TestTLS(t *testing.T) {
	for name, format := range bothFormats {
		t.Run(name, func(t *testing.T) {
			f := startTLS(t, nil)
			alice, _ := f.connect("alice", "phone", format)
			bob, _ := f.connect("bob", "web", format)
			content := bytes.Repeat([]byte("0123456789abcdef"), wire.MaxContent/16)
			for _, size := range []int{1, 100, 20_000, len(content)} {
				alice.message("bob", string(content[:8])+string(rune('a'+size%26)), string(content[:size]))
				if got := bob.expect(wire.OpNewMessage); !bytes.Equal(got.Content, content[:size]) {
					t.Fatalf("%d bytes arrived, want %d", len(got.Content), size)
				}
			}
			_ = alice.ws.CloseNow()
			eventually(t, "alice is gone", func() bool { return f.srv.Connections() == 1 })
		})
	}
}

// Old versions are refused, and TLS 1.3 is what is spoken.
func TestTLSVersion(t *testing.T) {
	f := startTLS(t, nil)
	for version, want := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", f.srv.Addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// A TLS session goes through shutdown: close frame, then close_notify.
func TestTLSShutdown(t *testing.T) {
	f := startTLS(t, func(c *Config) { c.DrainFor = time.Second })
	alice, _ := f.connect("alice", "phone", wire.Msgpack)
	done := make(chan error, 1)
	go func() { done <- f.srv.Shutdown(t.Context()) }()
	if status, _ := alice.closed(); status != 1001 {
		t.Errorf("closed with %d, want 1001", status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A renewed certificate is picked up; one that is broken leaves the old one.
func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := testCert(t, dir, 1)
	var warned error
	cs := &certificates{certFile: certFile, keyFile: keyFile, warn: func(err error) { warned = err }}
	if err := cs.load(cs.changed()); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		cs.mu.checked = time.Time{}
		return must(x509.ParseCertificate(cs.current().Certificate[0])).SerialNumber.Int64()
	}
	later := func(name string, d time.Duration) {
		if err := os.Chtimes(name, time.Now(), time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	testCert(t, dir, 2)
	later(certFile, time.Minute)
	if got := serial(); got != 2 {
		t.Errorf("serial %d after the renewal, want 2", got)
	}
	if err := os.WriteFile(certFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(certFile, 2*time.Minute)
	if got := serial(); got != 2 || warned == nil {
		t.Errorf("serial %d, warning %v after a broken renewal", got, warned)
	}
}

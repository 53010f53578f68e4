package edge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/testcert"
	"github.com/godwit-im/godwit/wire"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// startTLS runs a fleet whose public address speaks TLS.
func startTLS(t testing.TB, change func(*Config)) *fleet {
	cert := testcert.New(t)
	f := start(t, func(c *Config) {
		c.CertFile, c.KeyFile = cert.CertFile, cert.KeyFile
		if change != nil {
			change(c)
		}
	})
	f.trust(cert.Trust())
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
	cert := testcert.Write(t, dir, 1)
	var warned error
	cs := &certificates{certFile: cert.CertFile, keyFile: cert.KeyFile, warn: func(err error) { warned = err }}
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
	testcert.Write(t, dir, 2)
	later(cert.CertFile, time.Minute)
	if got := serial(); got != 2 {
		t.Errorf("serial %d after the renewal, want 2", got)
	}
	if err := os.WriteFile(cert.CertFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(cert.CertFile, 2*time.Minute)
	if got := serial(); got != 2 || warned == nil {
		t.Errorf("serial %d, warning %v after a broken renewal", got, warned)
	}
}

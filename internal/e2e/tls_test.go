package e2e_test

import (
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/testcert"
)

func TestCommandsTrustACertificateOfOnesOwn(t *testing.T) {
	cert := testcert.New(t)
	s := newServer(t, "--tls-cert", cert.CertFile, "--tls-key", cert.KeyFile)
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatalf("the page is at %s", s.url)
	}
	if _, stderr, code := s.run("", "send", "--as", "alice", "--to", "bob", "x"); code != 6 || !strings.Contains(stderr, "E3007") || !strings.Contains(stderr, "--ca FILE") {
		t.Errorf("without --ca: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := s.run("", "send", "--ca", cert.CertFile, "--as", "alice", "--to", "bob", "over TLS"); code != 0 {
		t.Errorf("send: %d %s", code, stderr)
	}
	if _, stderr, code := s.run("and again\n", "chat", "--ca", cert.CertFile, "--as", "alice", "--with", "bob"); code != 0 {
		t.Errorf("chat: %d %s", code, stderr)
	}
	load := []string{"load", "--pairs", "2", "--rate", "20", "--for", "200ms"}
	if _, stderr, code := s.run("", load...); code != 6 || !strings.Contains(stderr, "E3007") || !strings.Contains(stderr, "--ca FILE") {
		t.Errorf("load without --ca: exit code %d, %s", code, stderr)
	}
	for _, server := range []string{s.url, strings.Replace(s.url, "https", "wss", 1)} {
		if out, stderr, code := s.run("", append(load, "--ca", cert.CertFile, "--server", server)...); code != 0 || !strings.Contains(out, "verdict: OK") {
			t.Errorf("load %s: %d %s%s", server, code, out, stderr)
		}
	}
	out, stderr, code := s.run("", "recv", "--ca", cert.CertFile, "--as", "bob", "--count", "2", "--timeout", "20s")
	if code != 0 || !strings.Contains(out, "over TLS") || !strings.Contains(out, "and again") {
		t.Errorf("recv: %d %s%s", code, out, stderr)
	}
}

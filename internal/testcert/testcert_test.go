package testcert_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/godwit-im/godwit/internal/testcert"
)

// A server with the certificate is trusted by who trusts it, and by nobody
// else: not by the system, not by who trusts another.
func TestTrustIsForThisOneAlone(t *testing.T) {
	mine, other := testcert.New(t), testcert.New(t)
	pair, err := tls.LoadX509KeyPair(mine.CertFile, mine.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // two handshakes fail
	srv.StartTLS()
	defer srv.Close()
	for name, tt := range map[string]struct {
		trust *tls.Config
		works bool
	}{"this one": {mine.Trust(), true}, "another": {other.Trust(), false}, "the system's": {nil, false}} {
		c := http.Client{Transport: &http.Transport{TLSClientConfig: tt.trust}}
		resp, err := c.Get(srv.URL)
		if (err == nil) != tt.works {
			t.Errorf("who trusts %s: %v", name, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		c.CloseIdleConnections()
	}
}

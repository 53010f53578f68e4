package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/client"
)

// What keeps somebody from a server is said in words, without the parts of the
// program that met it.
func TestWhyThereIsNoConnection(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	host := strings.TrimPrefix(plain.URL, "http://")
	https := "https://" + host
	_, _, tlsErr := client.DevToken(t.Context(), https, "alice", "")
	unknown := &net.DNSError{Err: "no such host", Name: "chat.exmaple", Server: "192.0.2.53:53", IsNotFound: true}
	for want, got := range map[string]error{
		"E3007: cannot reach the server: " + https + " speaks no TLS; use http://" + host: explain(https, tlsErr),
		`E3007: cannot reach the server: there is no host "chat.exmaple"; see whether --server is spelled right`: explain("https://chat.exmaple",
			&client.ConnectError{URL: "https://chat.exmaple", Err: unknown}),
		"E3016: it took longer than allowed: https://chat.example did not answer in time": explain("https://chat.example",
			fmt.Errorf("client: send: %w", context.DeadlineExceeded)),
	} {
		if !strings.HasPrefix(got.Error(), want) {
			t.Errorf("%v\nwant %s", got, want)
		}
	}
}

func TestNoDevSignInSaysWhichFlagHidesTheToken(t *testing.T) {
	a := account{server: "https://chat.example", as: "alice"}
	t.Setenv("GODWIT_TOKEN", "")
	if err := a.noDevSignIn(); !strings.Contains(err.Error(), "E3015: ") || !strings.Contains(err.Error(), "set GODWIT_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	t.Setenv("GODWIT_TOKEN", "x")
	if err := a.noDevSignIn(); !strings.Contains(err.Error(), "leave out --as, so that GODWIT_TOKEN counts") {
		t.Errorf("with a token: %v", err)
	}
}

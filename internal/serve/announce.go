package serve

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// announce prints the start-up lines: where everything is, and what to try.
func (s *server) announce(addr Addresses, took time.Duration) {
	if s.cfg.Out == nil {
		return
	}
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	page := scheme + "://" + reachable(addr.Public)
	var b strings.Builder
	fmt.Fprintf(&b, "godwit %s is ready (%d ms)\n\n", s.cfg.Version, took.Milliseconds())
	fmt.Fprintf(&b, "  page   %s/\n", page)
	fmt.Fprintf(&b, "  admin  http://%s/  (healthz, readyz, metrics, debug/pprof)\n", reachable(addr.Admin))
	fmt.Fprintf(&b, "  data   %s\n\n", s.data.path)
	server := ""
	if page != "http://127.0.0.1:8080" {
		server = " --server " + page
	}
	switch {
	case s.cfg.DevSignIn():
		b.WriteString("  *** DEVELOPMENT SIGN-IN IS ON: whoever reaches the page may use any name. ***\n\n")
		b.WriteString("Try, or open the page in two windows:\n")
		fmt.Fprintf(&b, "  godwit chat --as alice --with bob%s\n", server)
		fmt.Fprintf(&b, "  godwit send --as bob --to alice%s \"hello\"\n", server)
		fmt.Fprintf(&b, "  godwit recv --as bob --json%s\n", server)
	case s.cfg.AuthHS256Secret != "":
		mint := s.mint()
		b.WriteString("Sign-in needs a token. Try, with GODWIT_AUTH_HS256_SECRET set as for this server:\n")
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user alice) godwit chat --with bob%s\n", mint, server)
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user bob) godwit send --to alice%s \"hello\"\n", mint, server)
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user bob) godwit recv --json%s\n", mint, server)
	default:
		b.WriteString("Sign-in needs a token for one of the configured keys. Try, with one of your sign-in service:\n")
		fmt.Fprintf(&b, "  GODWIT_TOKEN=... godwit recv --json%s\n", server)
	}
	b.WriteString("\nCtrl-C stops it; the data stays.\n")
	_, _ = s.cfg.Out.Write([]byte(b.String())) // a closed terminal is no reason to stop
}

// mint is the command that makes tokens which this server believes.
func (s *server) mint() string {
	cmd := "godwit token"
	if s.cfg.AuthIssuer != "" {
		cmd += " --issuer " + quote(s.cfg.AuthIssuer)
	}
	if s.cfg.AuthAudience != "" {
		cmd += " --audience " + quote(s.cfg.AuthAudience)
	}
	return cmd
}

// quote makes one word of v for a shell.
func quote(v string) string { return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'" }

// reachable replaces an address that means "all" by one that can be dialled.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

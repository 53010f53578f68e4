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
	if s.cfg.DevSignIn() {
		b.WriteString("  *** DEVELOPMENT SIGN-IN IS ON: whoever reaches the page may use any name. ***\n\n")
		server := ""
		if page != "http://127.0.0.1:8080" {
			server = " --server " + page
		}
		b.WriteString("Try, or open the page in two windows:\n")
		fmt.Fprintf(&b, "  godwit chat --as alice --with bob%s\n", server)
		fmt.Fprintf(&b, "  godwit send --as bob --to alice%s \"hello\"\n", server)
		fmt.Fprintf(&b, "  godwit recv --as bob --json%s\n", server)
	} else {
		b.WriteString("Sign-in needs a token for one of the configured keys.\n")
	}
	b.WriteString("\nCtrl-C stops it; the data stays.\n")
	_, _ = s.cfg.Out.Write([]byte(b.String())) // a closed terminal is no reason to stop
}

// reachable replaces an address that means "all" by one that can be dialled.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

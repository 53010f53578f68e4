package serve

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/process"
)

// announce prints the start-up lines: where everything is, and what to try.
func (s *server) announce(addr Addresses, took time.Duration) {
	if s.cfg.Out == nil {
		return
	}
	page := process.Page(&s.cfg.Server, addr.Public)
	var b strings.Builder
	fmt.Fprintf(&b, "godwit %s is ready (%d ms)\n\n", s.cfg.Version, took.Milliseconds())
	fmt.Fprintf(&b, "  page   %s/\n", page)
	fmt.Fprintf(&b, "  admin  http://%s/  (healthz, readyz, metrics, debug/pprof)\n", process.Reachable(addr.Admin))
	fmt.Fprintf(&b, "  data   %s\n\n", s.process.Data.Path())
	server := ""
	if page != "http://127.0.0.1:8080" {
		server = " --server " + page
	}
	me := process.Program(s.cfg.Program)
	switch {
	case s.cfg.DevSignIn():
		b.WriteString("  *** DEVELOPMENT SIGN-IN IS ON: whoever reaches the page may use any name. ***\n\n")
		b.WriteString("Try, or open the page in two windows:\n")
		fmt.Fprintf(&b, "  %s chat --as alice --with bob%s\n", me, server)
		fmt.Fprintf(&b, "  %s send --as bob --to alice%s \"hello\"\n", me, server)
		fmt.Fprintf(&b, "  %s recv --as bob --json%s\n", me, server)
	case s.cfg.AuthHS256Secret != "":
		mint := s.mint()
		b.WriteString("Sign-in needs a token. Try, with GODWIT_AUTH_HS256_SECRET set as for this server:\n")
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user alice) %s chat --with bob%s\n", mint, me, server)
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user bob) %s send --to alice%s \"hello\"\n", mint, me, server)
		fmt.Fprintf(&b, "  GODWIT_TOKEN=$(%s --user bob) %s recv --json%s\n", mint, me, server)
	default:
		b.WriteString("Sign-in needs a token for one of the configured keys. Try, with one of your sign-in service:\n")
		fmt.Fprintf(&b, "  GODWIT_TOKEN=... %s recv --json%s\n", me, server)
	}
	b.WriteString("\nCtrl-C stops it; the data stays.\n")
	_, _ = s.cfg.Out.Write([]byte(b.String())) // a closed terminal is no reason to stop
}

// mint is the command that makes tokens which this server believes.
func (s *server) mint() string {
	cmd := process.Program(s.cfg.Program) + " token"
	if s.cfg.AuthIssuer != "" {
		cmd += " --issuer " + process.Quote(s.cfg.AuthIssuer)
	}
	if s.cfg.AuthAudience != "" {
		cmd += " --audience " + process.Quote(s.cfg.AuthAudience)
	}
	return cmd
}

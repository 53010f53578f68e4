package role

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// announce prints the start-up lines, one address each under its setting's
// name, and tells Started.
func (n *node) announce(took time.Duration, id wire.NodeID, a fleet.Addrs) {
	if n.cfg.Out != nil {
		var b strings.Builder
		fmt.Fprintf(&b, "godwit %s: %s %s is node %d (%d ms)\n\n", n.cfg.Version, n.cfg.Role, n.cfg.Name, id, took.Milliseconds())
		if a.Public != "" {
			fmt.Fprintf(&b, "  page   %s/\n", process.Page(&n.cfg.Server, a.Public))
		}
		for _, l := range []struct{ name, addr string }{{"api", a.API}, {"link", a.Link}, {"raft", a.Raft}} {
			if l.addr != "" {
				fmt.Fprintf(&b, "  %-6s %s\n", l.name, l.addr)
			}
		}
		fmt.Fprintf(&b, "  admin  http://%s/  (healthz, readyz, metrics, debug/pprof)\n", a.Admin)
		fmt.Fprintf(&b, "  data   %s\n", n.process.Data.Path())
		if a.Public != "" && n.cfg.DevSignIn() {
			b.WriteString("\n  *** DEVELOPMENT SIGN-IN IS ON: whoever reaches the page may use any name. ***\n")
		}
		b.WriteString("\nCtrl-C stops it; the data stays.\n")
		_, _ = n.cfg.Out.Write([]byte(b.String())) // a closed terminal is no reason to stop
	}
	if n.cfg.Started != nil {
		n.cfg.Started(a)
	}
}

// maxNote bounds why a node is not ready, in its report.
const maxNote = 200

func note(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > maxNote {
		text = strings.ToValidUTF8(text[:maxNote], "") + "..."
	}
	return text
}

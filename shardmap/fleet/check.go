package fleet

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-im/godwit/shardmap"
)

// invalid is a Refusal of ErrInvalid.
func invalid(format string, args ...any) error {
	return &Refusal{Kind: ErrInvalid, Detail: fmt.Sprintf(format, args...)}
}

func (s Settings) check() error {
	switch {
	case s.Shards < 1 || s.Shards > shardmap.MaxShards:
		return invalid("%d shards, want 1 to %d", s.Shards, shardmap.MaxShards)
	case s.Replicas < 1 || s.Replicas > shardmap.MaxReplicas:
		return invalid("%d replicas, want 1 to %d", s.Replicas, shardmap.MaxReplicas)
	case s.Cores < 1 || s.Cores > shardmap.MaxNodes:
		return invalid("the first map waits for %d cores, want 1 to %d", s.Cores, shardmap.MaxNodes)
	}
	return nil
}

// check says what is wrong with a node that somebody else described.
func (n Node) check() error {
	switch {
	case !validName(n.Name):
		return invalid("name %q, want 1 to %d of a-z, 0-9, - and .", n.Name, MaxName)
	case n.Role != Control && n.Role != Core && n.Role != Edge:
		return invalid("role %q, want %s, %s or %s", n.Role, Control, Core, Edge)
	case !validHex(n.Identity):
		return invalid("the identity of node %q is not %d hex digits", n.Name, identityLen)
	}
	return n.checkPlace()
}

// checkPlace checks what may change in the life of a node.
func (n Node) checkPlace() error {
	if !printable(n.Zone, shardmap.MaxZone) {
		return invalid("the zone of node %q is not printable text of at most %d bytes", n.Name, shardmap.MaxZone)
	}
	if !printable(n.Versions.Program, MaxProgram) {
		return invalid("the version of node %q is not printable text of at most %d bytes", n.Name, MaxProgram)
	}
	for _, a := range n.Addrs.all() {
		if !printable(a, shardmap.MaxAddr) {
			return invalid("an address of node %q is not printable text of at most %d bytes", n.Name, shardmap.MaxAddr)
		}
	}
	return nil
}

// all returns the addresses, the empty ones too.
func (a Addrs) all() [5]string { return [...]string{a.Link, a.Raft, a.API, a.Public, a.Admin} }

func validName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= MaxName
}

func validHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == identityLen
}

func printable(s string, max int) bool {
	if len(s) > max || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// checkVersions says whether a node that is not except yet, or was otherwise,
// can work beside all others: their versions differ from its by at most 1.
func (s *State) checkVersions(n Node) error {
	for _, o := range s.Nodes {
		// Control members do not speak wire/peer, and their data is their own.
		if o.ID == n.ID || o.Wish == Leave || o.Role == Control {
			continue
		}
		what, has, want := "", uint32(0), uint32(0)
		switch {
		case apart(n.Versions.Wire, o.Versions.Wire):
			what, has, want = "between processes", n.Versions.Wire, o.Versions.Wire
		case n.Role == o.Role && apart(n.Versions.Store, o.Versions.Store):
			what, has, want = "of data", n.Versions.Store, o.Versions.Store
		default:
			continue
		}
		do := "upgrade node %q first, one version at a time"
		if has < want {
			do = "start a newer godwit on this node; node %q is ahead"
		}
		return &Refusal{Kind: ErrVersions, Node: o.ID,
			Detail: fmt.Sprintf("version %d %s of node %q, %d of node %q, want at most 1 apart", has, what, n.Name, want, o.Name),
			Do:     fmt.Sprintf(do, o.Name)}
	}
	return nil
}

func apart(a, b uint32) bool { return max(a, b)-min(a, b) > 1 }

package config

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Role is what a process does, and so which settings it has.
type Role string

// The roles. Serve is all of the others in one process.
const (
	Serve   Role = "serve"
	Control Role = "control"
	Core    Role = "core"
	Edge    Role = "edge"
)

// Roles returns all roles.
func Roles() []Role { return []Role{Serve, Control, Core, Edge} }

// roles is a set of roles, one bit each in the order of Roles.
type roles uint8

const (
	serve roles = 1 << iota
	control
	core
	edge

	clients = serve | edge          // who serves clients
	fleet   = control | core | edge // who is one of many
	each    = serve | fleet
)

func (rs roles) has(r Role) bool { return rs&(1<<slices.Index(Roles(), r)) != 0 }

// Process are the settings of one process. Those that its role does not have are
// zero.
type Process struct {
	Role Role
	Server
	Fleet
}

// Server are the settings of what serves clients: the roles serve and edge, and
// in part of every process.
type Server struct {
	Data   string
	Listen string
	Admin  string
	Shards int

	TLSCert string
	TLSKey  string

	AuthHS256Secret string
	AuthPublicKeys  []string
	AuthJWKSURL     string
	AuthIssuer      string
	AuthAudience    string
	InsecureDevAuth bool

	AllowOrigins   []string
	MaxConnections int
	SendRate       int
	OpsRate        int
	MaxContent     int
	Heartbeat      time.Duration

	LogLevel  slog.Level
	LogFormat string
}

// DevSignIn reports whether no key is configured, so that anybody may sign in
// under any name.
func (s *Server) DevSignIn() bool {
	return s.AuthHS256Secret == "" && len(s.AuthPublicKeys) == 0 && s.AuthJWKSURL == ""
}

// Fleet are the settings by which a process finds and proves its place among
// others: of the roles control, core and edge.
type Fleet struct {
	Name      string   // unique in the fleet, never empty
	Zone      string   // replicas are spread over zones; may be empty
	Advertise string   // the host that others are told instead of the one listened on; may be empty
	API       string   // where control is asked
	Raft      string   // where control and core talk to their like
	Link      string   // where core is reached by edges and cores
	Control   []string // API addresses of control members; of a control member: of others, to join them
	Peers     []Peer   // the members with which control begins; empty: this one alone, or Control says whom to join
	Replicas  int      // of each shard
	Cores     int      // how many have to join before shards are placed
	Replace   bool     // the disk of the node of this name is gone, and this one takes its place

	JoinSecret        string // never empty
	JoinSecretFile    string // where JoinSecret was read, or empty
	PKI               string // directory of internal/pki; empty: bytes in the clear
	InsecurePlaintext bool
}

// Peer is one of the members with which control begins.
type Peer struct {
	Name string
	Raft string // host:port
	API  string // host:port
}

// Kind is the form of a setting's text; flags show it in their help.
type Kind string

// The kinds.
const (
	Text     Kind = "text"
	Path     Kind = "path"
	Address  Kind = "host:port"
	URL      Kind = "url"
	Int      Kind = "number"
	Size     Kind = "bytes" // 65536, 64KiB, 1MiB
	Duration Kind = "duration"
	Bool     Kind = "bool"
	List     Kind = "list" // separated by commas, or the flag several times
	Host     Kind = "host" // without a port
)

// Setting is one row of the table.
type Setting struct {
	Key     string // in the TOML file
	EnvName string // when it is not GODWIT_ and the key in capitals
	Kind    Kind
	Default string
	Group   string // heading, for people
	Secret  bool   // no flag: command lines are seen by every user of the machine
	Doc     string
	Min     int64    // of numbers, sizes (bytes) and durations (ns)
	Max     int64    // 0: no bound
	OneOf   []string // of texts

	in       roles
	defaults map[Role]string    // where a role differs from Default
	at       func(*Process) any // where it goes
}

// In reports whether processes of the role have the setting.
func (st *Setting) In(r Role) bool { return st.in.has(r) }

// Of returns the roles that have the setting.
func (st *Setting) Of() []Role {
	return slices.DeleteFunc(Roles(), func(r Role) bool { return !st.In(r) })
}

// DefaultOf returns the default of a role. That of data and of name depends on
// the machine; it is empty here, and Doc says what it is.
func (st *Setting) DefaultOf(r Role) string {
	if d, ok := st.defaults[r]; ok {
		return d
	}
	return st.Default
}

// Flag returns the name of the flag.
func (st *Setting) Flag() string { return strings.ReplaceAll(st.Key, "_", "-") }

// Env returns the name of the environment variable.
func (st *Setting) Env() string {
	if st.EnvName != "" {
		return st.EnvName
	}
	return envPrefix + strings.ToUpper(st.Key)
}

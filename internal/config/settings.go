package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/wire"
)

// Server are the settings of a server process.
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
)

// Setting is one row of the table.
type Setting struct {
	Key     string // in the TOML file
	EnvName string // when it is not GODWIT_ and the key in capitals
	Kind    Kind
	Default string
	Secret  bool // no flag: command lines are seen by every user of the machine
	Doc     string
	Min     int64    // of numbers, sizes (bytes) and durations (ns)
	Max     int64    // 0: no bound
	OneOf   []string // of texts

	at func(*Server) any // where it goes
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

// Settings is the table. It is immutable.
var Settings = [...]Setting{
	{Key: "data", Kind: Path, Doc: "directory that keeps everything; without it $XDG_DATA_HOME/godwit or ~/.local/share/godwit", at: func(s *Server) any { return &s.Data }},
	{Key: "listen", Kind: Address, Default: "127.0.0.1:8080", Doc: "public address: page, REST and WebSocket", at: func(s *Server) any { return &s.Listen }},
	{Key: "admin", EnvName: "GODWIT_ADMIN_LISTEN", Kind: Address, Default: "127.0.0.1:8081", Doc: "address for operators: health, metrics, pprof", at: func(s *Server) any { return &s.Admin }},
	{Key: "shards", Kind: Int, Default: "0", Min: 0, Max: 1024, Doc: "number of shards, 1 to 1024; 0: one for every two processors, 16 at most; counts at the first start only", at: func(s *Server) any { return &s.Shards }},

	{Key: "tls_cert", Kind: Path, Doc: "PEM file with the certificate chain of the public address", at: func(s *Server) any { return &s.TLSCert }},
	{Key: "tls_key", Kind: Path, Doc: "PEM file with the key of --tls-cert", at: func(s *Server) any { return &s.TLSKey }},

	{Key: "auth_hs256_secret", Kind: Text, Secret: true, Doc: "secret of at least 32 bytes for tokens signed with HS256", at: func(s *Server) any { return &s.AuthHS256Secret }},
	{Key: "auth_public_key", Kind: List, Doc: "PEM file with a public key for EdDSA, ES256 or RS256; may be repeated", at: func(s *Server) any { return &s.AuthPublicKeys }},
	{Key: "auth_jwks_url", Kind: URL, Doc: "address of a JWKS with public keys", at: func(s *Server) any { return &s.AuthJWKSURL }},
	{Key: "auth_issuer", Kind: Text, Doc: "what iss of a token must be", at: func(s *Server) any { return &s.AuthIssuer }},
	{Key: "auth_audience", Kind: Text, Doc: "what aud of a token must hold", at: func(s *Server) any { return &s.AuthAudience }},
	{Key: "insecure_dev_auth", Kind: Bool, Default: "false", Doc: "offer development sign-in to other machines too", at: func(s *Server) any { return &s.InsecureDevAuth }},

	{Key: "allow_origin", Kind: List, Doc: "origin whose pages may connect, such as https://chat.example, or *; may be repeated", at: func(s *Server) any { return &s.AllowOrigins }},
	{Key: "max_connections", Kind: Int, Default: "0", Max: 10_000_000, Doc: "most WebSockets; 0: what the descriptor limit allows", at: func(s *Server) any { return &s.MaxConnections }},
	{Key: "send_rate", Kind: Int, Default: "200", Max: 1_000_000, Doc: "messages a second that one connection may send, five times as many at once; 0: no limit", at: func(s *Server) any { return &s.SendRate }},
	{Key: "ops_rate", Kind: Int, Default: "2000", Max: 1_000_000, Doc: "other frames a second that one connection may send, five times as many at once; 0: no limit", at: func(s *Server) any { return &s.OpsRate }},
	{Key: "max_content", Kind: Size, Default: "64KiB", Min: 1, Max: wire.MaxContentCeiling, Doc: "longest content of a message, up to 1MiB", at: func(s *Server) any { return &s.MaxContent }},
	{Key: "heartbeat", Kind: Duration, Default: "30s", Min: int64(time.Second), Max: int64(time.Hour), Doc: "how often clients ping, 1s to 1h; two missed end the connection", at: func(s *Server) any { return &s.Heartbeat }},

	{Key: "log_level", Kind: Text, Default: "info", OneOf: []string{"debug", "info", "warn", "error"}, Doc: "debug, info, warn or error", at: func(s *Server) any { return &s.LogLevel }},
	{Key: "log_format", Kind: Text, Default: "text", OneOf: []string{"text", "json"}, Doc: "text or json", at: func(s *Server) any { return &s.LogFormat }},
}

func find(key string) *Setting {
	for i := range Settings {
		if Settings[i].Key == key {
			return &Settings[i]
		}
	}
	return nil
}

func keys() (list []string) {
	for i := range Settings {
		list = append(list, Settings[i].Key)
	}
	return list
}

// set parses text into the setting's place in s.
func (st *Setting) set(s *Server, text string) error {
	text = strings.TrimSpace(text)
	if err := st.oneOf(text); err != nil {
		return err
	}
	switch p := st.at(s).(type) {
	case *string:
		*p = text
		return st.form(text)
	case *[]string:
		for _, part := range strings.Split(text, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if err := st.form(part); err != nil {
				return err
			}
			*p = append(*p, part)
		}
		return nil
	case *bool:
		v, err := strconv.ParseBool(text)
		*p = v
		return orErr(err, "want true or false")
	case *slog.Level:
		return p.UnmarshalText([]byte(text))
	case *time.Duration:
		v, err := time.ParseDuration(text)
		*p = v
		return st.within(int64(v), orErr(err, "want a duration with its unit, such as 30s or 2m"))
	case *int:
		v, err := st.number(text)
		*p = int(v)
		return st.within(v, err)
	}
	return errors.New("the table has no way to set it")
}

func orErr(err error, text string) error {
	if err != nil {
		return errors.New(text)
	}
	return nil
}

func (st *Setting) oneOf(text string) error {
	for _, o := range st.OneOf {
		if o == text {
			return nil
		}
	}
	if st.OneOf == nil {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(st.OneOf, ", "))
}

// form judges texts.
func (st *Setting) form(text string) error {
	switch {
	case st.Kind == Address:
		_, port, err := net.SplitHostPort(text)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
			return errors.New("want HOST:PORT, such as 127.0.0.1:8080")
		}
	case st.Kind == URL && text != "":
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("want an address that starts with https://")
		}
	case st.Key == "allow_origin" && text != "*":
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return errors.New("want an origin such as https://chat.example, or *")
		}
	case st.Key == "data" && text == "":
		return errors.New("want a directory")
	}
	return nil
}

// number reads an Int or a Size.
func (st *Setting) number(text string) (int64, error) {
	unit := int64(1)
	if st.Kind == Size {
		for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
			if t, ok := strings.CutSuffix(text, suffix); ok {
				text, unit = strings.TrimSpace(t), u
			}
		}
	}
	v, err := strconv.ParseInt(text, 10, 40)
	if err != nil && st.Kind == Size {
		return 0, errors.New("want a number of bytes, such as 65536 or 64KiB")
	}
	return v * unit, orErr(err, fmt.Sprintf("want a whole number from %d to %d, such as 8", st.Min, st.Max))
}

// within judges numbers.
func (st *Setting) within(v int64, err error) error {
	text := func(n int64) string {
		if st.Kind == Duration {
			return time.Duration(n).String()
		}
		return strconv.FormatInt(n, 10)
	}
	switch {
	case err != nil:
		return err
	case v < st.Min:
		return fmt.Errorf("want at least %s", text(st.Min))
	case st.Max != 0 && v > st.Max:
		return fmt.Errorf("want at most %s", text(st.Max))
	}
	return nil
}

// textOf turns a TOML value into the text that a flag would have.
func textOf(v any) string {
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = textOf(e)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// check judges settings that depend on one another.
func (s *Server) check() error {
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return fault.New(fault.BadValue, "only one of tls_cert and tls_key is set").Advise("set both, or none")
	case s.AuthHS256Secret != "" && len(s.AuthHS256Secret) < minSecret:
		return fault.New(fault.BadValue, "auth_hs256_secret has %d bytes", len(s.AuthHS256Secret)).
			Advise("use at least %d random bytes, for instance from `openssl rand -base64 32`", minSecret)
	case s.DevSignIn() && !s.InsecureDevAuth && !loopback(s.Listen):
		return fault.New(fault.DevAuthExposed, "no key is configured, and --listen %s is not a loopback address", s.Listen)
	}
	return nil
}

// minSecret is the least length of an HS256 secret, that of its hash.
const minSecret = 32

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

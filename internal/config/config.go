// Package config reads the settings of a process from one table: each setting
// has one name, and is said by a flag, an environment variable, a TOML file or
// a default. The flag wins over the environment, that over the file, that over
// the default. A name that is not in the table is an error with a suggestion.
//
// The table says which roles have a setting. A file is for one process: it has
// no sections by role, and a key of another role in it is an error that says
// so. The environment may be shared by processes of several roles: a variable
// that only others have is not looked at.
//
// The package reads what it is given, the one file that --config names, the one
// that join_secret_file does, and the name of the host; it never looks into the
// working directory and keeps nothing.
package config

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/fault/near"
)

// envPrefix starts the name of every environment variable of godwit.
const envPrefix = "GODWIT_"

// FileFlag is the flag that names the TOML file; GODWIT_CONFIG does too.
const FileFlag = "config"

// otherEnv are variables that other commands read.
var otherEnv = []string{"GODWIT_CONFIG", "GODWIT_CA", "GODWIT_SERVER", "GODWIT_TOKEN", "GODWIT_USER"}

// Load returns the settings of a process of the role. flags must have been made
// by AddFlags and parsed; environ has the form of os.Environ. The error is the
// first that Read finds, a *fault.Error.
func Load(role Role, flags *pflag.FlagSet, environ []string) (Process, error) {
	r := Read(role, flags, environ)
	if len(r.Problems) > 0 {
		return Process{}, r.Problems[0]
	}
	return r.Process, nil
}

// Reading is all that was said, with where and what is wrong with it.
type Reading struct {
	Process  Process // of use when there are no problems
	Values   []Value // of every setting of the role, in the table's order
	Problems []error // *fault.Error each; empty: the process can start
}

// Value is the text of one setting and where it was said.
type Value struct {
	Setting *Setting
	Text    string // of a secret too: use Shown for people
	Origin  Origin
}

// Origin is where a value was said.
type Origin struct {
	Kind  OriginKind
	Where string // the flag, the variable, FILE:LINE; empty for a default
	path  string // the key as the file writes it
}

// OriginKind is a kind of place where values are said.
type OriginKind string

// The kinds, from the one that yields to the one that wins.
const (
	FromDefault OriginKind = "default"
	FromFile    OriginKind = "file"
	FromEnv     OriginKind = "env"
	FromFlag    OriginKind = "flag"
)

// String returns "default", "FILE:LINE", "env NAME" or "flag --NAME".
func (o Origin) String() string {
	switch o.Kind {
	case FromDefault:
		return string(o.Kind)
	case FromFile:
		return o.Where
	}
	return string(o.Kind) + " " + o.Where
}

// says names the place in an error about the value of st.
func (o Origin) says(st *Setting) string {
	switch o.Kind {
	case FromDefault:
		return "the default of --" + st.Flag()
	case FromFile:
		return o.path + " in " + o.Where
	}
	return o.Where
}

// mask stands for a secret.
const mask = "********"

// Shown returns the text, or a mask for a secret that is set.
func (v *Value) Shown() string {
	if v.Setting.Secret && v.Text != "" {
		return mask
	}
	return v.Text
}

// said is what one source says, by key.
type said map[string]Value

func (s said) put(st *Setting, text string, o Origin) { s[st.Key] = Value{st, text, o} }

// Read reads everything and judges it.
func Read(role Role, flags *pflag.FlagSet, environ []string) *Reading {
	r := &Reading{Process: Process{Role: role}}
	env := environment(environ)
	file := env["GODWIT_CONFIG"]
	if f := flags.Lookup(FileFlag); f != nil && f.Changed {
		file = f.Value.String()
	}
	merged := defaults(role, env)
	for _, read := range []func() (said, []error){
		func() (said, []error) { return readFile(role, file) },
		func() (said, []error) { return readEnv(role, env) },
		func() (said, []error) { return readFlags(role, flags) },
	} {
		s, problems := read()
		r.Problems = append(r.Problems, problems...)
		for key, v := range s {
			merged[key] = v
		}
	}
	for _, st := range table(role) {
		v := merged[st.Key]
		r.Values = append(r.Values, v)
		if err := st.set(&r.Process, v.Text); err != nil {
			r.Problems = append(r.Problems, badValue(&v, err))
		}
	}
	if len(r.Problems) == 0 {
		r.Problems = r.Process.check()
	}
	return r
}

func badValue(v *Value, err error) error {
	text := v.Text
	if v.Setting.Secret {
		text = "(secret)"
	}
	bad := fault.New(fault.BadValue, "%s is %.80q: %w", v.Origin.says(v.Setting), text, err)
	if v.Setting.OneOf != nil { // the error has said what Doc says
		return bad
	}
	return bad.Advise("%s", v.Setting.Doc)
}

func defaults(role Role, env map[string]string) said {
	s := said{}
	for _, st := range table(role) {
		text := st.DefaultOf(role)
		switch st.Key {
		case "data":
			text = dataIn(role, env)
		case "name":
			text = hostName(role)
		}
		s.put(st, text, Origin{Kind: FromDefault})
	}
	return s
}

// DefaultData returns the data directory of a process that is told nothing. It
// follows the XDG base directory specification.
func DefaultData(role Role, environ []string) string { return dataIn(role, environment(environ)) }

func dataIn(role Role, env map[string]string) string {
	dir := "godwit"
	if role != Serve {
		dir += "-" + string(role)
	}
	switch {
	case env["XDG_DATA_HOME"] != "":
		return env["XDG_DATA_HOME"] + "/" + dir
	case env["HOME"] != "":
		return env["HOME"] + "/.local/share/" + dir
	}
	return dir + "-data"
}

var notInName = regexp.MustCompile(`[^a-z0-9.-]+`)

// hostName returns the name of a node that is told none. A host may be home to a
// node of each role, so the role is in it.
func hostName(role Role) string {
	host, err := os.Hostname()
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	host = strings.Trim(notInName.ReplaceAllString(host, "-"), "-.")
	switch {
	case err != nil || host == "":
		return string(role)
	case strings.HasPrefix(host, string(role)):
		return host // such as core-0
	}
	return string(role) + "-" + host
}

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		env[name] = v
	}
	return env
}

func readEnv(role Role, env map[string]string) (said, []error) {
	s := said{}
	names := slices.Clone(otherEnv)
	for i := range Settings {
		st := &Settings[i]
		names = append(names, st.Env())
		if v := env[st.Env()]; v != "" && st.In(role) {
			s.put(st, v, Origin{Kind: FromEnv, Where: st.Env()})
		}
	}
	var problems []error
	for name, v := range env {
		if v != "" && strings.HasPrefix(name, envPrefix) && !slices.Contains(names, name) && !fromKubernetes(name) {
			problems = append(problems, unknown(name+" in the environment", name, names))
		}
	}
	return s, problems
}

// fromKubernetes reports whether a variable is one that Kubernetes sets in
// every container beside a service called godwit.
func fromKubernetes(name string) bool {
	return strings.HasPrefix(name, "GODWIT_SERVICE_") || strings.HasPrefix(name, "GODWIT_PORT")
}

// unknown makes a BadKey with a suggestion.
func unknown(what, key string, names []string) error {
	err := fault.New(fault.BadKey, "%s", what)
	if n := near.Name(key, names); n != "" {
		return err.Advise("did you mean %s?", n)
	}
	return err.Advise("remove it; `godwit config doc` lists every setting")
}

// ofOthers makes a BadKey for a setting that the role does not have.
func ofOthers(what string, st *Setting, role Role) error {
	var names []string
	for _, r := range st.Of() {
		names = append(names, string(r))
	}
	return fault.New(fault.BadKey, "%s is a setting of %s, and this is for %s", what, strings.Join(names, ", "), role).
		Advise("remove it; a file is for one process")
}

// Package config reads the settings of a process from one table: each setting
// has one name, and is said by a flag, an environment variable, a TOML file or
// a default. The flag wins over the environment, that over the file, that over
// the default. A name that is not in the table is an error with a suggestion.
//
// The package reads what it is given and the one file that --config names; it
// never looks into the working directory and keeps nothing.
package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"
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

// Load returns the settings. flags must have been made by AddFlags and parsed;
// environ has the form of os.Environ. Errors are *fault.Error.
func Load(flags *pflag.FlagSet, environ []string) (Server, error) {
	k := koanf.New(".")
	from := map[string]string{} // key to where its value comes from
	env := environment(environ)
	file := env["GODWIT_CONFIG"]
	if f := flags.Lookup(FileFlag); f != nil && f.Changed {
		file = f.Value.String()
	}
	layers := []func() (layer, error){
		func() (layer, error) { return defaults(env), nil },
		func() (layer, error) { return fileLayer(file) },
		func() (layer, error) { return envLayer(env) },
		func() (layer, error) { return flagLayer(flags), nil },
	}
	for _, read := range layers {
		l, err := read()
		if err != nil {
			return Server{}, err
		}
		for key, v := range l {
			from[key] = v.from
		}
		if err := k.Load(l, nil); err != nil {
			return Server{}, fault.New(fault.BadConfigFile, "%w", err)
		}
	}
	var s Server
	for i := range Settings {
		st := &Settings[i]
		text := k.String(st.Key)
		if err := st.set(&s, text); err != nil {
			return Server{}, badValue(st, text, from[st.Key], err)
		}
	}
	return s, s.check()
}

func badValue(st *Setting, text, from string, err error) error {
	if st.Secret {
		text = "(secret)"
	}
	bad := fault.New(fault.BadValue, "%s is %.80q: %w", from, text, err)
	if st.OneOf != nil { // the error has said what Doc says
		return bad
	}
	return bad.Advise("%s", st.Doc)
}

// value is the text of a setting and where it was said.
type value struct{ text, from string }

// layer is one source of settings, by key. It is a koanf.Provider.
type layer map[string]value

// Read returns the texts.
func (l layer) Read() (map[string]any, error) {
	m := make(map[string]any, len(l))
	for key, v := range l {
		m[key] = v.text
	}
	return m, nil
}

// ReadBytes is not used: a layer is parsed already.
func (l layer) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

func defaults(env map[string]string) layer {
	l := layer{}
	for i := range Settings {
		st := &Settings[i]
		l[st.Key] = value{st.Default, "the default of --" + st.Flag()}
	}
	l["data"] = value{dataIn(env), "the default of --data"}
	return l
}

// DefaultData returns the data directory of a server that is told nothing. It
// follows the XDG base directory specification.
func DefaultData(environ []string) string { return dataIn(environment(environ)) }

func dataIn(env map[string]string) string {
	switch {
	case env["XDG_DATA_HOME"] != "":
		return env["XDG_DATA_HOME"] + "/godwit"
	case env["HOME"] != "":
		return env["HOME"] + "/.local/share/godwit"
	}
	return "godwit-data"
}

// unknown makes a BadKey with a suggestion; format takes what.
func unknown(format, what, key string, names []string) error {
	err := fault.New(fault.BadKey, format, what)
	if n := near.Name(key, names); n != "" {
		return err.Advise("did you mean %s?", n)
	}
	return err.Advise("remove it; `godwit serve --help` lists every setting")
}

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		env[name] = v
	}
	return env
}

func envLayer(env map[string]string) (layer, error) {
	l := layer{}
	names := slices.Clone(otherEnv)
	for i := range Settings {
		st := &Settings[i]
		names = append(names, st.Env())
		if v, ok := env[st.Env()]; ok && v != "" {
			l[st.Key] = value{v, st.Env()}
		}
	}
	for name, v := range env {
		if v != "" && strings.HasPrefix(name, envPrefix) && !slices.Contains(names, name) && !fromKubernetes(name) {
			return nil, unknown("%s in the environment", name, name, names)
		}
	}
	return l, nil
}

// fromKubernetes reports whether a variable is one that Kubernetes sets in
// every container beside a service called godwit.
func fromKubernetes(name string) bool {
	return strings.HasPrefix(name, "GODWIT_SERVICE_") || strings.HasPrefix(name, "GODWIT_PORT")
}

func flagLayer(flags *pflag.FlagSet) layer {
	l := layer{}
	for i := range Settings {
		st := &Settings[i]
		if f := flags.Lookup(st.Flag()); f != nil && f.Changed {
			l[st.Key] = value{f.Value.String(), "--" + st.Flag()}
		}
	}
	return l
}

// AddFlags adds a flag for every setting that has one, and --config.
func AddFlags(flags *pflag.FlagSet) {
	flags.String(FileFlag, "", "TOML file with settings (GODWIT_CONFIG)")
	for i := range Settings {
		st := &Settings[i]
		if st.Secret {
			continue
		}
		f := flags.VarPF(&flagText{st: st, text: st.Default}, st.Flag(), "", st.Doc+" ("+st.Env()+")")
		if st.Kind == Bool {
			f.NoOptDefVal = "true"
		}
	}
}

// flagText keeps a flag's text; Load parses it with the texts of the other
// sources, so that all are judged alike.
type flagText struct {
	st   *Setting
	text string
	set  bool
}

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return string(f.st.Kind) }

// Set keeps the text; a repeated flag of a list adds to it.
func (f *flagText) Set(s string) error {
	if f.st.Kind == List && f.set {
		s = f.text + "," + s
	}
	f.text, f.set = s, true
	return nil
}

package config

import "github.com/spf13/pflag"

// AddFlags adds a flag for every setting of the roles that has one, and
// --config.
func AddFlags(flags *pflag.FlagSet, roles ...Role) {
	flags.String(FileFlag, "", "TOML file with settings (GODWIT_CONFIG)")
	for i := range Settings {
		st := &Settings[i]
		text, of := "", 0
		for _, r := range roles {
			if st.In(r) {
				text, of = st.DefaultOf(r), of+1
			}
		}
		if st.Secret || of == 0 {
			continue
		}
		if len(roles) > 1 {
			text = "" // there is no one default
		}
		f := flags.VarPF(&flagText{st: st, text: text}, st.Flag(), "", st.Doc+" ("+st.Env()+")")
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

// readFlags returns what the command line says.
func readFlags(role Role, flags *pflag.FlagSet) (said, []error) {
	s := said{}
	var problems []error
	for i := range Settings {
		st := &Settings[i]
		f := flags.Lookup(st.Flag())
		if f == nil || !f.Changed {
			continue
		}
		if _, ours := f.Value.(*flagText); !ours {
			continue // of the command, by the same name
		}
		if !st.In(role) {
			problems = append(problems, ofOthers("--"+st.Flag(), st, role))
			continue
		}
		s.put(st, f.Value.String(), Origin{Kind: FromFlag, Where: "--" + st.Flag()})
	}
	return s, problems
}

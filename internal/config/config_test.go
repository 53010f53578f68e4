package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
)

// load reads the settings of serve.
func load(t *testing.T, args, env []string, file string) (config.Server, error) {
	t.Helper()
	r := read(t, config.Serve, args, env, file)
	if len(r.Problems) > 0 {
		return r.Process.Server, r.Problems[0]
	}
	return r.Process.Server, nil
}

// read reads settings from flags, environment and the text of a file.
func read(t *testing.T, role config.Role, args, env []string, file string) *config.Reading {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags, role)
	if file != "" {
		name := filepath.Join(t.TempDir(), "godwit.toml")
		if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", name)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Read(role, flags, append(env, "HOME=/home/x"))
}

func TestDefaults(t *testing.T) {
	s, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:8080" || s.Data != "/home/x/.local/share/godwit" || s.Heartbeat != 30*time.Second || s.MaxContent != 64<<10 || !s.DevSignIn() {
		t.Errorf("%+v", s)
	}
	if s, _ = load(t, nil, []string{"XDG_DATA_HOME=/xdg"}, ""); s.Data != "/xdg/godwit" {
		t.Errorf("data %q", s.Data)
	}
}

func TestEachSourceWinsOverTheNext(t *testing.T) {
	const file = "max_connections = 1\nheartbeat = \"10s\"\nshards = 3\n"
	env := []string{"GODWIT_MAX_CONNECTIONS=2", "GODWIT_HEARTBEAT=20s"}
	s, err := load(t, []string{"--max-connections", "3"}, env, file)
	if err != nil || s.MaxConnections != 3 || s.Heartbeat != 20*time.Second || s.Shards != 3 {
		t.Errorf("%+v %v", s, err)
	}
}

// sample returns a text that fits a setting of the role and is not its default.
func sample(st *config.Setting, role config.Role) string {
	switch {
	case st.OneOf != nil:
		return st.OneOf[len(st.OneOf)-1]
	case st.Secret:
		return strings.Repeat("s", 32)
	}
	switch st.Key {
	case "allow_origin":
		return "https://a.example,http://b.example:8080/"
	case "control":
		return "127.0.0.1:1,127.0.0.1:2"
	case "peers":
		return "x=127.0.0.1:1,y=127.0.0.1:2"
	}
	return map[config.Kind]string{config.Text: "x", config.Path: "/x", config.Address: "127.0.0.1:1", config.URL: "https://x",
		config.Int: "7", config.Size: "2KiB", config.Duration: "9s", config.Bool: "true", config.List: "a,b", config.Host: "a.lan"}[st.Kind]
}

func TestEverySettingCanBeSaidInEveryWay(t *testing.T) {
	for _, role := range config.Roles() {
		for i := range config.Settings {
			st := &config.Settings[i]
			if st.Doc == "" || strings.HasSuffix(st.Doc, ".") || st.Group == "" || len(st.Of()) == 0 {
				t.Errorf("%s: doc %q, group %q, roles %v", st.Key, st.Doc, st.Group, st.Of())
			}
			if !st.In(role) {
				continue
			}
			text := sample(st, role)
			values := func(args, env []string, file string) string {
				r := read(t, role, args, env, file)
				for _, err := range r.Problems {
					if strings.Contains(err.Error(), "E3004") {
						t.Errorf("%s %s: %v", role, st.Key, err)
					}
				}
				return strings.Join(strings.Fields(fmt.Sprintf("%+v", r.Process)), " ")
			}
			byEnv := values(nil, []string{st.Env() + "=" + text}, "")
			byFile := values(nil, nil, st.Key+" = \""+text+"\"\n")
			if byEnv != byFile {
				t.Errorf("%s %s: environment and file differ:\n%s\n%s", role, st.Key, byEnv, byFile)
			}
			if !st.Secret && byEnv != values([]string{"--" + st.Flag() + "=" + text}, nil, "") {
				t.Errorf("%s %s: environment and flag differ", role, st.Key)
			}
			if byEnv == values(nil, nil, "") {
				t.Errorf("%s %s: to say %q changes nothing", role, st.Key, text)
			}
		}
	}
}

func TestTablesAndTypesOfTOML(t *testing.T) {
	s, err := load(t, nil, nil, "[auth]\nissuer = \"me\"\npublic_key = [\"a.pem\", \"b.pem\"]\n[max]\ncontent = 1024\n")
	if err != nil || s.AuthIssuer != "me" || len(s.AuthPublicKeys) != 2 || s.MaxContent != 1024 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		args, env []string
		file      string
		code      fault.Code
		says      string
	}{
		"key in the file":     {file: "max_conections = 1\n", code: fault.BadKey, says: "did you mean max_connections?"},
		"far off key":         {file: "zzz = 1\n", code: fault.BadKey, says: "remove it"},
		"variable":            {env: []string{"GODWIT_LISTN=x"}, code: fault.BadKey, says: "did you mean GODWIT_LISTEN?"},
		"number":              {args: []string{"--shards", "many"}, code: fault.BadValue, says: `--shards is "many": want a whole number from 0 to 1024, such as 8`},
		"fraction":            {file: "shards = 1.5\n", code: fault.BadValue, says: `godwit.toml:1 is "1.5": want a whole number`},
		"no unit":             {file: "heartbeat = 30\n", code: fault.BadValue, says: `is "30": want a duration with its unit, such as 30s or 2m`},
		"too long a duration": {env: []string{"GODWIT_HEARTBEAT=99999999h"}, code: fault.BadValue, says: `is "99999999h": want a duration`},
		"size":                {args: []string{"--max-content", "64KB"}, code: fault.BadValue, says: `is "64KB": want a number of bytes, such as 65536 or 64KiB`},
		"range":               {env: []string{"GODWIT_SHARDS=5000"}, code: fault.BadValue, says: "GODWIT_SHARDS is \"5000\": want at most 1024"},
		"duration":            {args: []string{"--heartbeat", "1ms"}, code: fault.BadValue, says: "want at least 1s"},
		"address":             {args: []string{"--listen", "8080"}, code: fault.BadValue, says: "want HOST:PORT"},
		"origin":              {args: []string{"--allow-origin", "https://a.example/page"}, code: fault.BadValue, says: "want an origin"},
		"half an origin":      {env: []string{"GODWIT_ALLOW_ORIGIN=*,chat.example"}, code: fault.BadValue, says: "want an origin"},
		"choice":              {args: []string{"--log-format", "xml"}, code: fault.BadValue, says: "want one of text, json; correct the value"},
		"half of tls":         {args: []string{"--tls-cert", "x"}, code: fault.BadValue, says: "set both"},
		"short secret":        {env: []string{"GODWIT_AUTH_HS256_SECRET=short"}, code: fault.BadValue, says: "at least 32"},
		"open development":    {args: []string{"--listen", "0.0.0.0:80"}, code: fault.DevAuthExposed, says: "--insecure-dev-auth"},
		"broken file":         {file: "a = = 1", code: fault.BadConfigFile, says: "godwit.toml:1:5: incomplete number; correct that line"},
		"open table":          {file: "shards = 1\n\n[auth\n", code: fault.BadConfigFile, says: "godwit.toml:3:"},
		"open string":         {file: "log_format = \"text\nshards = 2\n", code: fault.BadConfigFile, says: "godwit.toml:1:"},
		"number of 20 digits": {file: "shards = 99999999999999999999\n", code: fault.BadConfigFile, says: "godwit.toml:1:10: couldn't parse decimal number;"},
		"key twice":           {file: "shards = 1\nallow_origin = [\n \"*\",\n]\n\nshards = 2\n", code: fault.BadConfigFile, says: "godwit.toml:6: key shards is already defined;"},
		"table twice":         {file: "[auth]\nissuer = 'x'\n[auth]\naudience = 'y'\n", code: fault.BadConfigFile, says: "godwit.toml:3: table auth already exists;"},
		"key and table":       {file: "auth_issuer = 'x'\n[auth]\nissuer = 'y'\n", code: fault.BadConfigFile, says: "says auth_issuer twice"},
		"file that is absent": {args: []string{"--config", "/nowhere/x.toml"}, code: fault.BadConfigFile, says: "/nowhere/x.toml"},
	} {
		_, err := load(t, c.args, c.env, c.file)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want E%d with %q", name, err, c.code, c.says)
		}
		if text := fault.Line(err); strings.Contains(text, "strconv") || strings.Contains(text, "time:") || strings.Contains(text, "\n") {
			t.Errorf("%s: a person reads %q", name, text)
		}
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	_, err := load(t, nil, []string{"GODWIT_AUTH_HS256_SECRET=hunter2"}, "")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestDevelopmentMayBeOpenedOnPurpose(t *testing.T) {
	if _, err := load(t, []string{"--listen", "0.0.0.0:80", "--insecure-dev-auth"}, nil, ""); err != nil {
		t.Error(err)
	}
	if _, err := load(t, []string{"--listen", "0.0.0.0:80"}, []string{"GODWIT_AUTH_HS256_SECRET=" + strings.Repeat("x", 32)}, ""); err != nil {
		t.Error(err)
	}
}

func TestVariablesOfOthersAreNoSettings(t *testing.T) {
	if _, err := load(t, nil, []string{"GODWIT_CA=x.pem", "GODWIT_USER=alice"}, ""); err != nil {
		t.Errorf("variables of the other commands: %v", err)
	}
	if _, err := load(t, nil, []string{"GODWIT_SERVICE_HOST=10.0.0.1", "GODWIT_PORT_8080_TCP=tcp://10.0.0.1:8080"}, ""); err != nil {
		t.Error(err)
	}
}

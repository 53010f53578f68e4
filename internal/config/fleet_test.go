package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
)

var update = flag.Bool("update", false, "rewrite docs/CONFIG.md")

const secret = "GODWIT_JOIN_SECRET=0123456789abcdef"

// says reports whether one of the problems has text in it.
func says(problems []error, text string) bool {
	for _, err := range problems {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

func TestRolesHaveTheirOwnDefaults(t *testing.T) {
	for role, want := range map[config.Role]config.Process{
		config.Control: {Server: config.Server{Admin: "127.0.0.1:7702", Data: "/home/x/.local/share/godwit-control"}, Fleet: config.Fleet{API: "127.0.0.1:7700", Raft: "127.0.0.1:7701", Replicas: 3, Cores: 3}},
		config.Core:    {Server: config.Server{Admin: "127.0.0.1:7712", Data: "/home/x/.local/share/godwit-core"}, Fleet: config.Fleet{Link: "127.0.0.1:7710", Raft: "127.0.0.1:7711"}},
		config.Edge:    {Server: config.Server{Admin: "127.0.0.1:8081", Data: "/home/x/.local/share/godwit-edge", Listen: "127.0.0.1:8080"}},
	} {
		r := read(t, role, []string{"--control", "127.0.0.1:1"}, []string{secret}, "")
		p := r.Process
		if len(r.Problems) > 0 || p.Role != role || p.JoinSecret != "0123456789abcdef" || p.Name == "" || !strings.HasPrefix(p.Name, string(role)) {
			t.Errorf("%s: %+v %v", role, p, r.Problems)
		}
		if p.Admin != want.Admin || p.Data != want.Data || p.Listen != want.Listen || p.API != want.API || p.Link != want.Link ||
			p.Raft != want.Raft || p.Replicas != want.Replicas || p.Cores != want.Cores {
			t.Errorf("%s: %+v\nwant %+v", role, p, want)
		}
	}
}

func TestWhatAFleetRefuses(t *testing.T) {
	here := []string{"--control", "127.0.0.1:7700"}
	for name, c := range map[string]struct {
		role config.Role
		args []string
		env  []string
		file string
		says string
	}{
		"no control":              {config.Edge, nil, []string{secret}, "", "no control member is named; set --control"},
		"no secret":               {config.Core, here, nil, "", "there is no join secret; set GODWIT_JOIN_SECRET or --join-secret-file"},
		"short secret":            {config.Core, here, []string{"GODWIT_JOIN_SECRET=short"}, "", "the join secret has 5 bytes"},
		"secret in two lines":     {config.Core, here, []string{"GODWIT_JOIN_SECRET=01234567\n89abcdef"}, "", "more than letters"},
		"secret file is absent":   {config.Core, append(here, "--join-secret-file", "/nowhere/x"), nil, "", "join_secret_file: open /nowhere/x"},
		"two secrets":             {config.Core, append(here, "--join-secret-file", "x"), []string{secret}, "", "both join_secret and join_secret_file"},
		"name":                    {config.Core, append(here, "--name", "Core 1"), []string{secret}, "", "want 1 to 64 of a-z"},
		"host with a port":        {config.Core, append(here, "--advertise", "10.0.0.1:7710"), []string{secret}, "", "want a host without a port"},
		"control without a port":  {config.Core, []string{"--control", "10.0.0.1"}, []string{secret}, "", "want HOST:PORT, such as 10.0.0.1:7700"},
		"plaintext to control":    {config.Edge, []string{"--control", "127.0.0.1:1,10.0.0.1:7700"}, []string{secret}, "", "E3026: nodes would talk in the clear where other machines could listen: --control 10.0.0.1:7700"},
		"plaintext raft":          {config.Core, append(here, "--raft", "10.0.0.1:7711"), []string{secret}, "", "E3026: nodes would talk in the clear where other machines could listen: --raft 10.0.0.1:7711"},
		"plaintext and TLS":       {config.Core, append(here, "--pki", "x", "--insecure-plaintext"), []string{secret}, "", "both pki and insecure_plaintext"},
		"all addresses":           {config.Control, []string{"--api", "0.0.0.0:7700", "--pki", "x"}, []string{secret}, "", "--api 0.0.0.0:7700 listens on every address"},
		"replicas without cores":  {config.Control, []string{"--cores", "2"}, []string{secret}, "", "3 replicas cannot be placed on 2 cores"},
		"peers without this":      {config.Control, []string{"--name", "c", "--peers", "a=127.0.0.1:1,b=127.0.0.1:2"}, []string{secret}, "", "peers does not name this node, c"},
		"peers twice":             {config.Control, []string{"--name", "a", "--peers", "a=127.0.0.1:1,b=127.0.0.1:1"}, []string{secret}, "", "the name or the address twice"},
		"peers and control":       {config.Control, []string{"--name", "a", "--peers", "a=127.0.0.1:1", "--control", "127.0.0.1:9"}, []string{secret}, "", "both peers and control are set"},
		"peers without a name":    {config.Control, []string{"--peers", "127.0.0.1:1"}, []string{secret}, "", "want NAME=HOST:PORT"},
		"setting of another role": {config.Edge, here, []string{secret}, "listen = '127.0.0.1:0'\nraft = '127.0.0.1:0'\n", "raft in GODWIT.TOML:2 is a setting of control, core, and this is for edge; remove it; a file is for one process"},
		"section of a role":       {config.Edge, here, []string{secret}, "[edge]\nlisten = '127.0.0.1:0'\n", "edge.listen in GODWIT.TOML:2; write listen without a table"},
		"one sign-in key short":   {config.Edge, here, []string{secret, "GODWIT_AUTH_HS256_SECRET=x"}, "", "auth_hs256_secret has 1 bytes"},
	} {
		r := read(t, c.role, c.args, c.env, c.file)
		var f *fault.Error
		for i, err := range r.Problems {
			r.Problems[i] = errors.New(shortName(err.Error()))
			if !errors.As(err, &f) {
				t.Errorf("%s: %v has no number", name, err)
			}
		}
		if !says(r.Problems, c.says) {
			t.Errorf("%s: %v, want %q", name, r.Problems, c.says)
		}
	}
}

// shortName replaces the path of the file of a test.
func shortName(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if dir, line, ok := strings.Cut(w, "godwit.toml"); ok && strings.HasPrefix(dir, "/") {
			words[i] = "GODWIT.TOML" + line
		}
	}
	return strings.Join(words, " ")
}

func TestEveryProblemIsFound(t *testing.T) {
	r := read(t, config.Core, []string{"--control", "x"}, []string{secret, "GODWIT_ZON=x"}, "zzz = 1\nshards = 2\nraft = 'y'\n")
	if len(r.Problems) != 5 {
		t.Errorf("%d problems: %v", len(r.Problems), r.Problems)
	}
}

// The environment may be shared by processes of several roles.
func TestVariablesOfOtherRolesAreNotLookedAt(t *testing.T) {
	r := read(t, config.Edge, []string{"--control", "127.0.0.1:1"}, []string{secret, "GODWIT_SHARDS=many", "GODWIT_RAFT=x"}, "")
	if len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
}

func TestSecretFromAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte("from-a-file-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, config.Core, []string{"--control", "127.0.0.1:1", "--join-secret-file", name}, nil, "")
	if len(r.Problems) > 0 || r.Process.JoinSecret != "from-a-file-0123456789" {
		t.Errorf("%q %v", r.Process.JoinSecret, r.Problems)
	}
}

func TestOrigins(t *testing.T) {
	file := "# one\n\n[auth]\nissuer = 'me' # two\npublic_key = [\n 'a.pem',\n\n 'b.pem'\n]\n\naudience = '''\nx\ny'''\n"
	r := read(t, config.Serve, []string{"--heartbeat", "10s"}, []string{"GODWIT_SHARDS=2"}, file)
	for _, v := range r.Values {
		want := "default"
		switch v.Setting.Key {
		case "auth_issuer":
			want = "GODWIT.TOML:4"
		case "auth_public_key":
			want = "GODWIT.TOML:5"
		case "auth_audience":
			want = "GODWIT.TOML:11"
		case "heartbeat":
			want = "flag --heartbeat"
		case "shards":
			want = "env GODWIT_SHARDS"
		}
		if got := shortName(v.Origin.String()); got != want {
			t.Errorf("%s comes from %q, want %q", v.Setting.Key, got, want)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	r := read(t, config.Edge, []string{"--control", "127.0.0.1:1"}, []string{secret}, "")
	for _, v := range r.Values {
		if strings.Contains(v.Shown(), "0123456789abcdef") || v.Setting.Key == "join_secret" && v.Shown() == "" {
			t.Errorf("%s is shown as %q", v.Setting.Key, v.Shown())
		}
	}
}

// A template says the defaults: as it is, and with every line uncommented.
func TestTemplateSaysTheDefaults(t *testing.T) {
	for _, role := range config.Roles() {
		text := config.Template(role)
		var lines []string
		for line := range strings.Lines(text) {
			if code, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(code, " ") {
				line = code
			}
			lines = append(lines, line)
		}
		if len(lines) == 0 || strings.Join(lines, "") == text {
			t.Errorf("%s: nothing to uncomment:\n%s", role, text)
		}
		env := []string{secret}
		args := []string{"--control", "127.0.0.1:1"}
		if role == config.Serve {
			env, args = nil, nil
		}
		want := read(t, role, args, env, "")
		got := read(t, role, args, env, strings.Join(lines, ""))
		if len(got.Problems) > 0 {
			t.Errorf("%s: %v", role, got.Problems)
		}
		for i := range want.Values {
			if got.Values[i].Text != want.Values[i].Text {
				t.Errorf("%s: %s is %q, by default %q", role, want.Values[i].Setting.Key, got.Values[i].Text, want.Values[i].Text)
			}
		}
	}
}

// TestDocument compares docs/CONFIG.md with the table; -update rewrites it.
func TestDocument(t *testing.T) {
	const name, mark = "../../docs/CONFIG.md", "a test compares. -->\n\n"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, table, ok := strings.Cut(string(b), mark)
	switch {
	case !ok:
		t.Fatalf("%s has no line that ends in %q", name, mark)
	case *update:
		if err := os.WriteFile(name, []byte(before+mark+config.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	case table != config.Markdown():
		t.Errorf("%s differs from the table: go test ./internal/config -update", name)
	}
}

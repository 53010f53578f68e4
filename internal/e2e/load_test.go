package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/testbin"
	"github.com/godwit-im/godwit/loadgen/bench"
	"github.com/godwit-im/godwit/loadgen/report"
)

func TestLoadEndsWithAVerdict(t *testing.T) {
	s := newServer(t)
	args := []string{"load", "--server", s.url, "--pairs", "4", "--rate", "200", "--for", "500ms"}
	out, stderr, code := s.run("", append(args, "--json", "--fail-if", "broken>0", "--fail-if", "rate<1")...)
	var res report.Result
	if err := json.Unmarshal([]byte(out), &res); err != nil || code != 0 {
		t.Fatalf("load: %d %v %s%s", code, err, out, stderr)
	}
	if v := res.Verdict; !v.OK() || v.Acked != 100 || v.Seen != 100 || res.Receive.Count != 100 || res.Server == "" {
		t.Errorf("result: %+v", res)
	}

	out, stderr, code = s.run("", append(args, "--pairs", "2", "--groups", "2", "--group-size", "4", "--json")...)
	res = report.Result{}
	if err := json.Unmarshal([]byte(out), &res); err != nil || code != 0 {
		t.Fatalf("load with groups: %d %v %s%s", code, err, out, stderr)
	}
	if v := res.Verdict; !v.OK() || v.Acked != 100 || v.GroupAcked != 50 || v.GroupSeen != 50 || res.Receive.Count != 200 || res.Groups != 2 {
		t.Errorf("result with groups: %+v", res)
	}

	out, stderr, code = s.run("", append(args, "--fail-if", "rate>1")...)
	if code != 99 || !strings.Contains(stderr, "rate>1: it is ") || !strings.Contains(out, "verdict: OK: 0 lost") {
		t.Errorf("a condition that holds: exit code %d, %s%s", code, out, stderr)
	}
	for name, c := range map[string][]string{
		"a unit":          {"--fail-if", "p99>5s"},
		"all is warm-up":  {"--warmup", "1s"},
		"nobody":          {"--pairs", "0"},
		"a group of one":  {"--groups", "1", "--group-size", "1"},
		"no rate at all":  {"--rate", "nan"},
		"no such name":    {"--fail-if", "speed>5"},
		"no comparison":   {"--fail-if", "p99"},
		"too little room": {"--size", "1"},
	} {
		if _, stderr, code := s.run("", append(args, c...)...); code != 2 {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

func TestLoadSaysWhyItCannotStart(t *testing.T) {
	settings := filepath.Join(t.TempDir(), "godwit.toml")
	if err := os.WriteFile(settings, []byte(`auth_hs256_secret = "`+strings.Repeat("s", 32)+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "--config", settings)
	for name, c := range map[string]struct {
		args []string
		says string
		code int
	}{
		"nobody there":    {[]string{"--server", "http://127.0.0.1:1"}, "E3007", 6},
		"not godwit":      {[]string{"--server", s.admin}, "E3022", 6},
		"not a server":    {[]string{"--server", "ftp://127.0.0.1"}, "E3011", 2},
		"no certificates": {[]string{"--ca", os.DevNull}, "E3024", 3},
		"nobody signs in": {nil, "E3015", 7},
	} {
		out, stderr, code := s.run("", append([]string{"load", "--pairs", "1", "--for", "100ms"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, "godwit: "+c.says+": ") || out != "" {
			t.Errorf("%s: exit code %d, want %d and %s: %s%s", name, code, c.code, c.says, out, stderr)
		}
	}
	args := []string{"load", "--pairs", "1", "--rate", "20", "--for", "100ms", "-o", "json"}
	s.env = []string{"GODWIT_AUTH_HS256_SECRET=" + strings.Repeat("x", 32)}
	if _, stderr, code := s.run("", args...); code != 7 || !strings.Contains(stderr, "E1102") {
		t.Errorf("another's secret: %d %s", code, stderr)
	}
	s.env = []string{"GODWIT_AUTH_HS256_SECRET=" + strings.Repeat("s", 32)}
	out, stderr, code := s.run("", args...)
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("the right secret: %d %s%s", code, out, stderr)
	}
	if _, stderr, code := s.run("", append(args, "--secret", strings.Repeat("s", 32))...); code != 2 {
		t.Errorf("a secret on the command line: %d %s", code, stderr)
	}
}

// Ctrl-C gives the verdict on what was sent until then, and says that it is
// not the whole.
func TestInterruptedLoadStillHasItsVerdict(t *testing.T) {
	s := newServer(t)
	cmd := exec.Command(binary, "load", "--server", s.url, "--pairs", "2", "--rate", "100", "--for", "1h", "--json")
	var out, live testbin.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = environment(), &out, &live, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if !waitFor(t.Context(), func() bool { return strings.Contains(live.String(), " acked ") }) {
		t.Fatal("no live line came")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code := exitCode(cmd.Wait())
	var res report.Result
	if err := json.Unmarshal([]byte(out.String()), &res); err != nil || code != 130 || !strings.Contains(live.String(), "E3010") {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out.String(), live.String())
	}
	if v := res.Verdict; !res.Interrupted || !v.OK() || v.Acked == 0 || v.Seen != v.Acked || v.Unanswered != 0 {
		t.Errorf("result: %+v", res)
	}
	if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// Every row of the bench can be measured; what it measures here means little.
// P6b is P6 at another rate.
func TestBenchMeasuresItsRows(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server for every row: 20 s")
	}
	s := &server{t: t}
	dir := t.TempDir()
	file := filepath.Join(dir, "out", "bench.json")
	for _, id := range []string{"machine", "P2", "P5", "P6", "P9", "P12"} {
		out, stderr, code := s.run("", "bench", "--short", "--only", id, "--dir", dir, "--out", file, "-o", "json")
		if code != 0 {
			t.Errorf("%s: %d %s%s", id, code, out, stderr)
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rep bench.Report
		if err := json.Unmarshal(b, &rep); err != nil {
			t.Fatal(err)
		}
		if len(rep.Rows) != 1 || rep.Rows[0].ID != id || len(rep.Rows[0].Figures) == 0 || !json.Valid([]byte(out)) || !strings.Contains(out, rep.Rows[0].Value) {
			t.Errorf("%s: %+v\n%s", id, rep.Rows, out)
			continue
		}
		for name, v := range rep.Rows[0].Figures {
			// A collection may give back more than a few idle users take.
			if v <= 0 && name != "heap_bytes" && name != "resident_bytes" {
				t.Errorf("%s: %s is %v", id, name, v)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "godwit-bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, stderr, code := s.run("", "bench", "--only", "P99", "--dir", dir); code == 0 || !strings.Contains(stderr, "P12") {
		t.Errorf("an unknown row: exit code %d, %s; want the rows that there are", code, stderr)
	}
}

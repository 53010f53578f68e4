package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

	out, stderr, code = s.run("", append(args, "--fail-if", "rate>1")...)
	if code != 99 || !strings.Contains(stderr, "rate>1: it is ") || !strings.Contains(out, "verdict: OK: 0 lost") {
		t.Errorf("a condition that holds: exit code %d, %s%s", code, out, stderr)
	}
	for name, c := range map[string][]string{
		"a unit":          {"--fail-if", "p99>5s"},
		"all is warm-up":  {"--warmup", "1s"},
		"nobody":          {"--pairs", "0"},
		"too little room": {"--size", "1"},
	} {
		if _, stderr, code := s.run("", append(args, c...)...); code != 2 {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
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
		out, stderr, code := s.run("", "bench", "--short", "--only", id, "--dir", dir, "--json", file)
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
		if len(rep.Rows) != 1 || rep.Rows[0].ID != id || len(rep.Rows[0].Figures) == 0 || !strings.Contains(out, rep.Rows[0].Value) {
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

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/testbin"
	"github.com/godwit-im/godwit/loadgen/report"
)

// fleetJSON is what DIR/fleet.json promises to others.
type fleetJSON struct {
	Processes []fleetProcess
	Control   []string
}

type fleetProcess struct {
	Name, Role, Addr, Public, Admin string
	PID                             int
	Argv                            []string
}

// demo is a `godwit demo` under test.
type demo struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	out  *testbin.Buffer
	done chan struct{} // closed when it has ended
	fleetJSON
}

// startDemo starts a fleet in dir and waits until it is ready.
func startDemo(t *testing.T, dir string, args ...string) *demo {
	t.Helper()
	d := &demo{t: t, dir: dir, out: &testbin.Buffer{}, done: make(chan struct{})}
	d.cmd = exec.Command(binary, append([]string{"demo", "--data", dir}, args...)...)
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = environment(), d.out, d.out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); <-d.done })
	ready := waitFor(t.Context(), func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "fleet.json"))
		return err == nil && json.Unmarshal(b, &d.fleetJSON) == nil || d.ended()
	})
	if !ready || d.ended() {
		t.Fatalf("the demo is not ready:\n%s", d.out)
	}
	return d
}

func (d *demo) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// running counts the members of the fleet, as the system sees them: processes
// whose command line names something in the directory.
func (d *demo) running() (n int) {
	d.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(b), d.dir+"/") {
			n++
		}
	}
	return n
}

// pages are the public addresses of the edges.
func (d *demo) pages() (list []string) {
	for _, p := range d.Processes {
		if p.Public != "" {
			list = append(list, p.Public)
		}
	}
	return list
}

// operate runs a command of an operator on the fleet.
func (d *demo) operate(args ...string) (stdout, stderr string, code int) {
	s := &server{t: d.t, env: []string{"GODWIT_CONTROL=" + strings.Join(d.Control, ","), "GODWIT_JOIN_SECRET_FILE=" + filepath.Join(d.dir, "join-secret")}}
	return s.run("", args...)
}

// interrupt is Ctrl-C.
func (d *demo) interrupt() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(time.Minute):
		d.t.Fatalf("the demo does not stop:\n%s", d.out)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("the demo ended with %d:\n%s", code, d.out)
	}
	if n := d.running(); n > 0 {
		d.t.Errorf("%d processes are left", n)
	}
}

// A fleet of real processes loses a core under load, and nobody a message; the
// core comes back by its argv, and the demo stops what it started and what
// somebody else did.
func TestDemoSurvivesAKilledCore(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eight processes: 40 s")
	}
	d := startDemo(t, filepath.Join(t.TempDir(), "fleet"), "--cores", "3", "--edges", "2", "--controls", "3")
	roles := map[string]int{}
	for _, p := range d.Processes {
		roles[p.Role]++
		if p.PID == 0 || p.Admin == "" || p.Addr == "" || len(p.Argv) < 3 {
			t.Errorf("%+v is not complete", p)
		}
	}
	if roles["control"] != 3 || roles["core"] != 3 || roles["edge"] != 2 || d.running() != 8 {
		t.Errorf("%v in fleet.json, and %d processes run", roles, d.running())
	}
	// What control tells is as old as the last reports.
	var out, stderr string
	var code int
	if !waitFor(t.Context(), func() bool {
		out, stderr, code = d.operate("nodes")
		return code == 0 && strings.Count(out, " ready ") == 5 && strings.Contains(out, " leader ")
	}) {
		t.Errorf("nodes: %d %s%s", code, out, stderr)
	}

	core := d.Processes[slices.IndexFunc(d.Processes, func(p fleetProcess) bool { return p.Name == "core-1" })]
	load := exec.Command(binary, "load", "--server", strings.Join(d.pages(), ","), "--pairs", "10", "--groups", "2", "--rate", "100", "--for", "8s", "--json")
	var res, live testbin.Buffer
	load.Env, load.Stdout, load.Stderr = environment(), &res, &live
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	defer load.Process.Kill()
	if !waitFor(t.Context(), func() bool { return strings.Contains(live.String(), " acked ") }) {
		t.Fatalf("the load does not begin: %s", &live)
	}
	if err := syscall.Kill(core.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !waitFor(t.Context(), func() bool { return strings.Contains(d.out.String(), "core-1 ended") }) {
		t.Errorf("the demo does not tell that a core ended:\n%s", d.out)
	}
	again := exec.Command(core.Argv[0], core.Argv[1:]...)
	again.Env = environment()
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { _ = again.Wait(); close(gone) }()
	code = exitCode(load.Wait())
	var r report.Result
	if err := json.Unmarshal([]byte(res.String()), &r); err != nil || code != 0 || !r.Verdict.OK() || r.Verdict.Acked < 500 {
		t.Errorf("the load ended with %d, %v: %s\n%s", code, err, &res, &live)
	}
	d.interrupt()
	<-gone
}

// The same directory is the same fleet, at the same addresses.
func TestDemoStartsTheSameFleetAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes: 15 s")
	}
	dir := filepath.Join(t.TempDir(), "fleet")
	d := startDemo(t, dir, "--cores", "1", "--edges", "1", "--controls", "1")
	s := &server{t: t, url: d.pages()[0]}
	if _, stderr, code := s.run("", "send", "--as", "alice", "--to", "bob", "hello"); code != 0 {
		t.Fatalf("send: %d %s", code, stderr)
	}
	d.interrupt()
	if _, err := os.Stat(filepath.Join(dir, "fleet.json")); err == nil {
		t.Error("fleet.json is there, and no fleet")
	}
	if _, stderr, code := s.run("", "demo", "--data", dir, "--cores", "2"); code != 3 || !strings.Contains(stderr, "holds a fleet with 1 core processes, not 2") {
		t.Errorf("another fleet in the same directory: %d %s", code, stderr)
	}

	again := startDemo(t, dir, "--rm")
	if !slices.Equal(again.pages(), d.pages()) {
		t.Errorf("the page was at %v and is at %v", d.pages(), again.pages())
	}
	out, stderr, code := s.run("", "recv", "--as", "bob", "--count", "1", "--timeout", "20s")
	if code != 0 || !strings.Contains(out, "hello") {
		t.Errorf("recv: %d %s%s", code, out, stderr)
	}
	again.interrupt()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("--rm has left %s: %v", dir, err)
	}
}

// Members do not outlive a demo that is killed.
func TestKilledDemoLeavesNoProcess(t *testing.T) {
	d := startDemo(t, filepath.Join(t.TempDir(), "fleet"), "--cores", "1", "--edges", "1", "--controls", "1")
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !waitFor(t.Context(), func() bool { return d.running() == 0 }) {
		t.Errorf("%d processes outlive the demo", d.running())
	}
}

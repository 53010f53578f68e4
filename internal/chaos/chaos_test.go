package chaos

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/testbin"
)

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	if code, done := Privately(); done {
		os.Exit(code)
	}
	os.Exit(testbin.Run(m, &binary))
}

// one is a fleet of one process, which the harness itself is tested with.
func one(t *testing.T) Spec {
	return Spec{Binary: binary, Dir: t.TempDir(), Shards: 2}
}

// TestFleet is the fault list on a fleet of three cores, three control members
// and two edges, as far as it fits into the time of a test.
func TestFleet(t *testing.T) {
	network, disks, why := Able(t.TempDir())
	for _, line := range why {
		t.Log(line)
	}
	cfg := Config{
		Spec: Spec{Binary: binary, Dir: t.TempDir(), Controls: 3, Cores: 3, Edges: 2, Shards: 4, Network: network, Disks: disks},
		Seed: uint64(rand.Uint32()), For: 150 * time.Second, Rate: 200, Slow: 10 * time.Second, Say: func(line string) { t.Log(line) },
	}
	if testing.Short() {
		cfg.Only, cfg.Most = []string{"kill the leader"}, 1
	}
	rep, err := Run(t.Context(), cfg)
	t.Logf("seed %d\n%s", cfg.Seed, rep.Table())
	if err != nil {
		t.Error(err)
	}
	if len(rep.Trials) == 0 || !rep.OK() {
		t.Errorf("%d trials, not all of them fine; go run ./internal/chaos/main --seed %d repeats the schedule", len(rep.Trials), cfg.Seed)
	}
}

// A server that forgets what it acknowledged is found out: its data directory
// is replaced by an older copy of itself.
func TestForgottenMessagesAreFound(t *testing.T) {
	f, err := NewFleet(one(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	forget := Fault{Name: "forget", Inject: func(ctx context.Context, f *Fleet, _ *rand.Rand) (*wound, error) {
		p := f.Procs("")[0]
		old := p.Dir + ".old"
		p.Kill()
		if err := os.CopyFS(old, os.DirFS(p.Dir)); err != nil {
			return nil, err
		}
		if err := p.Start(); err != nil {
			return nil, err
		}
		heal := func(context.Context) error {
			p.Kill()
			if err := os.RemoveAll(p.Dir); err != nil {
				return err
			}
			if err := os.Rename(old, p.Dir); err != nil {
				return err
			}
			return p.Start()
		}
		return &wound{what: "an old copy comes back", heal: heal}, f.Ready(ctx)
	}, Hold: [2]time.Duration{2 * time.Second, 2 * time.Second}}
	tr, err := trial(t.Context(), f, &Config{Seed: 1, Rate: 100, Settle: 2 * time.Second}, []Fault{forget}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(tr.line())
	if tr.Broken[checkLost] == 0 || tr.Broken[checkHarness] != 0 {
		t.Errorf("messages were acknowledged and forgotten, and the trial found %v", tr.Broken)
	}
	if !slices.ContainsFunc(tr.Findings, func(s string) bool { return strings.Contains(s, "message_id") && strings.Contains(s, "x1-0-") }) {
		t.Errorf("no finding names a message and a user: %q", tr.Findings)
	}
}

// A process that ends by itself is found out, with the end of its log.
func TestDeathIsFound(t *testing.T) {
	f, err := NewFleet(one(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := f.Procs("")[0]
	p.args = append(p.args, "--shards", "none")
	err = f.Start(t.Context())
	if err == nil || !p.Died() || !strings.Contains(err.Error(), "serve1 has died") || !strings.Contains(err.Error(), "shards") {
		t.Errorf("a process that does not start: %v", err)
	}
}

// The same seed makes the same choices, and every fault has its turn before
// one has its second.
func TestSeedRepeatsTheSchedule(t *testing.T) {
	faults := Faults()
	schedule := func(seed uint64) (list []string) {
		for n := range 2 * len(faults) {
			f, rng := draw(seed, faults, n)
			list = append(list, fmt.Sprint(f.Name, between(rng, f.Hold[0], f.Hold[1]), rng.Uint64()))
		}
		return list
	}
	if !slices.Equal(schedule(7), schedule(7)) {
		t.Error("one seed, two schedules")
	}
	if slices.Equal(schedule(7), schedule(8)) {
		t.Error("two seeds, one schedule")
	}
	seen := map[string]bool{}
	for n := range faults {
		f, _ := draw(7, faults, n)
		if seen[f.Name] {
			t.Errorf("%q has a second turn before every other has its first", f.Name)
		}
		seen[f.Name] = true
	}
}

// What cannot be tried is said, with the reason.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	f, err := NewFleet(one(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rep := &Report{}
	possible := rep.possible(f, nil)
	if len(possible)+len(rep.LeftOut) != len(Faults()) || len(possible) < 4 {
		t.Errorf("%d can be tried and %d not, of %d", len(possible), len(rep.LeftOut), len(Faults()))
	}
	table := rep.Table()
	for _, want := range []string{"left out: kill an edge: needs a fleet of several processes", "network namespaces, which need root"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}
}

func TestWaits(t *testing.T) {
	var w waits
	w.acked(id(1), 0, time.Second)
	w.begin(10 * time.Second)
	w.acked(id(1), 9*time.Second, 500*time.Millisecond) // answered before
	w.acked(id(1), 9*time.Second, 4*time.Second)        // waited for 3 s since the fault
	w.acked(id(1), 12*time.Second, time.Second)
	w.acked(id(2), 11*time.Second, 100*time.Millisecond) // as always
	w.acked(id(3), 11*time.Second, time.Second)
	if r := w.recovery(); r.Stalled != 2 || r.Max != 3*time.Second || r.P50 != 3*time.Second {
		t.Errorf("two conversations waited, for 1 and 3 s: %+v", r)
	}
}

func TestReplicasAreCompared(t *testing.T) {
	a, b := digest{Applied: 7, Bytes: 100, Sum: "aa"}, digest{Applied: 7, Bytes: 100, Sum: "bb"}
	if text := different(map[string]digest{"core1": a, "core2": a}); text != "" {
		t.Errorf("equal ones differ: %s", text)
	}
	if text := different(map[string]digest{"core1": a, "core2": b}); !strings.Contains(text, "core2") || !strings.Contains(text, "bb") {
		t.Errorf("different ones are told as %q", text)
	}
}

// What was not synced is gone when a disk fails, what was is there when it
// comes back, and nothing is left of it in the end.
func TestDiskForgets(t *testing.T) {
	if _, able, why := Able(t.TempDir()); !able {
		t.Log("LEFT OUT: ", why)
		return
	}
	dir := filepath.Join(t.TempDir(), "disk")
	d, err := newDisk(dir+".ext4", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.unmount()
	write := func(name string, sync bool) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(name); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("synced", true)
	write("unsynced", false)
	if err := d.fail(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Create(filepath.Join(dir, "later")); err == nil {
		t.Error("a disk that has failed takes a file")
	}
	if err := d.revive(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "synced")); err != nil || !bytes.Equal(b, []byte("synced")) {
		t.Errorf("what was synced is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "unsynced")); err == nil && len(b) > 0 {
		t.Errorf("what was not synced is there: %q", b)
	}
	if err := d.fill(0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), make([]byte, 1<<20), 0o600); err == nil {
		t.Error("a full disk takes a megabyte")
	}
	if err := d.empty(); err != nil {
		t.Error(err)
	}
}

// A report is fine when nothing broke but what is known to, and says so.
func TestReportSaysWhatIsKnown(t *testing.T) {
	broken := Trial{Fault: "kill a core", Acked: 10}
	broken.broke(checkReceipt, 2, "it went back")
	rep := &Report{Trials: []Trial{{Fault: "nothing", Acked: 5}, broken}}
	if rep.OK() {
		t.Error("a broken promise passes")
	}
	rep.Known = map[string]string{checkReceipt: "the reason"}
	if !rep.OK() {
		t.Error("what is known does not pass")
	}
	rep.Trials[0].broke(checkLost, 1, "gone")
	if rep.OK() {
		t.Error("what is not known passes")
	}
	table := rep.Table()
	for _, want := range []string{"known to fail: receipt: the reason", "kill a core", "15"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}
}

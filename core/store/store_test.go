package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("data", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put commits n rows k0000.. with the given value and the applied index.
func put(t *testing.T, s *Store, id wire.ShardID, n int, value string, applied uint64) {
	t.Helper()
	b := s.NewBatch(id)
	defer b.Close()
	for i := range n {
		b.Set(fmt.Appendf(nil, "k%04d", i), []byte(value))
	}
	if err := b.Commit(applied); err != nil {
		t.Fatal(err)
	}
}

// rows returns the shard's rows as "k=v " text.
func rows(t *testing.T, s *Store, id wire.ShardID) string {
	t.Helper()
	var out strings.Builder
	err := s.NewView(id).Scan(nil, nil, false, func(k, v []byte) bool {
		fmt.Fprintf(&out, "%s=%s ", k, v)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestShardsDoNotSeeEachOther(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	put(t, s, 1, 2, "one", 7)
	put(t, s, 2, 1, "two", 8)
	put(t, s, 256, 1, "far", 9)
	if got := rows(t, s, 1); got != "k0000=one k0001=one " {
		t.Errorf("shard 1 has %q", got)
	}
	v := s.NewView(2)
	if got, ok, err := v.Get([]byte("k0000")); err != nil || !ok || string(got) != "two" {
		t.Errorf("Get = %q, %v, %v", got, ok, err)
	}
	if _, ok, _ := v.Get([]byte("k0001")); ok {
		t.Error("shard 2 sees a row of shard 1")
	}
	if a, _ := s.Applied(2); a != 8 {
		t.Errorf("Applied = %d, want 8", a)
	}
	if err := s.Drop(1); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Applied(1); a != 0 || rows(t, s, 1) != "" || rows(t, s, 2) == "" {
		t.Error("Drop removed too little or too much")
	}
}

func TestScanBoundsAndReverse(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	put(t, s, 1, 9, "v", 1)
	put(t, s, 2, 9, "v", 1)
	scan := func(lo, hi string, rev bool, limit int) (got string) {
		var upper []byte
		if hi != "" {
			upper = []byte(hi)
		}
		err := s.NewView(1).Scan([]byte(lo), upper, rev, func(k, _ []byte) bool {
			got += string(k[4:])
			return len(got) < limit
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		lo, hi string
		rev    bool
		limit  int
		want   string
	}{
		{"k0002", "k0005", false, 9, "234"},
		{"k0002", "k0005", true, 9, "432"},
		{"k0007", "", false, 9, "78"},
		{"", "", true, 3, "876"},
		{"x", "", false, 3, ""},
	} {
		if got := scan(c.lo, c.hi, c.rev, c.limit); got != c.want {
			t.Errorf("Scan(%q, %q, %v) = %q, want %q", c.lo, c.hi, c.rev, got, c.want)
		}
	}
}

// A batch ends in the same rows as its writes one by one.
func TestBatchAgainstModel(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	rapid.Check(t, func(t *rapid.T) {
		if err := s.Drop(1); err != nil {
			t.Fatal(err)
		}
		model, b := map[string]string{}, s.NewBatch(1)
		defer b.Close()
		for i := range rapid.IntRange(0, 60).Draw(t, "writes") {
			k := fmt.Sprintf("k%04d", rapid.IntRange(0, 5).Draw(t, "key"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				if err := b.Commit(uint64(i)); err != nil {
					t.Fatal(err)
				}
			case 1:
				b.Delete([]byte(k))
				delete(model, k)
			default:
				v := strings.Repeat("v", rapid.SampledFrom([]int{0, 1, 9, maxBatchMem / 2}).Draw(t, "size"))
				if _, there := model[k]; there {
					b.Set([]byte(k), []byte(v))
				} else {
					b.Create([]byte(k), []byte(v))
				}
				model[k] = v
			}
		}
		if err := b.Commit(99); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		if err := s.NewView(1).Scan(nil, nil, false, func(k, v []byte) bool {
			got[string(k)] = string(v)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, model) {
			t.Fatalf("%d rows differ from the model's %d", len(got), len(model))
		}
	})
}

// A row that comes and goes within a batch costs the store nothing; one that
// was there before goes.
func TestCreatedAndDeletedIsNotWritten(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	b := s.NewBatch(1)
	defer b.Close()
	b.Create([]byte("old"), []byte("v"))
	if err := b.Commit(1); err != nil {
		t.Fatal(err)
	}
	b.Create([]byte("new"), []byte("v"))
	b.Delete([]byte("new"))
	b.emit()
	if n := b.b.Count(); n != 0 {
		t.Errorf("%d writes for a row that came and went", n)
	}
	b.Reset()
	b.Delete([]byte("old"))
	b.Create([]byte("old"), []byte("w"))
	b.Delete([]byte("old"))
	if err := b.Commit(2); err != nil {
		t.Fatal(err)
	}
	if _, there, err := s.NewView(1).Get([]byte("old")); there || err != nil {
		t.Errorf("a deleted row is there: %v, %v", there, err)
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	b := s.NewBatch(1)
	defer b.Close()
	key, value := []byte("key-0"), []byte("value")
	write := func() {
		for i := range 10 {
			key[4] = '0' + byte(i)
			b.Set(key, value)
			b.Delete(key)
			b.Set(key, value)
		}
		b.Reset()
	}
	write()
	if n := testing.AllocsPerRun(100, write); n != 0 {
		t.Errorf("%v allocations for ten rows", n)
	}
}

func TestRefusesNewerVersion(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	if err := s.db.Set(versionKey(), []byte{0, 0, 0, 0, 0, 0, 0, Version + 1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err := Open("data", Options{FS: fs})
	var ve *VersionError
	if !errors.As(err, &ve) || ve.Found != Version+1 || ve.Know != Version {
		t.Fatalf("Open = %v, want a VersionError", err)
	}
	for _, want := range []string{"data", "version 2", "up to 1", "--data"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestRefusesSecondOwner(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Fatalf("second Open = %v, want ErrInUse", err)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	put(t, s, 1, 3, "synced", 5)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, 3, "lost", 6)
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	s.Close()

	s = open(t, after)
	defer s.Close()
	a, err := s.Applied(1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]string{5: "synced", 6: "lost"}[a]
	if got := rows(t, s, 1); want == "" || !strings.HasPrefix(got, "k0000="+want) {
		t.Errorf("index %d came back with rows %q", a, got)
	}
}

func TestSnapshotMovesAShard(t *testing.T) {
	from, to := open(t, vfs.NewMem()), open(t, vfs.NewMem())
	defer from.Close()
	defer to.Close()
	put(t, from, 3, 5000, strings.Repeat("v", 900), 42) // several chunks
	snap := from.NewSnapshot(3)
	put(t, from, 3, 1, "later", 43)
	var stream bytes.Buffer
	if err := snap.WriteTo(&stream, nil); err != nil {
		t.Fatal(err)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, to, 3, 9000, "old", 7)
	applied, err := to.Recover(3, &stream, nil)
	if err != nil || applied != 42 {
		t.Fatalf("Recover = %d, %v", applied, err)
	}
	if a, _ := to.Applied(3); a != 42 {
		t.Errorf("Applied = %d, want 42", a)
	}
	got := rows(t, to, 3)
	if n := strings.Count(got, "="); n != 5000 || strings.Contains(got, "old") || strings.Contains(got, "later") {
		t.Errorf("recovered %d rows, want the 5000 of the snapshot", n)
	}
}

// Wherever the stream ends, the shard is afterwards either empty or whole.
func TestCutSnapshotLeavesNothing(t *testing.T) {
	from := open(t, vfs.NewMem())
	defer from.Close()
	put(t, from, 3, 20, "value", 42)
	snap := from.NewSnapshot(3)
	defer snap.Close()
	var whole bytes.Buffer
	if err := snap.WriteTo(&whole, nil); err != nil {
		t.Fatal(err)
	}
	to := open(t, vfs.NewMem())
	defer to.Close()
	for cut := range whole.Len() {
		put(t, to, 3, 2, "old", 7)
		if _, err := to.Recover(3, bytes.NewReader(whole.Bytes()[:cut]), nil); err == nil {
			t.Fatalf("a stream cut at %d of %d was taken in", cut, whole.Len())
		}
		a, err := to.Applied(3)
		if err != nil {
			t.Fatal(err)
		}
		if a == 7 { // the head was not whole: nothing was begun
			continue
		}
		if a != 0 || rows(t, to, 3) != "" {
			t.Fatalf("cut at %d left index %d and rows", cut, a)
		}
	}
}

func TestCrashDuringRecoverStartsClean(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	put(t, s, 3, 50, "old", 7)
	if err := s.beginRecover(3); err != nil {
		t.Fatal(err)
	}
	put(t, s, 3, 10, "half", 7)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	s.Close()
	s = open(t, after)
	defer s.Close()
	if a, err := s.Applied(3); a != 0 || err != nil || rows(t, s, 3) != "" {
		t.Errorf("after the crash: index %d, %v, rows %q", a, err, rows(t, s, 3))
	}
}

func TestFailedWriteEndsWriting(t *testing.T) {
	broken := errors.New("no space left on device")
	on := false
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return broken
		}
		return nil
	})
	s := open(t, errorfs.Wrap(vfs.NewMem(), inj))
	put(t, s, 1, 1, "good", 1)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	on = true
	if err := s.Sync(); err == nil || !s.Failed() {
		t.Fatalf("Sync on a full disk = %v", err)
	}
	b := s.NewBatch(1)
	if err := b.Commit(2); !errors.Is(err, ErrFailed) {
		t.Errorf("Commit after a failure = %v, want ErrFailed", err)
	}
	if v, ok, err := s.NewView(1).Get([]byte("k0000")); !ok || string(v) != "good" {
		t.Errorf("reading after a failure: %q, %v", v, err)
	}
	on = false
	s.db.Close()
}

// What was written over is gone after Compact, and nothing else.
func TestCompactKeepsTheNewestOfEachRow(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	tables := func() uint64 { return s.db.Metrics().Table.Local.LiveSize }
	noise := rand.New(rand.NewPCG(1, 2))
	var once uint64 // every row once; how much lies above it Pebble decides
	for round := range uint64(4) {
		for _, id := range []wire.ShardID{1, 65535} {
			put(t, s, id, 1000, fmt.Sprintf("%x-%d", noise.Uint64(), round), round+1)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			once = tables()
		}
	}
	first, last := rows(t, s, 1), rows(t, s, 65535)
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := tables(); after > once*3/2 {
		t.Errorf("%d bytes of tables after, %d when every row was written once", after, once)
	}
	if rows(t, s, 1) != first || rows(t, s, 65535) != last {
		t.Error("a row has changed")
	}
	if a, err := s.Applied(65535); a != 4 || err != nil {
		t.Errorf("applied index %d, %v; want 4", a, err)
	}
}

// What was committed reaches the disk soon although nobody syncs it, where
// little is written and where much was.
func TestTailReachesTheDisk(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	onDisk := func() uint64 {
		t.Helper()
		crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		defer func() { _ = crashed.Close() }()
		n, err := crashed.Applied(1)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tail := func() {
		t.Helper()
		if err := s.SyncTail(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, 1, 1, "v", 7)
	if n := onDisk(); n != 0 {
		t.Fatalf("%d is on the disk at once: the test shows nothing", n)
	}
	tail()
	if n := onDisk(); n != 7 {
		t.Errorf("after a look %d is on the disk, want 7", n)
	}
	put(t, s, 1, 10, strings.Repeat("v", logBlock/10), 8)
	tail() // a full block: Pebble writes it, but not what is behind it
	put(t, s, 1, 1, "w", 9)
	tail()
	if n := onDisk(); n != 9 {
		t.Errorf("after a burst %d is on the disk, want 9", n)
	}
	put(t, s, 1, 10, strings.Repeat("v", logBlock/10), 10)
	tail()
	tail()
	if n := onDisk(); n != 10 {
		t.Errorf("when nothing came after a burst %d is on the disk, want 10", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A directory that lost the file which names the store's files is refused: it
// holds rows, and Pebble would begin anew.
func TestStoreWithoutItsMarkerIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	put(t, s, 1, 10, "v", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, fs, "marker.manifest.")
	s, err := Open("data", Options{FS: fs})
	if err == nil {
		t.Fatal("opened", s.Close())
	}
	if !strings.Contains(err.Error(), "marker.manifest") || !strings.Contains(err.Error(), "backup") {
		t.Error(err)
	}
}

func remove(t *testing.T, fs vfs.FS, prefix string) {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := fs.Remove("data/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A table whose bytes are not what was written is an error for who reads it and
// the end of writing, and no panic.
func TestDamagedTableFailsTheStore(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, 1000, "v", 1)
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	for _, name := range tables {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(b) / 2 {
			b[i] ^= 0xff
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = Open(dir, Options{}); err != nil {
		return // met at once
	}
	if err := s.NewView(1).Scan(nil, nil, false, func(_, _ []byte) bool { return true }); err == nil {
		t.Error("damaged rows were read")
	}
	if !s.Failed() {
		t.Error("the store takes writes")
	}
	_ = s.Close()
}

package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/watch"
	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mapOf(t *testing.T, epoch uint64) *shardmap.Map {
	t.Helper()
	m, err := shardmap.New(shardmap.Draft{
		Epoch: epoch, Slots: shardmap.SpreadSlots(2),
		Replicas: [][]wire.NodeID{{1}, {1}}, Nodes: []shardmap.Node{{ID: 1, LinkAddr: "10.0.0.1:7000"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOnlyForward(t *testing.T) {
	var w watch.Watcher
	if w.Current() != nil || w.Publish(nil) {
		t.Fatal("a new watcher is not empty")
	}
	two := mapOf(t, 2)
	if !w.Publish(two) || w.Publish(mapOf(t, 1)) || w.Publish(mapOf(t, 2)) || w.Current() != two {
		t.Fatalf("current is epoch %d, want the first map of epoch 2", w.Current().Epoch())
	}
}

func TestWaitWakesAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch.Watcher
		w.Publish(mapOf(t, 4))
		got := make(chan uint64, 10)
		for range 10 {
			go func() {
				m, err := w.Wait(t.Context(), 4)
				if err != nil {
					t.Error(err)
				}
				got <- m.Epoch()
			}()
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("woken without a newer map")
		}
		w.Publish(mapOf(t, 5))
		synctest.Wait()
		if len(got) != 10 {
			t.Fatalf("%d of 10 waiters woke", len(got))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Wait(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Wait after its deadline: %v", err)
		}
	})
}

func TestChangedBeforeCurrentMissesNothing(t *testing.T) {
	var w watch.Watcher
	changed := w.Changed()
	w.Publish(mapOf(t, 1))
	select {
	case <-changed:
	default:
		t.Fatal("a map was published and the channel is open")
	}
	select {
	case <-w.Changed():
		t.Fatal("closed without a change")
	default:
	}
}

func TestFileKeepsTheNewest(t *testing.T) {
	f := watch.File{Path: filepath.Join(t.TempDir(), "shardmap")}
	if m, err := f.Load(); m != nil || err != nil {
		t.Fatalf("without a file: %v, %v", m, err)
	}
	follow(t, f, func(w *watch.Watcher) { w.Publish(mapOf(t, 1)); w.Publish(mapOf(t, 3)) })
	m, err := f.Load()
	if err != nil || !m.Equal(mapOf(t, 3)) {
		t.Fatalf("kept %v, %v", m, err)
	}
	// A node that starts without control has the map, and keeps the next.
	follow(t, f, func(w *watch.Watcher) {
		if m, err := w.Wait(t.Context(), 0); err != nil || m.Epoch() != 3 {
			t.Errorf("started with %v, %v", m, err)
		}
		w.Publish(mapOf(t, 4))
	})
	if m, err := f.Load(); err != nil || m.Epoch() != 4 {
		t.Fatalf("kept %v, %v", m, err)
	}
	if left, _ := filepath.Glob(f.Path + ".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// follow runs f.Follow around do and until the file holds what do published.
func follow(t *testing.T, f watch.File, do func(*watch.Watcher)) {
	t.Helper()
	var w watch.Watcher
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Follow(ctx, &w) }()
	do(&w)
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if m, err := f.Load(); err == nil && m != nil && m.Epoch() == w.Current().Epoch() {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the map was not kept")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestFileDamaged(t *testing.T) {
	f := watch.File{Path: filepath.Join(t.TempDir(), "shardmap")}
	if err := f.Save(mapOf(t, 1)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0x10
	if err := os.WriteFile(f.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var w watch.Watcher
	if err := f.Follow(t.Context(), &w); !errors.Is(err, shardmap.ErrCorrupt) || w.Current() != nil {
		t.Fatalf("a damaged file: %v, published %v", err, w.Current())
	}
}

func TestSaveFailsWhole(t *testing.T) {
	f := watch.File{Path: filepath.Join(t.TempDir(), "no", "such", "dir")}
	if err := f.Save(mapOf(t, 1)); err == nil {
		t.Fatal("saved into a directory that is not there")
	}
}

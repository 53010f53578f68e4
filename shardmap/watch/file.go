package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/godwit-im/godwit/shardmap"
)

// File keeps the newest map in one file, so that a node which starts while
// control is away serves by the last map it knew. A map that is behind costs
// redirects; it cannot cost messages, because the shards decide who leads.
type File struct {
	// Path is the file; its directory must exist and be the node's own.
	Path string
}

// Load returns the kept map, or nil when there is no file yet. A damaged file
// is an error: whoever would rather wait for control may go on without.
func (f File) Load() (*shardmap.Map, error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch: read the kept shard map: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, shardmap.MaxEncoded+1))
	if err != nil {
		return nil, fmt.Errorf("watch: read the kept shard map: %w", err)
	}
	m, err := shardmap.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("watch: the kept shard map %s cannot be used; control will send it again once the file is removed: %w", f.Path, err)
	}
	return m, nil
}

// Save writes m so that after a crash at any moment the file holds the old map
// or m, whole. It returns when m is on the disk. One goroutine at a time.
func (f File) Save(m *shardmap.Map) error {
	if err := f.replace(m.Encode()); err != nil {
		return fmt.Errorf("watch: keep the shard map: %w", err)
	}
	return nil
}

// replace writes beside the file, syncs, renames over it and syncs the
// directory, without which the rename itself may be lost.
func (f File) replace(b []byte) error {
	next := f.Path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = errors.Join(err, file.Sync())
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, f.Path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Follow publishes the kept map to w, and from then on keeps every newer one
// that w gets. It runs until ctx ends, or returns at once when the file cannot
// be read or written; failed writes do not harm w.
func (f File) Follow(ctx context.Context, w *Watcher) error {
	var kept uint64
	m, err := f.Load()
	if err != nil {
		return err
	}
	if m != nil {
		w.Publish(m)
		kept = m.Epoch()
	}
	for {
		m, err := w.Wait(ctx, kept)
		if err != nil {
			return nil // ctx has ended
		}
		if err := f.Save(m); err != nil {
			return err
		}
		kept = m.Epoch()
	}
}

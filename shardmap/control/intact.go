package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// intact looks through the log at path, a few dozen KiB, before raft uses it.
// bbolt answers a damaged or shortened file with a panic or a memory fault,
// on whichever goroutine meets it; here it becomes an error. A file that is
// missing is intact.
func intact(path string) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("control: %s is damaged (%v); restore a backup of the data directory", path, r)
		}
	}()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("control: open %s: %w", path, err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%d bytes are missing at its end", tx.Size()-info.Size())
		}
		if err := tx.ForEach(walk); err != nil {
			return err
		}
		for bad := range tx.Check() { // that no page is free and in use
			err = errors.Join(err, bad)
		}
		return err
	})
	if err == nil { // an empty write meets what is wrong with the list of free pages
		err = db.Update(func(*bbolt.Tx) error { return nil })
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("control: %s is damaged: %w; restore a backup of the data directory", path, err)
	}
	return nil
}

// walk visits every row of a bucket; raft's have no buckets within.
func walk(name []byte, b *bbolt.Bucket) error {
	return b.ForEach(func(k, v []byte) error {
		if len(k) == 0 || v == nil {
			return fmt.Errorf("a row of %q has no key or no value", name)
		}
		return nil
	})
}

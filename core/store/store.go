package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/godwit-im/godwit/wire"
)

// ErrInUse says that another process, or another Store of this one, has the
// directory open.
var ErrInUse = errors.New("store: the data directory is in use by another process; stop it, or choose another directory with --data")

// ErrFailed says that a write failed earlier. The store takes no more writes
// until the process is started again; what it holds can still be read.
var ErrFailed = errors.New("store: a write failed before; free space on the disk or replace it, then restart the process")

// VersionError says that the directory was written by a newer build.
type VersionError struct {
	Dir         string
	Found, Know uint64
}

// Error names both versions and what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("store: %s has format version %d, this build knows versions up to %d; run a newer godwit on it, or choose another directory with --data", e.Dir, e.Found, e.Know)
}

// Options are what a caller may choose; the zero value is right for a server.
type Options struct {
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Log receives Pebble's complaints; nil discards them.
	Log *slog.Logger
}

// Store is the open store of one node.
type Store struct {
	db     *pebble.DB
	dir    string
	fresh  bool // Open made it
	failed atomic.Bool
	wrote  atomic.Int64 // bytes committed since the last look of SyncTail
	tail   atomic.Bool  // of what was committed before, an end may be in memory only
}

// Open opens the store in dir, which is created when missing.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: cannot create %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, lockError(dir, err)
	}
	if err := checkWhole(o.FS, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s := &Store{dir: dir}
	s.db, err = pebble.Open(dir, s.options(&o, lock))
	// Pebble has its own reference by now, or has failed.
	if lerr := lock.Close(); err == nil {
		err = lerr
	}
	if err != nil {
		if strings.Contains(err.Error(), "format major version") {
			return nil, fmt.Errorf("store: %s was written by a newer Pebble than this build has; run a newer godwit on it, or choose another directory with --data: %w", dir, err)
		}
		return nil, fmt.Errorf("store: cannot open %s: %w", dir, err)
	}
	if err := s.checkVersion(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// checkWhole refuses a directory that holds rows and not the file that says
// which of its files are in use: Pebble would begin a new store in it.
func checkWhole(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("store: cannot read %s: %w", dir, err)
	}
	rows, marked := "", false
	for _, name := range names {
		switch filepath.Ext(name) {
		case ".sst", ".log":
			rows = name
		}
		marked = marked || strings.HasPrefix(name, "marker.manifest.")
	}
	if rows != "" && !marked {
		return fmt.Errorf("store: %s holds rows (%s) but no file marker.manifest.*: files were removed; restore the whole data directory from a backup", dir, rows)
	}
	return nil
}

func lockError(dir string, err error) error {
	held := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EWOULDBLOCK) ||
		strings.Contains(err.Error(), "lock held by current process")
	if held && !errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("%w (%s)", ErrInUse, filepath.Clean(dir))
	}
	return fmt.Errorf("store: cannot lock %s: %w", dir, err)
}

func (s *Store) options(o *Options, lock *pebble.Lock) *pebble.Options {
	l := &logger{log: o.Log, store: s}
	po := &pebble.Options{
		FS:                          o.FS,
		Lock:                        lock,
		FormatMajorVersion:          formatMajor,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memTables,
		CacheSize:                   blockCache,
		MaxOpenFiles:                openFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, compactors },
		Logger:                      l,
		EventListener:               &pebble.EventListener{DataCorruption: l.damaged},
	}
	po.TargetFileSizes[0] = tableSize
	for i := range po.Levels {
		po.Levels[i].BlockSize = blockSize
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
	}
	// Cheap compression where data is rewritten soon, zstd where it stays.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	return po
}

// checkVersion reads the version row, and writes it into a new store.
func (s *Store) checkVersion() error {
	v, ok, err := s.number(versionKey())
	if err != nil {
		return err
	}
	if !ok {
		s.fresh = true
		return s.db.Set(versionKey(), binary.BigEndian.AppendUint64(nil, Version), pebble.Sync)
	}
	if v > Version {
		return &VersionError{Dir: s.dir, Found: v, Know: Version}
	}
	return nil
}

// number reads a row that holds one u64be.
func (s *Store) number(key []byte) (v uint64, ok bool, err error) {
	b, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("store: reading: %w", err)
	}
	defer closer.Close()
	if len(b) != 8 {
		return 0, false, fmt.Errorf("store: the row %x of %s is damaged; restore the directory from a backup or remove it and let the replica be rebuilt", key, s.dir)
	}
	return binary.BigEndian.Uint64(b), true, nil
}

// Sync makes everything committed so far survive a power failure.
func (s *Store) Sync() error {
	return s.write(func() error { return s.db.LogData(nil, pebble.Sync) })
}

// SyncTail bounds how old a commit may be that would not survive the process:
// Pebble keeps the end of its log in memory until a block of it is full, which
// takes hours where little is said. Called at intervals, it syncs what has not
// grown into a full block since the last call. A store that is written to
// faster than that is left alone.
func (s *Store) SyncTail() error {
	switch n := s.wrote.Swap(0); {
	case n >= logBlock:
		s.tail.Store(true)
		return nil
	case n == 0 && !s.tail.Load():
		return nil
	}
	s.tail.Store(false)
	return s.Sync()
}

// Failed reports whether a write has failed; see ErrFailed.
func (s *Store) Failed() bool { return s.failed.Load() }

// Metrics returns Pebble's own numbers.
func (s *Store) Metrics() *pebble.Metrics { return s.db.Metrics() }

// Close flushes and closes the store. Every View, Batch and Snapshot must be
// done with. A store that has failed is abandoned instead: Pebble would wait
// for the write that cannot be.
func (s *Store) Close() error {
	if s.failed.Load() {
		return ErrFailed
	}
	return s.db.Close()
}

// write runs fn, which writes. Pebble panics when its log cannot be written:
// here that is an error, and the end of writing.
func (s *Store) write(fn func() error) (err error) {
	if s.failed.Load() {
		return ErrFailed
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: writing: %v", p)
		}
		if err != nil {
			s.failed.Store(true)
		}
	}()
	return fn()
}

func versionKey() []byte { return []byte{0, 0, 0, 0, 'v'} }

func appliedKey(id wire.ShardID) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 'a'}, uint32(id))
}

func recoveringKey(id wire.ShardID) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 'r'}, uint32(id))
}

// prefixLen is the length of the shard's number before each key.
const prefixLen = 4

func shardPrefix(id wire.ShardID) [prefixLen]byte {
	return [prefixLen]byte(binary.BigEndian.AppendUint32(nil, uint32(id)))
}

// logger passes Pebble's complaints on and drops its chatter.
type logger struct {
	log   *slog.Logger
	store *Store
}

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) {
	l.log.Warn("store", "pebble", fmt.Sprintf(format, args...))
}

// damaged is told of a file that does not hold what was written. Whoever reads
// of it gets an error, and the store takes no more writes.
func (l *logger) damaged(info pebble.DataCorruptionInfo) {
	if !l.store.failed.Swap(true) {
		l.log.Error("store: a file is damaged, and this node goes out of service; restore the data directory from a backup, or let the node join anew where others hold its shards",
			"file", info.Path, "err", fmt.Sprint(info.Details))
	}
}

// Fatalf must not return. On the goroutine of a write the panic is caught by
// write; on one of Pebble's own it ends the process, which is the only safe
// answer there: the directory stays as the last sync left it.
func (l *logger) Fatalf(format string, args ...any) {
	l.store.failed.Store(true)
	said := fmt.Sprintf(format, args...)
	if strings.Contains(said, "corruption") {
		l.log.Error("store: a file is damaged; restore the data directory from a backup, or remove it where other nodes hold its shards", "pebble", said)
		panic("store: " + said)
	}
	l.log.Error("store: the disk cannot be written; free space or replace it, then start again", "pebble", said)
	panic("store: " + said)
}

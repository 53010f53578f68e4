package process

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/internal/fault"
)

// DataFormat is the number of the layout of a data directory. It grows when an
// older program could not read what a newer one writes.
const DataFormat = 1

// The files of a data directory. Beside them stand control/ and core/, and what
// shardmap/member keeps.
const (
	lockFile    = "LOCK"    // held with flock; its text is the owner's process id
	versionFile = "VERSION" // DataFormat, in digits
	secretFile  = "dev-secret"
	newSuffix   = ".new" // while one of them is being written
)

// Data is an open data directory. It belongs to this process until Close.
type Data struct {
	path string
	lock *os.File
}

// ours are the names that godwit makes in a data directory, and the one that
// is in every new file system.
var ours = [...]string{lockFile, versionFile, versionFile + newSuffix, secretFile, secretFile + newSuffix, "control", "core", "lost+found",
	"node.json", "node.json" + newSuffix, "shardmap.bin", "shardmap.bin" + newSuffix}

// OpenData makes path when it is missing, locks it and checks its format. It
// writes nothing into a directory that holds something else.
// Errors are DataForeign, DataInUse, DataTooNew, DataBroken and DataNotWritable.
func OpenData(path string) (*Data, error) {
	return OpenDir(path, func(name string) bool { return slices.Contains(ours[:], name) })
}

// OpenDir is OpenData for a directory in which other names are godwit's: a
// directory without VERSION that holds a name which ours does not know is
// somebody else's.
func OpenDir(path string, ours func(name string) bool) (*Data, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return nil, notWritable(err)
	}
	if err := checkForeign(path, ours); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, notWritable(err)
	}
	d := &Data{path: path, lock: lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := os.ReadFile(lock.Name())
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fault.New(fault.DataInUse, "%s, by process %s", path, strings.TrimSpace(string(pid)))
		}
		return nil, notWritable(err)
	}
	if err := errors.Join(d.checkFormat(), d.sign()); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// sign writes this process's id into the lock, for the message to the next.
func (d *Data) sign() error {
	err := d.lock.Truncate(0)
	if err == nil {
		_, err = d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return notWritable(err)
	}
	return nil
}

// checkForeign refuses a directory with files in it that was never a data
// directory: one without the number of a format in VERSION.
func checkForeign(path string, ours func(string) bool) error {
	if _, err := readFormat(path); err == nil {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return notWritable(err)
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return fault.New(fault.DataForeign, "%s holds %q", path, e.Name())
		}
	}
	return nil
}

// errNoFormat says that VERSION is there and holds no number.
var errNoFormat = errors.New("does not hold the number of a format")

// readFormat returns the number in VERSION.
func readFormat(path string) (int, error) {
	b, err := os.ReadFile(filepath.Join(path, versionFile))
	if err != nil {
		return 0, err
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || format < 1 {
		return 0, errNoFormat
	}
	return format, nil
}

func (d *Data) checkFormat() error {
	name := filepath.Join(d.path, versionFile)
	format, err := readFormat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := WriteFile(name, fmt.Appendf(nil, "%d\n", DataFormat)); err != nil {
			return notWritable(err)
		}
		return nil
	}
	switch {
	case errors.Is(err, errNoFormat):
		return fault.New(fault.DataBroken, "%s %w", name, err).Advise("name a directory that godwit made, or an empty one")
	case err != nil:
		return notWritable(err)
	case format > DataFormat:
		return fault.New(fault.DataTooNew, "%s has format %d, this program knows %d", d.path, format, DataFormat)
	}
	return nil
}

// DevSecret returns the secret for tokens of development, made at first use.
func (d *Data) DevSecret() ([]byte, error) { return d.Secret(secretFile) }

// Secret returns the secret in a file of the directory, made at first use: 43
// letters and signs that a header can carry.
func (d *Data) Secret(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if !errors.Is(err, fs.ErrNotExist) {
		return []byte(strings.TrimSpace(string(b))), err
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	text := base64.RawURLEncoding.EncodeToString(random[:])
	if err := WriteFile(filepath.Join(d.path, name), []byte(text+"\n")); err != nil {
		return nil, notWritable(err)
	}
	return []byte(text), nil
}

// ShareDevSecret gives a data directory that is to be made the secret of
// another, so that each takes the tokens of the other. One that it has stays.
func ShareDevSecret(path string, secret []byte) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return notWritable(err)
	}
	name := filepath.Join(path, secretFile)
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := WriteFile(name, append(secret, '\n')); err != nil {
		return notWritable(err)
	}
	return nil
}

// Owner returns the process that has a data directory open, 0 when none has.
func Owner(path string) (pid int) {
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return 0
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return 0
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 2 {
		return 0
	}
	return pid
}

// DevSecret returns the development secret of a server's data directory. The
// error is fs.ErrNotExist when the server has none.
func DevSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(path, secretFile))
	return []byte(strings.TrimSpace(string(b))), err
}

// WriteFile writes a small file as a whole: after a crash it is there or not.
func WriteFile(name string, b []byte) error {
	tmp := name + newSuffix
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func notWritable(err error) error { return fault.New(fault.DataNotWritable, "%w", err) }

// Close gives the directory free.
func (d *Data) Close() { d.lock.Close() }

// Path is the directory, absolute.
func (d *Data) Path() string { return d.path }

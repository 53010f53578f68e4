package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// diskSize is the size of a core's disk: several times the free space below
// which a core takes no more writes.
const diskSize = 1 << 30

// disk is the file system of one process's data directory: ext4 in a file, so
// that it can be full, hang or fail without any other noticing.
type disk struct {
	image string
	dir   string
}

// newDisk makes and mounts the disk at dir.
func newDisk(image, dir string) (*disk, error) {
	d := &disk{image: image, dir: dir}
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close(), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	if err := command("mkfs.ext4", "-q", "-F", "-m", "0", image); err != nil {
		return nil, err
	}
	return d, d.mount()
}

func (d *disk) mount() error { return command("mount", "-o", "loop,errors=remount-ro", d.image, d.dir) }

// unmount gives the disk up, whoever still uses it.
func (d *disk) unmount() error {
	if err := command("umount", d.dir); err != nil {
		return errors.Join(err, unix.Unmount(d.dir, unix.MNT_DETACH))
	}
	return nil
}

// ballast is the file that fills a disk.
func (d *disk) ballast() string { return filepath.Join(d.dir, "lost+found", "ballast") }

// fill leaves only so many bytes free.
func (d *disk) fill(leave uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return err
	}
	free := st.Bavail * uint64(st.Bsize)
	if free <= leave {
		return nil
	}
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Fallocate(int(f.Fd()), 0, 0, int64(free-leave))
	if errors.Is(err, unix.ENOSPC) {
		return nil // somebody else took the rest
	}
	return err
}

// empty takes the ballast away.
func (d *disk) empty() error {
	if err := os.Remove(d.ballast()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// The requests that stop and resume all writing to a file system (linux/fs.h).
const (
	fiFreeze = 0xC0045877
	fiThaw   = 0xC0045878
)

// freeze makes every write and sync wait until thaw.
func (d *disk) freeze() error { return d.ioctl(fiFreeze) }

func (d *disk) thaw() error { return d.ioctl(fiThaw) }

func (d *disk) ioctl(request uint) error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetInt(int(f.Fd()), request, 0)
}

// The request that ends all work of a file system at once (linux/ext4.h), and
// what it is to do with what is not on the disk yet: nothing.
const (
	ext4Shutdown = 0x8004587D
	noLogFlush   = 2
)

// fail makes every later read and write an I/O error, as a disk that has died
// does, and forgets what was not synced.
func (d *disk) fail() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("chaos: failing %s: %w", d.dir, errno)
	}
	return nil
}

// revive mounts a disk that failed again. Nobody may use it.
func (d *disk) revive() error {
	if err := command("umount", d.dir); err != nil {
		return err
	}
	return d.mount()
}

// command runs a program of the system to its end.
func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("chaos: %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// privateMark is set in the environment of a harness that has mounts of its
// own.
const privateMark = "GODWIT_CHAOS_PRIVATE"

// Privately runs this program again in a mount namespace of its own, so that
// the disks of a fleet are gone with it, whatever ends it. done is false where
// that is already so, or without root; else code is how it ended.
func Privately() (code int, done bool) {
	if os.Getuid() != 0 || os.Getenv(privateMark) != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), privateMark+"=1")
	// Signals of a terminal reach both; this one waits for the other to clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return 0, false // the kernel does not want to: disks are left out
	}
	stop := forward(cmd.Process)
	defer stop()
	_ = cmd.Wait() // its exit code says it
	return cmd.ProcessState.ExitCode(), true
}

// private reports whether the harness has mounts of its own.
func private() bool { return os.Getuid() == 0 && os.Getenv(privateMark) != "" }

// forward passes the signals that end a program on to p, until stop.
func forward(p *os.Process) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer close(done)
		for s := range signals {
			_ = p.Signal(s) // it may have ended
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

// server is a `godwit serve` of our own, on loopback and a fresh directory.
type server struct {
	cmd           *exec.Cmd
	signIn        *client.DevSignIn
	dir           string
	public, admin string
	log           tail // what it printed, for the report of a failure
	done          chan error
}

// tailMax is how much of what a server printed is kept: its last words.
const tailMax = 64 << 10

// tail keeps the last tailMax bytes that were written to it. It is safe for
// concurrent use: a process writes while a failure is reported.
type tail struct {
	mu sync.Mutex
	b  []byte // at most 2*tailMax, so that few writes move it
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p[max(len(p)-tailMax, 0):]...)
	if len(t.b) > 2*tailMax {
		t.b = append(t.b[:0], t.b[len(t.b)-tailMax:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b[max(len(t.b)-tailMax, 0):])
}

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// startServer starts the binary and waits until it is ready.
func startServer(ctx context.Context, opt *Options, args ...string) (*server, error) {
	dir, err := os.MkdirTemp(opt.Dir, "serve-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, done: make(chan error, 1)}
	if s.public, err = freeAddr(); err != nil {
		return nil, err
	}
	if s.admin, err = freeAddr(); err != nil {
		return nil, err
	}
	if s.signIn, err = client.NewDevSignIn(client.Config{URL: "http://" + s.public}); err != nil {
		return nil, err
	}
	return s, s.start(ctx, opt.Binary, args...)
}

func (s *server) start(ctx context.Context, binary string, args ...string) error {
	args = append([]string{"serve", "--data", filepath.Join(s.dir, "data"), "--listen", s.public, "--admin", s.admin, "--send-rate", "0"}, args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() { s.done <- s.cmd.Wait() }()
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case err := <-s.done:
			return fmt.Errorf("the server ended at once (%v): %s", err, s.log.String())
		case <-ctx.Done():
			s.stop()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := s.get(ctx, "/readyz"); err == nil {
			return nil
		}
	}
	s.stop()
	return fmt.Errorf("the server was not ready after %v: %s", startTimeout, s.log.String())
}

// stop ends the server in good order, or by force when that takes too long.
func (s *server) stop() {
	s.signIn.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// close stops the server and removes its directory.
func (s *server) close() {
	s.stop()
	os.RemoveAll(s.dir)
}

func (s *server) ws() string { return "ws://" + s.public + "/ws" }

func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	return s.do(ctx, http.MethodGet, "http://"+s.admin+path, nil)
}

func (s *server) do(ctx context.Context, method, url string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, url, resp.Status, b)
	}
	return b, err
}

// token signs a user in by the server's development sign-in.
func (s *server) token(ctx context.Context, u wire.UserID) (string, error) {
	token, _, err := s.signIn.Token(ctx, u, "")
	return token, err
}

// cpu returns the processor time that the server has used.
func (s *server) cpu() (time.Duration, error) { return processCPU(s.cmd.Process.Pid) }

// userHZ is the unit of /proc/PID/stat on every Linux platform that Go runs on.
const userHZ = 100

func processCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(b, []byte(") "))
	f := strings.Fields(string(rest))
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat cannot be read", pid)
	}
	var ticks int64
	for _, s := range f[11:13] { // utime, stime: proc(5), fields 14 and 15
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}

// resident returns the server's resident set in bytes.
func (s *server) resident() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var size, pages float64
	_, err = fmt.Sscan(string(b), &size, &pages)
	return pages * float64(os.Getpagesize()), err
}

// diskUsage adds up the blocks of the files under dir whose names end in
// suffix.
func diskUsage(dir, suffix string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, suffix) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return bytes, err
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

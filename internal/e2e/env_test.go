package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/testbin"
)

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testbin.Run(m, &binary))
}

// server is a `godwit serve` that keeps its directory and address across
// restarts.
type server struct {
	t      *testing.T
	data   string
	listen string
	url    string
	admin  string
	extra  []string // arguments of serve
	env    []string // of run, beside GODWIT_SERVER
	cmd    *exec.Cmd
	log    *testbin.Buffer
}

func newServer(t *testing.T, extra ...string) *server {
	s := &server{t: t, data: t.TempDir(), listen: "127.0.0.1:0", extra: extra, log: &testbin.Buffer{}}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log)
		}
	})
	s.start()
	return s
}

// start starts the process and waits until it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	args := []string{"serve", "--data", s.data, "--listen", s.listen, "--admin", "127.0.0.1:0", "--shards", "4"}
	s.cmd = exec.Command(binary, append(args, s.extra...)...)
	s.cmd.Env = environment()
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	urls := make(chan string, 2) // page, admin
	go func() {
		defer close(urls)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if f := strings.Fields(lines.Text()); len(f) > 1 && (f[0] == "page" || f[0] == "admin") {
				urls <- strings.TrimSuffix(f[1], "/")
			}
		}
	}()
	select {
	case url, ok := <-urls:
		if !ok {
			s.t.Fatal("the server ended before it was ready")
		}
		_, s.listen, _ = strings.Cut(url, "://")
		s.url, s.admin = url, <-urls
	case <-time.After(time.Minute):
		s.t.Fatal("the server is not ready after a minute")
	}
}

// kill is kill -9.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
}

// terminate asks the server to stop and returns its exit code.
func (s *server) terminate() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	return exitCode(s.cmd.Wait())
}

// connect signs in with the SDK.
func (s *server) connect(user client.UserID) *client.Client {
	s.t.Helper()
	token, _, err := client.DevToken(s.t.Context(), s.url, user, "")
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Connect(s.t.Context(), client.Config{URL: s.url, Token: token, BackoffMax: 500 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// run runs another command of the binary against the server.
func (s *server) run(stdin string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(append(environment(), "GODWIT_SERVER="+s.url), s.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	code = exitCode(cmd.Run())
	return out.String(), errs.String(), code
}

// environment is the test's own without settings of godwit.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

func exitCode(err error) int {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

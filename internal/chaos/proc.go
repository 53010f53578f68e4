package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is what a process gets between SIGTERM and SIGKILL; it promises
// to stop within ten seconds.
const stopTimeout = 15 * time.Second

// Proc is one process of a fleet, which keeps its name, addresses and directory
// over its restarts. Its methods are safe for concurrent use; starting and
// ending it is one at a time.
type Proc struct {
	// Set when the fleet is made.
	Name string // such as core2
	Role string // control, core, edge, or serve: all of them
	Host string // IP address that it alone listens on
	Dir  string // data directory
	args []string
	env  []string
	bin  string
	logs string     // file that its output is added to
	ns   *namespace // nil: the harness's own network
	disk *disk      // nil: a directory like any

	change sync.Mutex // held while it is started or ended
	mu     struct {
		sync.Mutex
		life   *life
		paused bool
	}
}

// life is one run of a process.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{}
	asked bool // the harness ended it, or wants it to end; guarded by Proc.mu
}

// Start starts the process with its arguments and more; it must not run.
func (p *Proc) Start(more ...string) error {
	p.change.Lock()
	defer p.change.Unlock()
	if p.Running() {
		return fmt.Errorf("chaos: %s runs already", p.Name)
	}
	log, err := os.OpenFile(p.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.bin, slices.Concat(p.args, more)...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = p.env, log, log, os.TempDir()
	// It dies with the harness, whatever ends that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.ns.do(cmd.Start); err != nil {
		return fmt.Errorf("chaos: starting %s: %w", p.Name, err)
	}
	l := &life{cmd: cmd, ended: make(chan struct{})}
	p.mu.Lock()
	p.mu.life, p.mu.paused = l, false
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(l.ended)
	}()
	return nil
}

// Running reports whether the process runs; a paused one does.
func (p *Proc) Running() bool {
	l := p.life()
	if l == nil {
		return false
	}
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// Died reports whether the process ended and nobody had asked it to.
func (p *Proc) Died() bool {
	if p.Running() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.life != nil && !p.mu.life.asked
}

// Kill is kill -9; it returns when the process is gone.
func (p *Proc) Kill() {
	p.change.Lock()
	defer p.change.Unlock()
	if l := p.end(); l != nil {
		_ = l.cmd.Process.Kill() // it may have ended
		<-l.ended
	}
}

// Stop asks the process to end and kills it when it does not in time, which is
// an error.
func (p *Proc) Stop() error {
	p.change.Lock()
	defer p.change.Unlock()
	l := p.end()
	if l == nil {
		return nil
	}
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-l.ended:
		return nil
	case <-time.After(stopTimeout):
		_ = l.cmd.Process.Kill()
		<-l.ended
		return fmt.Errorf("chaos: %s did not stop within %s of SIGTERM", p.Name, stopTimeout)
	}
}

// end returns the life that is to end, nil when there is none.
func (p *Proc) end() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.life != nil {
		p.mu.life.asked = true
	}
	return p.mu.life
}

// Pause is SIGSTOP, Resume SIGCONT.
func (p *Proc) Pause() error { return p.signal(syscall.SIGSTOP, true) }

// Resume lets a paused process go on.
func (p *Proc) Resume() error { return p.signal(syscall.SIGCONT, false) }

func (p *Proc) signal(sig syscall.Signal, paused bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.life == nil {
		return errors.New("chaos: " + p.Name + " does not run")
	}
	p.mu.paused = paused
	return p.mu.life.cmd.Process.Signal(sig)
}

func (p *Proc) life() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.life
}

// Pid returns the process id of the newest life, 0 before the first.
func (p *Proc) Pid() int {
	if l := p.life(); l != nil {
		return l.cmd.Process.Pid
	}
	return 0
}

// logTail is how much of a log a report shows.
const logTail = 2 << 10

// Tail returns the last lines that the process wrote.
func (p *Proc) Tail() string {
	f, err := os.Open(p.logs)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(0, info.Size()-logTail)
	b, _ := io.ReadAll(io.NewSectionReader(f, from, logTail)) // what could be read
	if _, rest, ok := bytes.Cut(b, []byte("\n")); ok && from > 0 {
		b = rest
	}
	return string(b)
}

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// demo is one run.
type demo struct {
	cfg   Config
	fleet *Fleet
	kids  []*child
}

// child is a process that this one has started.
type child struct {
	m    *Member
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of its end, set before done is closed
}

// Times of a demo.
const (
	// readyWithin bounds the start of a fleet, also one that has to replay.
	readyWithin = 2 * time.Minute
	askEvery    = 50 * time.Millisecond
	askWithin   = time.Second
	// stopWithin is a little more than what a member allows itself.
	stopWithin = process.StopTimeout + 3*time.Second
)

// run starts the members and waits for the end of ctx, or of all of them. The
// goroutine keeps its thread: the system ends the children with the thread that
// started them.
func (d *demo) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	d.say("starting %s in %s\n", d.count(), d.cfg.Dir)
	for i := range d.fleet.Processes {
		if err := d.start(&d.fleet.Processes[i]); err != nil {
			return errors.Join(err, d.stop())
		}
	}
	if err := d.ready(ctx, began); err != nil {
		return errors.Join(err, d.stop())
	}
	if err := d.save(fleetFile); err != nil {
		return errors.Join(err, d.stop())
	}
	d.tips(time.Since(began))
	d.watch(ctx)
	d.say("\nstopping %d processes\n", len(d.kids))
	err := d.stop()
	_ = os.Remove(d.path(fleetFile)) // it says who runs; the next start removes it too
	return err
}

// start starts one member.
func (d *demo) start(m *Member) error {
	log, err := os.OpenFile(m.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fault.New(fault.DataNotWritable, "%w", err)
	}
	defer log.Close()
	cmd := exec.Command(m.Argv[0], m.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = environment()
	// A group of its own, so that Ctrl-C reaches the demo alone, which then stops
	// the members in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fault.New(fault.StartFailed, "%s: %w", m.Name, err)
	}
	m.PID = cmd.Process.Pid
	c := &child{m: m, cmd: cmd, done: make(chan struct{})}
	d.kids = append(d.kids, c)
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return nil
}

// environment is this process's own, without settings: a member is what its
// argv says.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

// ready waits until every member says that it is.
func (d *demo) ready(ctx context.Context, began time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("not ready in time"))
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	waiting := slices.Clone(d.kids)
	said := map[string]string{}
	for len(waiting) > 0 {
		waiting = slices.DeleteFunc(waiting, func(c *child) bool {
			why := ask(ctx, c.m.Admin)
			said[c.m.Name] = why
			if why == "" {
				d.say("  %-10s ready after %.1f s\n", c.m.Name, time.Since(began).Seconds())
			}
			return why == ""
		})
		for _, c := range d.kids {
			select {
			case <-c.done:
				return fault.New(fault.StartFailed, "%s ended (%v): %s", c.m.Name, c.err, lastLine(c.m.Log)).Advise("see %s", c.m.Log)
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return fault.New(fault.Interrupted, "while starting")
			}
			return fault.New(fault.StartFailed, "%s is not ready after %v: %s", waiting[0].m.Name, readyWithin, said[waiting[0].m.Name]).Advise("see %s", waiting[0].m.Log)
		}
	}
	return nil
}

// ask returns why a member is not ready, empty when it is.
func ask(ctx context.Context, admin string) string {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "it does not answer yet"
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what came is shown
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\n", "; "))
}

// lastLine returns the last line of a log, at most its last KiB.
func lastLine(name string) string {
	const tail = 1 << 10
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	b = bytes.TrimSpace(b[max(0, len(b)-tail):])
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

// watch tells when a member ends, and returns with ctx.
func (d *demo) watch(ctx context.Context) {
	ended := make(chan *child, len(d.kids))
	for _, c := range d.kids {
		go func() {
			<-c.done
			ended <- c
		}()
	}
	for {
		select {
		case c := <-ended:
			if ctx.Err() == nil {
				d.say("%s ended (%s). Start it again with:\n  %s\n", c.m.Name, how(c.err), strings.Join(c.m.Argv, " "))
			}
		case <-ctx.Done():
			return
		}
	}
}

func how(err error) string {
	if err == nil {
		return "as asked"
	}
	return err.Error()
}

// stop ends every member: edges first, who tell their clients, control last.
func (d *demo) stop() error {
	var left []string
	for _, role := range []fleet.Role{fleet.Edge, fleet.Core, fleet.Control} {
		deadline := time.Now().Add(stopWithin)
		var pids []int
		for i := range d.fleet.Processes {
			if m := &d.fleet.Processes[i]; m.Role == role {
				if pid := d.running(m); pid != 0 {
					_ = syscall.Kill(pid, syscall.SIGTERM) // it may be ending
					_ = syscall.Kill(pid, syscall.SIGCONT) // it may be stopped
					pids = append(pids, pid)
				}
			}
		}
		for _, pid := range pids {
			if !d.gone(pid, deadline) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				if !d.gone(pid, time.Now().Add(time.Second)) {
					left = append(left, fmt.Sprint(pid))
				}
			}
		}
	}
	if left != nil {
		return fault.New(fault.StopTooSlow, "process %s is still there", strings.Join(left, ", "))
	}
	return nil
}

// running returns the process that is member m now, 0 when none is: the one that
// was started here, or one that somebody started in its place.
func (d *demo) running(m *Member) int {
	for _, c := range d.kids {
		if c.m != m {
			continue
		}
		select {
		case <-c.done:
		default:
			return m.PID
		}
	}
	return process.Owner(m.Data)
}

// gone waits until a process has ended.
func (d *demo) gone(pid int, deadline time.Time) bool {
	for _, c := range d.kids {
		if c.cmd.Process.Pid == pid {
			select {
			case <-c.done:
				return true
			case <-time.After(time.Until(deadline)):
				return false
			}
		}
	}
	for syscall.Kill(pid, 0) == nil {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(askEvery)
	}
	return true
}

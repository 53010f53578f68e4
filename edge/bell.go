package edge

import (
	"fmt"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// bell is a socket pair, one end of which lives on a loop for as long as the
// loop does: gnet hands out an EventLoop, by which other goroutines get work
// onto it, only with a connection.
type bell struct{ far net.Conn }

// ring enrols a bell on l and sets l.el.
func ring(l *loop) (*bell, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("edge: cannot make a socket pair: %w; raise the descriptor limit (ulimit -n)", err)
	}
	near, err := fileConn(fds[0])
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, err
	}
	far, err := fileConn(fds[1])
	if err != nil {
		_ = near.Close()
		return nil, err
	}
	gc, err := l.client.EnrollContext(near, nil)
	if err != nil {
		_ = far.Close()
		return nil, fmt.Errorf("edge: cannot reach an event loop: %w", err)
	}
	l.el = gc.EventLoop()
	return &bell{far: far}, nil
}

func (b *bell) close() { _ = b.far.Close() }

// fileConn makes a net.Conn of fd, which it takes over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "bell")
	c, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("edge: cannot use a socket pair: %w", err)
	}
	return c, nil
}

// gnetLog passes what gnet has to say to the edge's log. Its Fatalf does not
// end the process.
type gnetLog struct{ log *slog.Logger }

func (g gnetLog) Debugf(format string, args ...any) {
	g.log.Debug("gnet: " + fmt.Sprintf(format, args...))
}
func (g gnetLog) Infof(format string, args ...any) {
	g.log.Debug("gnet: " + fmt.Sprintf(format, args...))
}
func (g gnetLog) Warnf(format string, args ...any) {
	g.log.Warn("gnet: " + fmt.Sprintf(format, args...))
}

// Errorf is what gnet also calls when there is no error.
func (g gnetLog) Errorf(format string, args ...any) {
	g.log.Error("gnet: " + fmt.Sprintf(format, args...))
}
func (g gnetLog) Fatalf(format string, args ...any) {
	g.log.Error("gnet: " + fmt.Sprintf(format, args...))
}

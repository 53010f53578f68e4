package core

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/lni/dragonboat/v4/logger"
)

// dragonboat panics when it cannot use its files, on whichever goroutine meets
// the damage. On one of ours that is an error of what we asked (see guarded);
// on one of its own the node goes out of service (see raftLog.Panicf).

// guarded runs fn, which asks dragonboat something about its files.
func (n *Node) guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("core: reading the Raft log in %s: %s; restore the directory from a backup", n.raftDir(), firstLine(fmt.Sprint(p)))
		}
	}()
	return fn()
}

// firstLine returns what happened without the stack that follows it.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// breaks takes the node out of service because Raft cannot go on.
func (n *Node) breaks(why string) {
	if !n.broken.CompareAndSwap(nil, &why) {
		return
	}
	err := errors.New("core: the Raft log cannot be used: " + why)
	for _, r := range n.all() {
		r.fail(err)
	}
}

// errAbandoned is the error of Close of a node whose Raft side hangs.
var errAbandoned = errors.New("core: the Raft log could not be used, so it was left as it is")

// raftLog is dragonboat's logger, of which a process has one.
type raftLog struct {
	node *Node // the first of the process
	log  *slog.Logger
}

var _ logger.ILogger = raftLog{}

func (raftLog) SetLevel(logger.LogLevel) {}
func (raftLog) Debugf(string, ...any)    {}
func (raftLog) Infof(string, ...any)     {}

func (l raftLog) Warningf(f string, a ...any) { l.log.Debug(fmt.Sprintf(f, a...)) }
func (l raftLog) Errorf(f string, a ...any)   { l.log.Warn(fmt.Sprintf(f, a...)) }

// Panicf is called when dragonboat cannot go on and must not return. A
// goroutine of dragonboat's own stands still until the node closes: to the
// group that is a node which has become very slow, whatever it was in the
// middle of, and the process can still say what has happened.
func (l raftLog) Panicf(f string, a ...any) {
	said := fmt.Sprintf(f, a...)
	l.log.Debug("core: Raft cannot go on", "err", said)
	said = firstLine(said)
	if ours() || l.node.isClosed() {
		panic(said)
	}
	l.log.Error("core: the Raft log cannot be used and this node is out of service; its disk or a file there is damaged: look at the disk, then restore the data directory from a backup, or let the node join anew where others hold its shards",
		"dir", l.node.raftDir(), "err", said)
	l.node.breaks(said)
	<-l.node.stop
	runtime.Goexit()
}

// ours reports whether a function of this package waits for the caller of
// Panicf: then a panic reaches guarded.
func ours() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "github.com/godwit-im/godwit/core.") {
			return true
		}
		if !more {
			return false
		}
	}
}

func (n *Node) isClosed() bool {
	select {
	case <-n.stop:
		return true
	default:
		return false
	}
}

// Package bench measures the rows of the scoreboard on this machine: it starts
// a server as a process of its own, drives it over loopback with loadgen/swarm
// and reads what it cost from /proc and the server's heap profile. The
// machine's own limits (a socket write, an fdatasync) are measured in the same
// run, so that every figure can be read as a ratio.
//
// Nothing here judges: a Row carries its figures and its goal, and the reader
// compares. A verdict that is not clean fails the row.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one measured line of the scoreboard.
type Row struct {
	ID      string             `json:"id"`
	Measure string             `json:"measure"`
	Value   string             `json:"value"` // for people
	Goal    string             `json:"goal"`
	Figures map[string]float64 `json:"figures"`
	Err     string             `json:"error,omitempty"`
}

// Report is a whole run.
type Report struct {
	When    time.Time `json:"when"`
	Version string    `json:"version"`
	Go      string    `json:"go"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Rows    []Row     `json:"rows"`
}

// Options of a run.
type Options struct {
	Binary  string // the godwit binary to start
	Version string
	Dir     string // scratch space on the disk to measure; emptied afterwards
	Only    string // run this row alone when not empty
	// Short makes every row small: it proves that the bench works, its figures
	// mean little.
	Short    bool
	Progress io.Writer // one line as each row starts and ends; nil: nowhere
}

// row is one measurement.
type row struct {
	id, measure, goal string
	run               func(context.Context, *Options) (value string, figures map[string]float64, err error)
}

// rows is the scoreboard as far as one process goes, in its order.
var rows = [...]row{
	{"machine", "limit: loopback write+read / fdatasync of 4 KiB", "-", machineLimits},
	{"P2", "user-space bytes per idle connection after a collection", "<= 1000 B (then 600)", idleBytes},
	{"P5", "1:1, 200 pairs, closed loop, fsync before ack: server CPU per message, msg/s", "<= 40 µs, >= 15,000/s (then 25, 25,000)", closedLoop},
	{"P6", "receive latency at 1,000 msg/s, open loop", "p99 <= 5 ms", func(ctx context.Context, o *Options) (string, map[string]float64, error) {
		return openLoop(ctx, o, 1000)
	}},
	{"P6b", "receive latency at 5,000 msg/s, open loop", "p99 <= 5 ms", func(ctx context.Context, o *Options) (string, map[string]float64, error) {
		return openLoop(ctx, o, 5000)
	}},
	{"P9", "disk bytes per 124-byte message after compaction: log, dedupe, inbox", "<= 180 B", diskBytes},
	{"P12", "backlog of 1,000 messages after connect", "<= 100 ms (then 50)", backlog},
}

// ErrNoRow says that Options.Only names no row.
var ErrNoRow = errors.New("there is no row")

// Run measures every row in turn; a row that fails says so and the rest go on.
// It ends early only with ctx, or at once when Options.Only names no row.
func Run(ctx context.Context, opt Options) (*Report, error) {
	if opt.Progress == nil {
		opt.Progress = io.Discard
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, err
	}
	known := func(r row) bool { return r.id == opt.Only }
	if opt.Only != "" && !slices.ContainsFunc(rows[:], known) {
		return nil, fmt.Errorf("%w %q: the rows are %s", ErrNoRow, opt.Only, rowIDs())
	}
	rep := &Report{When: time.Now().UTC().Truncate(time.Second), Version: opt.Version, Go: runtime.Version(), Cores: runtime.NumCPU(), Kernel: kernel()}
	for _, r := range rows {
		if opt.Only != "" && opt.Only != r.id {
			continue
		}
		fmt.Fprintf(opt.Progress, "%-8s %s ...\n", r.id, r.measure)
		start := time.Now()
		value, figures, err := r.run(ctx, &opt)
		out := Row{ID: r.id, Measure: r.measure, Goal: r.goal, Value: value, Figures: figures}
		if err != nil {
			out.Err = err.Error()
			out.Value = "failed: " + out.Err
		}
		fmt.Fprintf(opt.Progress, "%-8s %s (%.0f s)\n", "", out.Value, time.Since(start).Seconds())
		rep.Rows = append(rep.Rows, out)
		if ctx.Err() != nil {
			return rep, context.Cause(ctx)
		}
	}
	return rep, nil
}

// rowIDs returns the names of all rows.
func rowIDs() string {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return strings.Join(ids, ", ")
}

// Failed reports whether a row could not be measured.
func (r *Report) Failed() bool {
	for _, row := range r.Rows {
		if row.Err != "" {
			return true
		}
	}
	return false
}

// WriteTable writes the report for a person.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nrow\tmeasure\tmeasured\tgoal\n")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", row.ID, row.Measure, row.Value, row.Goal)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d cores, Linux %s, %s, godwit %s, %s\n", r.Cores, r.Kernel, r.Go, r.Version, r.When.Format(time.DateOnly))
	return err
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

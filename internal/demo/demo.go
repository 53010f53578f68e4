// Package demo runs a small real fleet on one machine: each member a process of
// its own on loopback, started from this program's own binary, with a data
// directory and a log of its own.
//
//	DIR/LOCK, VERSION    as in every data directory
//	DIR/demo.json        who the members are and their ports: kept
//	DIR/fleet.json       the processes that run, while they are ready
//	DIR/join-secret      lets members in, and operators ask (0600)
//	DIR/dev-secret       signs tokens of development sign-in at every edge (0600)
//	DIR/NAME/, NAME.log  each member's data and what it says
//
// A member that ends, or is killed, is not started again: its argv in fleet.json
// does that, by whoever wants to. Run stops all members before it returns, also
// those that were started again, and none outlives the process that calls it.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/process"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// The most members of each role: what one machine can show.
const (
	MaxControls = 5
	MaxCores    = 9
	MaxEdges    = 9
)

// Config says what fleet to run.
type Config struct {
	Binary  string // the program to start members from
	Program string // what to type for it
	Dir     string // made when it is missing
	// The members. Zero means as in Dir, or DefaultMembers in a new one.
	Controls, Cores, Edges int
	Replicas               int       // of a shard; 0: 3, or as many as there are cores
	Remove                 bool      // remove Dir at the end
	Out                    io.Writer // progress, and what to try
	Log                    io.Writer // what a person should look at: a member that ended
}

// DefaultMembers is a fleet that survives the loss of any one process.
const (
	DefaultControls = 3
	DefaultCores    = 3
	DefaultEdges    = 2
)

// Member is one process of the fleet, as fleet.json shows it.
type Member struct {
	Name   string     `json:"name"`
	Role   fleet.Role `json:"role"`
	PID    int        `json:"pid,omitempty"`
	Addr   string     `json:"addr,omitempty"`   // where the others reach it: --api of control, --link of core
	Raft   string     `json:"raft,omitempty"`   // control and core
	Public string     `json:"public,omitempty"` // edge: http://host:port
	Admin  string     `json:"admin"`            // host:port
	Data   string     `json:"data"`
	Log    string     `json:"log"`
	Argv   []string   `json:"argv"` // starts it, with any environment
}

// Fleet is what fleet.json and demo.json hold.
type Fleet struct {
	Processes []Member `json:"processes"`
	Replicas  int      `json:"replicas"`
	Control   []string `json:"control"` // API addresses, for --control
}

// The files.
const (
	fleetFile  = "fleet.json"
	planFile   = "demo.json"
	secretFile = "join-secret"
	newSuffix  = ".new"
)

// Run runs the fleet until ctx is done. Errors are *fault.Error.
func Run(ctx context.Context, cfg Config) error {
	data, err := process.OpenDir(cfg.Dir, ours)
	if err != nil {
		return err
	}
	defer data.Close()
	cfg.Dir = data.Path()
	d := &demo{cfg: cfg}
	if err := d.prepare(data); err != nil {
		return err
	}
	err = d.run(ctx)
	if cfg.Remove {
		err = errors.Join(err, os.RemoveAll(cfg.Dir))
	}
	return err
}

// ours reports whether a name is one that a demo makes.
func ours(name string) bool {
	switch name = strings.TrimSuffix(name, newSuffix); name {
	case fleetFile, planFile, secretFile, "LOCK", "VERSION", "dev-secret", "lost+found":
		return true
	}
	for _, r := range []fleet.Role{fleet.Control, fleet.Core, fleet.Edge} {
		if strings.HasPrefix(name, string(r)+"-") {
			return true
		}
	}
	return false
}

// prepare finds or makes the plan of the fleet and its secrets.
func (d *demo) prepare(data *process.Data) error {
	if err := os.Remove(d.path(fleetFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.DataNotWritable, "%w", err)
	}
	kept, err := d.kept()
	if err != nil {
		return err
	}
	if d.fleet, err = d.plan(kept); err != nil {
		return err
	}
	if _, err := data.Secret(secretFile); err != nil {
		return err
	}
	dev, err := data.DevSecret()
	if err != nil {
		return err
	}
	for i := range d.fleet.Processes {
		m := &d.fleet.Processes[i]
		if m.Role == fleet.Edge {
			if err := process.ShareDevSecret(m.Data, dev); err != nil {
				return err
			}
		}
	}
	return d.save(planFile)
}

// kept reads the plan of an earlier start, nil when there was none.
func (d *demo) kept() (*Fleet, error) {
	b, err := os.ReadFile(d.path(planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	f := new(Fleet)
	if err == nil {
		err = json.Unmarshal(b, f)
	}
	if err == nil && len(f.Processes) == 0 {
		err = errors.New("it names no process")
	}
	if err != nil {
		return nil, fault.New(fault.DataBroken, "%s: %w", d.path(planFile), err).Advise("name another directory with --data, or remove this one")
	}
	return f, nil
}

// save writes the fleet into a file, as a whole.
func (d *demo) save(file string) error {
	b, err := json.MarshalIndent(d.fleet, "", "  ")
	if err != nil {
		return err
	}
	if err := process.WriteFile(d.path(file), append(b, '\n')); err != nil {
		return fault.New(fault.DataNotWritable, "%w", err)
	}
	return nil
}

func (d *demo) path(name string) string { return filepath.Join(d.cfg.Dir, name) }

// say prints progress; a closed terminal is no reason to stop.
func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.cfg.Out, format, args...)
}

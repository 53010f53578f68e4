package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// diskFaults are what happens to data directories. A slow disk is one that
// hangs for a while: what the kernel offers without a device of its own.
func diskFaults() []Fault {
	hold := [2]time.Duration{2 * second, 6 * second}
	return []Fault{
		{"the disk of a busy leader is nearly full", needRoles | needDisks, hold, 0, filling(nearlyFull)},
		{"the disk of a busy leader is full", needRoles | needDisks, hold, 0, filling(0)},
		{"the disk of a busy leader hangs", needDisks, [2]time.Duration{second / 2, 5 * second}, 0, hanging},
		{"the disk of a busy leader fails", needRoles | needDisks, hold, 0, failing},
		{"power loss everywhere", needDisks, [2]time.Duration{0, second}, 0, powerLoss},
		{"a flipped bit in a core", needRoles, [2]time.Duration{}, 0, damaging("a bit flipped", flipBit)},
		{"a file of a core cut short", needRoles, [2]time.Duration{}, 0, damaging("cut short", cutShort)},
		{"a core wiped, which comes back", needRoles, [2]time.Duration{second, 3 * second}, 0, wiping},
	}
}

// nearlyFull is below what a core wants to have free for writing.
const nearlyFull = 100 << 20

func filling(leave uint64) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := busyLeader(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		heal := func(ctx context.Context) error {
			if err := p.disk.empty(); err != nil {
				return err
			}
			return p.restart()
		}
		return &wound{what: fmt.Sprintf("%s has %d MB left", p.Name, leave>>20), heal: heal}, p.disk.fill(leave)
	}
}

func hanging(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	p, err := busyLeader(ctx, f, rng)
	if err != nil {
		return nil, err
	}
	return &wound{what: "no write of " + p.Name + " ends", heal: func(context.Context) error { return p.disk.thaw() }}, p.disk.freeze()
}

func failing(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	p, err := busyLeader(ctx, f, rng)
	if err != nil {
		return nil, err
	}
	heal := func(context.Context) error {
		p.Kill()
		if err := p.disk.revive(); err != nil {
			return err
		}
		return p.Start()
	}
	return &wound{what: "I/O errors of " + p.Name + ", what it had not synced is lost", heal: heal}, p.disk.fail()
}

// powerLoss takes from every process what it has not synced, at one instant.
func powerLoss(_ context.Context, f *Fleet, _ *rand.Rand) (*wound, error) {
	for _, p := range f.Procs("") {
		if p.disk != nil {
			if err := p.disk.fail(); err != nil {
				return nil, err
			}
		}
	}
	w := &wound{what: "all lose what they had not synced, kill -9", heal: restarts(f.Procs("")...)}
	for _, p := range f.Procs("") {
		p.Kill()
		if p.disk != nil {
			if err := p.disk.revive(); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// restart ends a process, whatever it does, and starts it again.
func (p *Proc) restart() error {
	p.Kill()
	return p.Start()
}

// damaging damages a file of a core that is down, and starts it. A core that
// then refuses to start, or stops, has noticed: it is wiped and comes back.
func damaging(what string, damage func(path string, rng *rand.Rand) error) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		list := f.Procs("core")
		p := list[rng.IntN(len(list))]
		p.Kill()
		path, err := p.pickFile(rng)
		if err != nil {
			return nil, err
		}
		if err := damage(path, rng); err != nil {
			return nil, err
		}
		w := &wound{what: fmt.Sprintf("%s of %s %s", filepath.Base(path), p.Name, what), served: f.survives(p),
			heal: func(context.Context) error { return nil }}
		if err := p.Start(); err != nil {
			return nil, err
		}
		start, cancel := context.WithTimeout(ctx, noticing)
		defer cancel()
		if err := p.ready(start); err != nil {
			w.what += ", which it noticed and was rebuilt"
			return w, p.rebuild()
		}
		return w, nil
	}
}

// noticing is how long a core with a damaged file gets to be ready.
const noticing = 20 * time.Second

// smallest is the size below which a file has nothing to damage.
const smallest = 64

// pickFile returns a file of the data directory by chance, larger ones no more
// often than small ones.
func (p *Proc) pickFile(rng *rand.Rand) (string, error) {
	var files []string
	err := filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() >= smallest {
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("chaos: " + p.Name + " has no file")
	}
	if err != nil {
		return "", err
	}
	return files[rng.IntN(len(files))], nil
}

func flipBit(path string, rng *rand.Rand) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	bit := rng.IntN(8 * len(b))
	b[bit/8] ^= 1 << (bit % 8)
	return os.WriteFile(path, b, 0o600)
}

func cutShort(path string, rng *rand.Rand) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, rng.Int64N(info.Size()))
}

func wiping(_ context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
	list := f.Procs("core")
	p := list[rng.IntN(len(list))]
	p.Kill()
	w := &wound{what: p.Name + " loses its disk and comes back as a replacement", served: f.survives(p)}
	w.heal = func(context.Context) error { return p.rebuild() }
	return w, nil
}

// rebuild starts a core without its data, as the replacement of itself.
func (p *Proc) rebuild() error {
	p.Kill()
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "lost+found" {
			continue // the file system's own
		}
		if err := os.RemoveAll(filepath.Join(p.Dir, e.Name())); err != nil {
			return err
		}
	}
	return p.Start("--replace")
}

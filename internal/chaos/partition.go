package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// networkFaults are the partitions: packets that are dropped without a word, so
// that nobody is told, connections stay half-open, and what was sent may or may
// not have arrived.
func networkFaults() []Fault {
	hold := [2]time.Duration{second, 8 * second}
	return []Fault{
		{"cut a busy leader from all other cores", needRoles | needNetwork, hold, 0, isolating(busyLeader, "core")},
		{"cut a core from every other process", needRoles | needNetwork, hold, 0, isolating(anyOf("core"), "")},
		{"other cores do not hear a busy leader", needRoles | needNetwork, hold, 0, muting(busyLeader, "core")},
		{"a busy leader does not hear other cores", needRoles | needNetwork, hold, 0, deafening(busyLeader, "core")},
		{"cut an edge from all cores", needRoles | needNetwork, hold, 0, isolating(anyOf("edge"), "core")},
		{"cores do not hear an edge", needRoles | needNetwork, hold, 0, muting(anyOf("edge"), "core")},
		{"an edge does not hear cores", needRoles | needNetwork, hold, 0, deafening(anyOf("edge"), "core")},
		{"edges do not hear a busy leader", needRoles | needNetwork, hold, 0, muting(busyLeader, "edge")},
		{"a busy leader does not hear edges", needRoles | needNetwork, hold, 0, deafening(busyLeader, "edge")},
		{"cut control's leader from its like", needRoles | needNetwork, hold, 0, isolating(controlLeader, "control")},
		{"control does not hear its leader", needRoles | needNetwork, hold, 0, muting(controlLeader, "control")},
		{"cut control from cores and edges", needRoles | needNetwork, hold, 0, cutControl},
		{"split everything at random, thrice", needRoles | needNetwork, hold, 0, splitting},
		{"clients of an edge are not heard", needNetwork, hold, 0, halfOpen(true)},
		{"clients do not hear an edge", needNetwork, hold, 0, halfOpen(false)},
	}
}

// cuts collects what each process does not hear, and what it says in vain.
type cuts struct {
	deaf, mute map[*Proc][]net.IP
}

// between stops packets from each of from to each of to.
func (c *cuts) between(from, to []*Proc) {
	if c.deaf == nil {
		c.deaf = make(map[*Proc][]net.IP)
	}
	for _, hearer := range to {
		for _, speaker := range from {
			if hearer != speaker {
				c.deaf[hearer] = append(c.deaf[hearer], speaker.ns.host)
			}
		}
	}
}

// apply makes the cuts those of the fleet, instead of any before.
func (f *Fleet) apply(c cuts) error {
	for _, p := range f.Procs("") {
		if err := p.ns.drop(c.deaf[p], c.mute[p]); err != nil {
			return fmt.Errorf("chaos: cutting %s off: %w", p.Name, err)
		}
	}
	return nil
}

// cut applies c and returns the wound that ends it.
func (f *Fleet) cut(c cuts, served bool, what string, args ...any) (*wound, error) {
	heal := func(context.Context) error { return f.apply(cuts{}) }
	return &wound{what: fmt.Sprintf(what, args...), served: served, heal: heal}, f.apply(c)
}

// others are the processes of a role, all with the empty one, but p.
func (f *Fleet) others(role string, p *Proc) []*Proc {
	return slices.DeleteFunc(f.Procs(role), func(q *Proc) bool { return p == q })
}

// isolating cuts a process from those of a role, both ways.
func isolating(choose chooser, role string) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := choose(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		var c cuts
		c.between([]*Proc{p}, f.others(role, p))
		c.between(f.others(role, p), []*Proc{p})
		return f.cut(c, f.survives(p), "%s and %s do not hear each other", p.Name, names(f.others(role, p)))
	}
}

// muting lets no packet of a process reach those of a role.
func muting(choose chooser, role string) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := choose(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		var c cuts
		c.between([]*Proc{p}, f.others(role, p))
		return f.cut(c, f.survives(p), "%s are not reached by %s", names(f.others(role, p)), p.Name)
	}
}

// deafening lets no packet of those of a role reach a process.
func deafening(choose chooser, role string) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		p, err := choose(ctx, f, rng)
		if err != nil {
			return nil, err
		}
		var c cuts
		c.between(f.others(role, p), []*Proc{p})
		return f.cut(c, f.survives(p), "%s is not reached by %s", p.Name, names(f.others(role, p)))
	}
}

// cutControl leaves cores and edges with the map that they have.
func cutControl(_ context.Context, f *Fleet, _ *rand.Rand) (*wound, error) {
	var c cuts
	control, rest := f.Procs("control"), append(f.Procs("core"), f.Procs("edge")...)
	c.between(control, rest)
	c.between(rest, control)
	return f.cut(c, true, "control and the rest do not hear each other")
}

// splitting divides all processes into two halves by chance, which then do not
// hear each other or only one way, three times.
func splitting(ctx context.Context, f *Fleet, rng *rand.Rand) (w *wound, err error) {
	what := ""
	for range 3 {
		var halves [2][]*Proc
		for _, p := range f.Procs("") {
			i := rng.IntN(2)
			halves[i] = append(halves[i], p)
		}
		var c cuts
		c.between(halves[0], halves[1])
		if rng.IntN(2) == 0 {
			c.between(halves[1], halves[0])
		}
		if w, err = f.cut(c, false, "%s [%s from %s]", what, names(halves[1]), names(halves[0])); err != nil {
			return nil, err
		}
		what = w.what
		pause(ctx, between(rng, second/2, 3*second))
	}
	return w, nil
}

// halfOpen drops one direction between the clients and one edge: what clients
// say, or what the edge says.
func halfOpen(said bool) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(_ context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		list := f.Procs("edge")
		p := list[rng.IntN(len(list))]
		if said {
			return f.cut(cuts{deaf: map[*Proc][]net.IP{p: {f.net.host}}}, f.survives(p), "%s is not reached by clients", p.Name)
		}
		return f.cut(cuts{mute: map[*Proc][]net.IP{p: {f.net.host}}}, f.survives(p), "clients are not reached by %s", p.Name)
	}
}

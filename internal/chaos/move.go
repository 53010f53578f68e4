package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-im/godwit/shardmap/control/api"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// moveFaults are what an operator does to a fleet while it is used.
func moveFaults() []Fault {
	return []Fault{
		{"a core replaced", needRoles, [2]time.Duration{}, 0, replacing(1, false)},
		{"a core replaced, control's leader killed", needRoles, [2]time.Duration{}, 0, replacing(1, true)},
		{"two cores more, then two less", needRoles, [2]time.Duration{}, 0, replacing(2, false)},
	}
}

// moving bounds how long the replicas of a node take to be elsewhere.
const moving = 2 * time.Minute

// api returns a client of control, which the caller closes.
func (f *Fleet) api() *api.Client {
	var addrs []string
	for _, p := range f.Procs("control") {
		addrs = append(addrs, p.addr(portAPI))
	}
	return api.NewClient(api.ClientConfig{Addrs: addrs, Secret: f.join})
}

// replacing adds n cores, spreads the shards over all, and takes as many of the
// old ones away; with killLeader control loses its leader in between.
func replacing(n int, killLeader bool) func(context.Context, *Fleet, *rand.Rand) (*wound, error) {
	return func(ctx context.Context, f *Fleet, rng *rand.Rand) (*wound, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*moving)
		defer cancel()
		c := f.api()
		defer c.Close()
		old := f.Procs("core")
		var added []*Proc
		for range n {
			p, err := f.AddNext("core")
			if err != nil {
				return nil, err
			}
			if err := p.Start(); err != nil {
				return nil, err
			}
			if err := p.ready(ctx); err != nil {
				return nil, err
			}
			added = append(added, p)
		}
		if n > 1 {
			if _, err := c.Plan(ctx, api.PlanRequest{Action: api.Apply}); err != nil {
				return nil, fmt.Errorf("spreading the shards: %w", err)
			}
			if err := f.moved(ctx, c, nil); err != nil {
				return nil, err
			}
		}
		w := &wound{served: true, heal: func(context.Context) error { return nil }}
		var gone []*Proc
		for _, i := range rng.Perm(len(old))[:n] {
			gone = append(gone, old[i])
			if err := f.dismiss(ctx, c, old[i], killLeader); err != nil {
				return nil, err
			}
		}
		w.what = names(added) + " came, " + names(gone) + " went"
		return w, nil
	}
}

// dismiss has the shards of a core moved away, stops it and waits until control
// has forgotten it.
func (f *Fleet) dismiss(ctx context.Context, c *api.Client, p *Proc, killLeader bool) error {
	a, err := c.Wish(ctx, p.Name, api.WishRequest{Wish: fleet.Leave})
	if err != nil {
		return fmt.Errorf("decommissioning %s: %w", p.Name, err)
	}
	if killLeader {
		leader, err := controlLeader(ctx, f, nil)
		if err != nil {
			return err
		}
		leader.Kill()
		pause(ctx, second)
		if err := leader.Start(); err != nil {
			return err
		}
	}
	if err := f.moved(ctx, c, &a.ID); err != nil {
		return err
	}
	f.remove(p)
	if err := p.Stop(); err != nil {
		return err
	}
	if !poll(ctx, func() bool {
		s, err := c.Fleet(ctx)
		return err == nil && !slices.ContainsFunc(s.Nodes, func(n api.Node) bool { return n.ID == a.ID })
	}) {
		return fmt.Errorf("%s has left, and control still lists it", p.Name)
	}
	return nil
}

// moved waits until no plan is under way and the node, if any, has nothing.
func (f *Fleet) moved(ctx context.Context, c *api.Client, gone *wire.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, moving)
	defer cancel()
	left := "control does not answer"
	if poll(ctx, func() bool {
		s, err := c.Fleet(ctx)
		if err != nil || s.Map == nil {
			return false
		}
		held := 0
		for _, sh := range s.Map.Shards {
			if gone != nil && (slices.Contains(sh.Replicas, *gone) || slices.Contains(sh.Learners, *gone)) {
				held++
			}
		}
		left = fmt.Sprintf("a plan is under way: %v; it holds %d shards", s.Plan != nil, held)
		return s.Plan == nil && held == 0
	}) {
		return nil
	}
	return fmt.Errorf("the shards did not move within %s: %s", moving, left)
}

// AddNext makes one more process of a role; it does not start it.
func (f *Fleet) AddNext(role string) (*Proc, error) {
	f.mu.Lock()
	f.mu.added++
	n := f.Spec.Cores + f.mu.added
	f.mu.Unlock()
	return f.Add(role, n)
}

// remove takes a process that has ended out of the fleet.
func (f *Fleet) remove(p *Proc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.procs = slices.DeleteFunc(f.mu.procs, func(q *Proc) bool { return p == q })
	f.mu.gone = append(f.mu.gone, p)
}

package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

const (
	// stepEvery is how often the leader looks for what comes next when no
	// report said that something changed.
	stepEvery = 500 * time.Millisecond
	// stepsAtOnce bounds what one look may lead to, so that the driver always
	// comes back to hear that it does not lead any more.
	stepsAtOnce = 64
	// clusterLen is the length of a cluster's name, in random bytes.
	clusterLen = 16
)

// term is what this member knows while it leads, and forgets with that.
type term struct {
	done chan struct{} // closed when it ends
	kick chan struct{} // a report said that something changed; one waits

	mu struct {
		sync.Mutex
		reports fleet.Reports
		seats   seats
		refused string // the last refusal of a step, logged once
	}
}

// drive is the goroutine of a member that runs a fleet: it follows who leads,
// and while this member does, it carries out fleet.Step's commands.
func (c *Control) drive() {
	var t *term
	leads := false
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case leads = <-c.raft.LeaderCh():
			c.resign(t)
			t = nil
		case <-tick.C:
		case <-t.kicked():
		case <-c.stop:
			c.resign(t)
			return
		}
		if leads && t == nil {
			t = c.takeOver()
		}
		if t != nil {
			c.advance(t)
		}
	}
}

// kicked is nil, which never fires, when there is no term.
func (t *term) kicked() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.kick
}

func (c *Control) resign(t *term) {
	if t != nil {
		c.term.Store(nil)
		close(t.done)
	}
}

// takeOver begins a term once this member has applied all that was committed
// before it, and the fleet exists. Nil: not yet, or not any more.
func (c *Control) takeOver() *term {
	if c.raft.Barrier(enqueueWait).Error() != nil {
		return nil // lost again, which LeaderCh tells
	}
	if c.fsm.broken() != nil {
		// Another member may know the entry. In vain when none does.
		_ = c.raft.LeadershipTransfer().Error()
		return nil
	}
	if c.State().Cluster == "" {
		if _, err := c.doSoon(c.create()); err != nil {
			c.log.Warn("the fleet is not created yet", "err", err)
			return nil
		}
		c.log.Info("fleet created", "cluster", c.State().Cluster, "shards", c.settings.Shards, "replicas", c.settings.Replicas)
	}
	t := &term{done: make(chan struct{}), kick: make(chan struct{}, 1)}
	t.mu.reports, t.mu.seats = fleet.Reports{}, seats{}
	t.mu.reports.Expect(c.State(), nowMS())
	c.term.Store(t)
	return t
}

// create is the command that makes the fleet of this group's members.
func (c *Control) create() fleet.Command {
	now := nowMS()
	cmd := fleet.Command{Kind: fleet.Create, AtMS: now, Cluster: random(), Settings: c.settings}
	for _, p := range c.peers {
		cmd.Nodes = append(cmd.Nodes, fleet.Node{
			ID: p.ID, Name: fmt.Sprintf("control-%d", p.ID), Role: fleet.Control, Identity: random(),
			Addrs: fleet.Addrs{Raft: p.Addr, API: p.API}, Wish: fleet.Serve, JoinedMS: now,
		})
	}
	return cmd
}

// advance proposes what comes next until nothing does.
func (c *Control) advance(t *term) {
	for range stepsAtOnce {
		t.mu.Lock()
		cmd, ok := fleet.Step(c.State(), t.mu.reports, nowMS())
		t.mu.Unlock()
		if !ok {
			return
		}
		if _, err := c.doSoon(cmd); err != nil {
			t.mu.Lock()
			again := t.mu.refused == err.Error()
			t.mu.refused = err.Error()
			t.mu.Unlock()
			if !again && c.raft.State() == raft.Leader {
				c.log.Warn("a step of the fleet was not taken", "kind", cmd.Kind, "why", cmd.Why, "err", err)
			}
			return
		}
		c.log.Info("fleet step", "kind", cmd.Kind, "why", cmd.Why)
	}
	t.nudge()
}

// nudge makes the driver look for what comes next. It never blocks.
func (t *term) nudge() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// leading returns the term of this member, or nil.
func (c *Control) leading() *term {
	if t := c.term.Load(); t != nil && c.IsLeader() {
		return t
	}
	return nil
}

// leaderAPI is the API address of the member that leads, empty when nobody
// does or it is not known here.
func (c *Control) leaderAPI() string {
	id, _ := c.Leader()
	return c.apiOf(id)
}

func (c *Control) apiOf(id wire.NodeID) string {
	for _, p := range c.peers {
		if p.ID == id {
			return p.API
		}
	}
	return ""
}

// apis are the API addresses of all members.
func (c *Control) apis() []string {
	var list []string
	for _, p := range c.peers {
		if p.API != "" {
			list = append(list, p.API)
		}
	}
	return list
}

func nowMS() wire.Millis { return wire.Millis(time.Now().UnixMilli()) }

// random returns 32 hex digits that nobody else has.
func random() string {
	var b [clusterLen]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("crypto/rand never fails: %v", err))
	}
	return hex.EncodeToString(b[:])
}

// doSoon is Do with a bound: raft may forget what it was asked while it stops.
func (c *Control) doSoon(cmd fleet.Command) (fleet.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), enqueueWait)
	defer cancel()
	return c.Do(ctx, cmd)
}

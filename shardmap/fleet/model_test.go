package fleet_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// world is a fleet in small: control with its State and Reports, cores that obey
// the maps they get, and the Raft groups of the shards. A tick is a second.
type world struct {
	state   *fleet.State
	reports fleet.Reports
	now     wire.Millis
	cores   []*core // by id
	groups  map[wire.ShardID]*group
	steps   []string // what control did, and why
	broken  []string // what should not have happened

	planned, filled int // copies that plans foresaw, and learners that maps asked for

	// odds decides what is left to chance: whether something that happens in
	// so many of a hundred cases happens now.
	odds func(what string, percent int) bool
}

// core is one core node.
type core struct {
	id       wire.NodeID
	name     string
	alive    bool
	instance int
	m        *shardmap.Map // nil before the first
	failed   map[wire.ShardID]string
}

// group is the Raft group of one shard.
type group struct {
	shard            wire.ShardID
	voters, learners []wire.NodeID
	leader           wire.NodeID // 0: none
	term, end        uint64
	config           uint64
	applied          map[wire.NodeID]uint64
}

func newWorld(settings fleet.Settings, odds func(string, int) bool) *world {
	w := &world{state: new(fleet.State), reports: fleet.Reports{}, now: 1_000_000, groups: map[wire.ShardID]*group{}, odds: odds}
	if _, err := w.do(fleet.Command{Kind: fleet.Create, Cluster: hex("c", 0), Settings: &settings}); err != nil {
		panic(err)
	}
	return w
}

// hex makes an identity or instance.
func hex(kind string, n int) string { return fmt.Sprintf("%s%031x", kind, n) }

// do carries out a command as control does, on a state that went through a
// snapshot, and looks at what came of it.
func (w *world) do(c fleet.Command) (fleet.Answer, error) {
	c.AtMS = w.now
	decoded, err := fleet.DecodeCommand(c.Encode())
	if err != nil {
		w.broke("command %v: %v", c.Kind, err)
	}
	before, bytesBefore := w.state.Clone(), w.state.Encode()
	answer, err := fleet.Apply(w.state, decoded)
	if err != nil {
		if !bytes.Equal(w.state.Encode(), bytesBefore) {
			w.broke("%s was refused and changed the state: %v", c.Kind, err)
		}
		return answer, err
	}
	again, err := fleet.Decode(w.state.Encode())
	if err != nil || !bytes.Equal(again.Encode(), w.state.Encode()) {
		w.broke("after %s the state does not decode to itself: %v", c.Kind, err)
	}
	w.check(before, c)
	return answer, nil
}

func (w *world) broke(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// check looks at what a command changed.
func (w *world) check(before *fleet.State, c fleet.Command) {
	switch c.Kind {
	case fleet.StartPlan:
		want, _ := place.Plan(before.Map, desired(before), w.state.Settings.Replicas)
		if len(c.Moves) > len(want) && c.Why != "by hand" {
			w.broke("a plan of %d moves, place.Plan has %d", len(c.Moves), len(want))
		}
		for _, mv := range c.Moves {
			if mv.To != 0 {
				w.planned++
			}
		}
	case fleet.FinishMove:
		if c.Instead != nil {
			w.planned++
		}
	case fleet.SetMap:
		if w.state.Map.Epoch() != before.Epoch()+1 {
			w.broke("epoch %d after %d", w.state.Map.Epoch(), before.Epoch())
		}
		if before.Map != nil {
			w.checkMaps(before.Map, w.state.Map, c.Why)
		}
	}
}

func (w *world) checkMaps(was, is *shardmap.Map, why string) {
	moving := 0
	for _, s := range is.Shards() {
		moving += len(is.Learners(s))
		if len(is.Learners(s)) > 1 {
			w.broke("%s: shard %d has learners %v", why, s, is.Learners(s))
		}
		if strings.HasSuffix(why, "given up") && len(was.Learners(s))+len(was.Replicas(s)) > len(is.Learners(s))+len(is.Replicas(s)) {
			w.filled-- // the target died; when it is back in time, the move begins again
		}
		for _, id := range is.Learners(s) {
			if !slices.Contains(was.Learners(s), id) {
				w.filled++
			}
		}
		a, b := was.Replicas(s), is.Replicas(s)
		if len(a)-len(b) > 1 || len(b)-len(a) > 1 {
			w.broke("%s: shard %d goes from %v to %v", why, s, a, b)
		}
		if w.margin(b) < 0 && w.margin(b) < w.margin(a) {
			w.broke("%s: shard %d goes from %v to %v, of which too few are alive", why, s, a, b)
		}
	}
	if moving > fleet.MaxMoves {
		w.broke("%s: %d learners at a time", why, moving)
	}
	if w.filled > w.planned {
		w.broke("%s: %d copies, and %d were planned", why, w.filled, w.planned)
	}
}

// margin is by how many the live ones among ids are more than a majority.
func (w *world) margin(ids []wire.NodeID) int {
	live := 0
	for _, id := range ids {
		if w.reports.Alive(id, w.now) {
			live++
		}
	}
	return live - (len(ids)/2 + 1)
}

func desired(s *fleet.State) (nodes []shardmap.Node) {
	for _, n := range s.Nodes {
		if n.Role == fleet.Core && n.Wish != fleet.Leave {
			nodes = append(nodes, shardmap.Node{ID: n.ID, Zone: n.Zone})
		}
	}
	return nodes
}

// join starts a core that has an empty disk.
func (w *world) join(name, zone string, replace bool) (wire.NodeID, error) {
	n := fleet.Node{Name: name, Role: fleet.Core, Zone: zone, Identity: hex("d", len(w.cores)+1),
		Addrs: fleet.Addrs{Link: fmt.Sprintf("%s:%d", name, len(w.cores)+1)}, Versions: fleet.Versions{Program: "1", Wire: 1, Store: 1}}
	c := fleet.Command{Kind: fleet.Join, Node: &n, Replace: replace}
	if err := fleet.JudgeJoin(c, hex("e", 1), w.now, w.state, w.reports, w.now); err != nil {
		return 0, err
	}
	a, err := w.do(c)
	if err == nil {
		w.cores = append(w.cores, &core{id: a.ID, name: name, alive: true, failed: map[wire.ShardID]string{}})
		w.reports.Expect(w.state, w.now)
	}
	return a.ID, err
}

// core returns the newest core of a name.
func (w *world) core(name string) *core {
	for _, c := range slices.Backward(w.cores) {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (w *world) alive(id wire.NodeID) bool {
	return slices.ContainsFunc(w.cores, func(c *core) bool { return c.id == id && c.alive })
}

// tick lets a second pass: cores follow the map, groups elect, commit and change
// their members, everybody reports.
func (w *world) tick() {
	w.now += 1000
	for _, c := range w.cores {
		if c.alive && w.state.Map != nil && (c.m == nil || c.m.Epoch() < w.state.Epoch()) && w.odds("a core takes the map", 70) {
			c.m = w.state.Map
		}
	}
	if w.state.Map != nil {
		for _, s := range w.state.Map.Shards() {
			w.turn(s)
		}
	}
	for _, c := range w.cores {
		if c.alive && w.odds("a report arrives", 80) {
			_ = w.reports.Take(w.state, w.report(c), w.now) // refused when the node was forgotten
		}
	}
}

// turn is one second of a group.
func (w *world) turn(s wire.ShardID) {
	g := w.groups[s]
	if g == nil {
		founders := w.state.Map.Founders(s)
		if len(founders) == 0 {
			w.broke("the map says that shard %d has begun", s)
		}
		g = &group{shard: s, voters: slices.Clone(founders), applied: map[wire.NodeID]uint64{}}
		w.groups[s] = g
	}
	live := 0
	var best wire.NodeID
	for _, id := range g.voters {
		if w.alive(id) {
			live++
			if best == 0 || g.applied[id] > g.applied[best] {
				best = id
			}
		}
	}
	if !w.alive(g.leader) || !slices.Contains(g.voters, g.leader) {
		g.leader = 0
	}
	if live < len(g.voters)/2+1 {
		return
	}
	if g.leader == 0 {
		g.leader, g.term = best, g.term+1
	}
	g.end += 100
	for _, id := range slices.Concat(g.voters, g.learners) {
		if id == g.leader || w.alive(id) && w.odds("a replica catches up", 80) {
			g.applied[id] = g.end
		}
	}
	if w.odds("a group obeys the map", 60) {
		w.obey(g)
	}
}

// obey makes one change of a group's members, or hands over the lead.
func (w *world) obey(g *group) {
	m := w.cores[slices.IndexFunc(w.cores, func(c *core) bool { return c.id == g.leader })].m
	if m == nil {
		return
	}
	voters, learners := m.Replicas(g.shard), m.Learners(g.shard)
	defer func(c uint64) {
		if g.config = max(c, g.config); g.config == g.end {
			g.end++
			g.config = g.end
			g.applied[g.leader] = g.end
		}
	}(g.config)
	for _, id := range slices.Concat(voters, learners) {
		in := slices.Contains(g.voters, id)
		switch {
		case in:
		case !slices.Contains(g.learners, id):
			g.learners = append(g.learners, id)
			g.config = g.end
			return
		case slices.Contains(voters, id):
			g.learners = slices.DeleteFunc(g.learners, func(n wire.NodeID) bool { return n == id })
			g.voters = append(g.voters, id)
			g.config = g.end
			return
		}
	}
	if lead := voters[0]; g.leader != lead && slices.Contains(g.voters, lead) && w.alive(lead) && g.applied[lead] == g.end {
		g.leader, g.term = lead, g.term+1
		return
	}
	for _, id := range slices.Concat(g.learners, g.voters) {
		if id != g.leader && !slices.Contains(voters, id) && !slices.Contains(learners, id) {
			g.learners = slices.DeleteFunc(g.learners, func(n wire.NodeID) bool { return n == id })
			g.voters = slices.DeleteFunc(g.voters, func(n wire.NodeID) bool { return n == id })
			delete(g.applied, id)
			g.config = g.end
			return
		}
	}
}

func (w *world) report(c *core) fleet.Report {
	i := slices.Index(w.cores, c)
	rep := fleet.Report{ID: c.id, Identity: hex("d", i+1), Instance: hex("e", c.instance), ClockMS: w.now, Ready: true}
	if c.m != nil {
		rep.Epoch = c.m.Epoch()
	}
	for s := range wire.ShardID(len(w.groups)) {
		g := w.groups[s+1]
		if !slices.Contains(g.voters, c.id) && !slices.Contains(g.learners, c.id) {
			continue
		}
		r := fleet.ShardReport{Shard: g.shard, Leader: g.leader, Term: g.term, Applied: g.applied[c.id], Failed: c.failed[g.shard]}
		if g.leader == c.id {
			r.Leads, r.Config = true, g.config
			r.Voters, r.Learners = slices.Clone(g.voters), slices.Clone(g.learners)
		}
		rep.Shards = append(rep.Shards, r)
	}
	return rep
}

// control lets control make at most n steps and returns how many it made.
func (w *world) control(n int) int {
	for i := range n {
		cmd, ok := fleet.Step(w.state, w.reports, w.now)
		if !ok {
			return i
		}
		snapshot, err := fleet.Decode(w.state.Encode())
		if err != nil {
			w.broke("snapshot: %v", err)
			return i
		}
		if cmd2, _ := fleet.Step(snapshot, w.reports, w.now); !bytes.Equal(cmd.Encode(), cmd2.Encode()) {
			w.broke("two answers: %s and %s", cmd.Why, cmd2.Why)
		}
		if _, err := w.do(cmd); err != nil {
			w.broke("step %s (%s): %v", cmd.Kind, cmd.Why, err)
			return i
		}
		w.steps = append(w.steps, strings.TrimSpace(line(cmd, w.state)))
	}
	return n
}

// line is a step as a story tells it.
func line(c fleet.Command, s *fleet.State) string {
	switch c.Kind {
	case fleet.SetMap:
		return fmt.Sprintf("map %d: %s", s.Epoch(), c.Why)
	case fleet.StartPlan:
		return fmt.Sprintf("plan %d: %s, %d moves", s.Plans, c.Why, len(c.Moves))
	case fleet.FinishMove:
		if c.Dropped {
			return "dropped: " + c.Why
		} else if c.Instead != nil {
			return "instead: " + c.Why
		}
		return "done: " + c.Why
	}
	return fmt.Sprintf("%s: %s", c.Kind, c.Why)
}

// failover gives control a new leader, which knows the state from a snapshot
// and has heard of nobody.
func (w *world) failover() {
	s, err := fleet.Decode(w.state.Encode())
	if err != nil {
		w.broke("snapshot: %v", err)
		return
	}
	w.state, w.reports = s, fleet.Reports{}
	w.reports.Expect(s, w.now)
}

// apply plans for the nodes as they are, as an operator does.
func (w *world) apply(replicas int) (fleet.Answer, error) {
	moves, _, err := fleet.Preview(w.state, w.reports, w.now, fleet.Change{Replicas: replicas})
	if err != nil {
		return fleet.Answer{}, err
	}
	return w.do(fleet.Command{Kind: fleet.StartPlan, Why: "an operator asked", Moves: moves, Replicas: replicas})
}

// idle reports whether nothing is left to be done.
func (w *world) idle() bool {
	if w.state.Plan != nil {
		return false
	}
	for s, g := range w.groups {
		if len(g.learners) > 0 || len(g.voters) != len(w.state.Map.Replicas(s)) || g.leader == 0 {
			return false
		}
	}
	return !slices.ContainsFunc(w.state.Nodes, func(n fleet.Node) bool { return n.Role == fleet.Core && n.Wish == fleet.Leave })
}

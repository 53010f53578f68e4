package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/shardmap/place"
	"github.com/godwit-im/godwit/wire"
)

// Apply carries out c, or refuses it with one of the errors of this package and
// leaves s as it was. It depends on nothing but s and c.
func Apply(s *State, c Command) (Answer, error) {
	if c.Kind == Create {
		return s.create(c)
	}
	if s.Cluster == "" {
		return Answer{}, &Refusal{Kind: ErrNotCreated}
	}
	var err error
	a := Answer{}
	switch c.Kind {
	case Join:
		a.ID, err = s.join(c)
	case UpdateNode:
		err = s.update(c)
	case SetWish:
		err = s.wish(c)
	case Forget:
		err = s.forget(c)
	case SetMap:
		err = s.setMap(c)
	case StartPlan:
		a.Plan, err = s.startPlan(c)
	case Pause, Resume, Abort:
		err = s.steer(c)
	case FinishMove:
		err = s.finishMove(c)
	default:
		err = fmt.Errorf("%w (command %q)", ErrNewer, c.Kind)
	}
	if err != nil {
		return Answer{}, err
	}
	a.Epoch = s.Epoch()
	return a, nil
}

func (s *State) create(c Command) (Answer, error) {
	if s.Cluster != "" {
		if s.Cluster == c.Cluster {
			return Answer{Epoch: s.Epoch()}, nil // proposed twice
		}
		return Answer{}, &Refusal{Kind: ErrCreated, Detail: "its id is " + s.Cluster, Do: "join it instead"}
	}
	if !validHex(c.Cluster) {
		return Answer{}, invalid("the id of the fleet is not %d hex digits", identityLen)
	}
	if c.Settings == nil {
		return Answer{}, invalid("no settings")
	}
	if err := c.Settings.check(); err != nil {
		return Answer{}, err
	}
	made := State{Cluster: c.Cluster, Settings: *c.Settings, NextID: 1}
	for _, n := range c.Nodes {
		if err := n.check(); err != nil {
			return Answer{}, err
		}
		if n.ID == 0 || n.Role != Control || made.find(n.ID) >= 0 {
			return Answer{}, invalid("node %q has id %d and role %s, want control members with ids of their own", n.Name, n.ID, n.Role)
		}
		n.Wish, n.Replaces, n.JoinedMS = Serve, 0, c.AtMS
		made.insert(n)
		made.NextID = max(made.NextID, n.ID+1)
	}
	*s = made
	return Answer{}, nil
}

func (s *State) insert(n Node) {
	s.Nodes = append(s.Nodes, n)
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *State) join(c Command) (wire.NodeID, error) {
	if c.Node == nil {
		return 0, invalid("no node")
	}
	n := *c.Node
	if err := n.check(); err != nil {
		return 0, err
	}
	for _, o := range s.Nodes {
		if o.Identity == n.Identity {
			return s.rejoin(o, n)
		}
	}
	if n.ID != 0 {
		return 0, &Refusal{Kind: ErrLeft, Node: n.ID,
			Detail: fmt.Sprintf("the data directory of %q is that of node %d, which this fleet does not know any more", n.Name, n.ID),
			Do:     "join with an empty data directory"}
	}
	if err := s.room(n); err != nil {
		return 0, err
	}
	old, taken := s.Named(n.Name)
	if taken && (!c.Replace || old.Role != n.Role) {
		return 0, nameTaken(old, n)
	}
	n.ID, n.Wish, n.Replaces, n.JoinedMS = s.NextID, Serve, old.ID, c.AtMS
	// Whoever is replaced need not be a neighbour of the new one.
	if taken {
		was := s.Nodes[s.find(old.ID)].Wish
		s.Nodes[s.find(old.ID)].Wish = Leave
		if err := s.checkVersions(n); err != nil {
			s.Nodes[s.find(old.ID)].Wish = was
			return 0, err
		}
	} else if err := s.checkVersions(n); err != nil {
		return 0, err
	}
	s.NextID++
	s.insert(n)
	return n.ID, nil
}

func nameTaken(old, n Node) error {
	if old.Role != n.Role {
		return &Refusal{Kind: ErrNameTaken, Node: old.ID,
			Detail: fmt.Sprintf("%q is %s node %d", old.Name, old.Role, old.ID), Do: "choose another name"}
	}
	return &Refusal{Kind: ErrNameTaken, Node: old.ID,
		Detail: fmt.Sprintf("%q is node %d, which has another data directory", old.Name, old.ID),
		Do:     "if its disk is gone, start once with --replace; else give back its data directory or choose another name"}
}

// room says whether one more node fits.
func (s *State) room(n Node) error {
	cores := 0
	for _, o := range s.Nodes {
		if o.Role == Core {
			cores++
		}
	}
	if len(s.Nodes) >= MaxMembers || n.Role == Core && cores >= shardmap.MaxNodes {
		return invalid("the fleet is full: %d nodes, %d of them cores", len(s.Nodes), cores)
	}
	return nil
}

// rejoin is the join of a node that is known: it restarted.
func (s *State) rejoin(old, n Node) (wire.NodeID, error) {
	if old.Name != n.Name || old.Role != n.Role || n.ID != 0 && n.ID != old.ID {
		return 0, &Refusal{Kind: ErrIdentity, Node: old.ID,
			Detail: fmt.Sprintf("this data directory is that of %s node %d, %q", old.Role, old.ID, old.Name),
			Do:     fmt.Sprintf("start it as %q, or join with an empty data directory", old.Name)}
	}
	n.ID = old.ID
	return old.ID, s.put(n)
}

func (s *State) update(c Command) error {
	if c.Node == nil {
		return invalid("no node")
	}
	old, ok := s.Node(c.Node.ID)
	if !ok {
		return unknown(c.Node.ID)
	}
	n := *c.Node
	n.Name = old.Name
	if err := n.checkPlace(); err != nil {
		return err
	}
	n.Role = old.Role
	return s.put(n)
}

// put takes over from n what may change in the life of a node.
func (s *State) put(n Node) error {
	if err := s.checkVersions(n); err != nil {
		return err
	}
	have := &s.Nodes[s.find(n.ID)]
	have.Zone, have.Addrs, have.Versions = n.Zone, n.Addrs, n.Versions
	return nil
}

func unknown(id wire.NodeID) error {
	return &Refusal{Kind: ErrUnknownNode, Node: id, Detail: fmt.Sprintf("node %d", id),
		Do: "see `godwit nodes`; a node that was decommissioned joins again with an empty data directory"}
}

func (s *State) wish(c Command) error {
	if c.Node == nil {
		return invalid("no node")
	}
	n, ok := s.Node(c.Node.ID)
	if !ok {
		return unknown(c.Node.ID)
	}
	switch c.Node.Wish {
	case Serve, Drain:
		if by := s.replacedBy(n.ID); by != 0 {
			return &Refusal{Kind: ErrLeft, Node: n.ID, Detail: fmt.Sprintf("node %d replaces node %d", by, n.ID), Do: "nothing is to be done"}
		}
	case Leave:
		if err := s.canLeave(n); err != nil {
			return err
		}
		s.Hold = false
	default:
		return invalid("wish %q, want %s, %s or %s", c.Node.Wish, Serve, Drain, Leave)
	}
	s.Nodes[s.find(n.ID)].Wish = c.Node.Wish
	return nil
}

// canLeave says whether the shards of n have somewhere to go.
func (s *State) canLeave(n Node) error {
	if !stays(n) || s.Map == nil {
		return nil
	}
	left := len(s.desired()) - 1
	if left >= s.Settings.Replicas {
		return nil
	}
	return &Refusal{Kind: ErrTooFew, Node: n.ID, Shards: s.holds(n.ID),
		Detail: fmt.Sprintf("%d core nodes without node %d, for %d replicas a shard", left, n.ID, s.Settings.Replicas),
		Do:     "join another core node first, or plan with fewer replicas"}
}

func (s *State) forget(c Command) error {
	if c.Node == nil {
		return invalid("no node")
	}
	i := s.find(c.Node.ID)
	if i < 0 {
		return unknown(c.Node.ID)
	}
	if held := s.holds(c.Node.ID); len(held) > 0 {
		return &Refusal{Kind: ErrHolds, Node: c.Node.ID, Shards: held, Do: "decommission it and wait"}
	}
	if s.moving(c.Node.ID) {
		return &Refusal{Kind: ErrHolds, Node: c.Node.ID, Detail: "a move has not ended yet", Do: "wait for the plan, or abort it"}
	}
	s.Nodes = slices.Delete(s.Nodes, i, i+1)
	for j := range s.Nodes {
		if s.Nodes[j].Replaces == c.Node.ID {
			s.Nodes[j].Replaces = 0
		}
	}
	return nil
}

func (s *State) setMap(c Command) error {
	m, err := shardmap.Decode(c.Map)
	if errors.Is(err, shardmap.ErrVersion) {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	} else if err != nil {
		return invalid("%v", err)
	}
	if m.Epoch() != s.Epoch()+1 {
		return &Refusal{Kind: ErrEpoch,
			Detail: fmt.Sprintf("epoch %d, the current map has %d", m.Epoch(), s.Epoch()), Do: "plan again on the current map"}
	}
	if len(m.Shards()) != s.Settings.Shards {
		return invalid("a map of %d shards for a fleet of %d", len(m.Shards()), s.Settings.Shards)
	}
	for _, n := range m.Nodes() {
		if o, ok := s.Node(n.ID); !ok || o.Role != Core {
			return unknown(n.ID)
		}
	}
	s.Map = m
	return nil
}

func (s *State) startPlan(c Command) (uint64, error) {
	switch {
	case s.Map == nil:
		return 0, &Refusal{Kind: ErrNoMap, Do: fmt.Sprintf("it is made when %d core nodes have joined", s.Settings.Cores)}
	case s.Plan != nil:
		return 0, &Refusal{Kind: ErrPlanRuns, Detail: fmt.Sprintf("plan %d, %s", s.Plan.ID, s.Plan.Why), Do: "wait until it is done, or abort it"}
	case c.Replicas < 0 || c.Replicas > shardmap.MaxReplicas:
		return 0, invalid("%d replicas, want 1 to %d", c.Replicas, shardmap.MaxReplicas)
	case len(c.Moves) == 0 && c.Replicas == 0:
		return 0, invalid("a plan without moves")
	}
	if err := s.fits(c.Moves); err != nil {
		return 0, err
	}
	if c.Replicas != 0 {
		s.Settings.Replicas = c.Replicas
	}
	s.Hold = false
	if len(c.Moves) == 0 {
		return 0, nil
	}
	s.Plans++
	s.Plan = &Plan{ID: s.Plans, Why: c.Why, Moves: slices.Clone(c.Moves), FromMS: c.AtMS}
	return s.Plans, nil
}

// fits says whether the moves can be made from the map as it is.
func (s *State) fits(moves []place.Move) error {
	d := s.Map.Draft()
	for _, mv := range moves {
		if mv.To != 0 && !s.staying(mv.To) {
			return stale(mv, fmt.Sprintf("node %d is not a core node that stays", mv.To))
		}
		if mv.Shard == 0 || int(mv.Shard) > len(d.Replicas) {
			return stale(mv, "there is no such shard")
		}
		r := &d.Replicas[mv.Shard-1]
		if mv.From == mv.To || mv.From != 0 && !slices.Contains(*r, mv.From) || mv.To != 0 && slices.Contains(*r, mv.To) {
			return stale(mv, fmt.Sprintf("the replicas are %v", *r))
		}
		*r = slices.DeleteFunc(*r, func(n wire.NodeID) bool { return n == mv.From })
		if mv.To != 0 {
			*r = append(*r, mv.To)
		}
		if len(*r) == 0 || len(*r) >= shardmap.MaxReplicas+1 {
			return stale(mv, fmt.Sprintf("%d replicas would be left", len(*r)))
		}
	}
	return nil
}

func stale(mv place.Move, why string) error {
	return &Refusal{Kind: ErrStalePlan, Detail: fmt.Sprintf("%s: %s", mv, why), Do: "plan again on the current map"}
}

package demo

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/fleet"
)

// Ports are taken from below those that systems give to connections that go
// out, so that a member which was killed finds its own still free.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// plan says who the members are: as kept, or new ones on free ports.
func (d *demo) plan(kept *Fleet) (*Fleet, error) {
	if kept != nil {
		return d.again(kept)
	}
	c := &d.cfg
	orElse(&c.Controls, DefaultControls)
	orElse(&c.Cores, DefaultCores)
	orElse(&c.Edges, DefaultEdges)
	orElse(&c.Replicas, min(3, c.Cores))
	p := &ports{next: firstPort + rand.N(lastPort-firstPort)}
	f := &Fleet{Replicas: c.Replicas}
	for _, r := range []struct {
		role fleet.Role
		n    int
	}{{fleet.Control, c.Controls}, {fleet.Core, c.Cores}, {fleet.Edge, c.Edges}} {
		for i := range r.n {
			m := Member{Name: fmt.Sprintf("%s-%d", r.role, i+1), Role: r.role}
			if err := d.place(&m, p); err != nil {
				return nil, err
			}
			f.Processes = append(f.Processes, m)
		}
	}
	d.argv(f)
	return f, nil
}

func orElse(n *int, otherwise int) {
	if *n == 0 {
		*n = otherwise
	}
}

// place gives a member its addresses.
func (d *demo) place(m *Member, p *ports) (err error) {
	m.Data, m.Log = d.path(m.Name), d.path(m.Name+".log")
	want := []*string{&m.Admin}
	switch m.Role {
	case fleet.Control, fleet.Core:
		want = append(want, &m.Addr, &m.Raft)
	case fleet.Edge:
		want = append(want, &m.Public)
	}
	for _, addr := range want {
		if *addr, err = p.take(); err != nil {
			return err
		}
	}
	if m.Public != "" {
		m.Addr, m.Public = m.Public, "http://"+m.Public
	}
	return nil
}

// again takes the members of an earlier start, on the ports that they had. A
// core or edge whose port somebody else has meanwhile gets another one; the
// control members' stand in their log.
func (d *demo) again(kept *Fleet) (*Fleet, error) {
	count := map[fleet.Role]int{}
	for i := range kept.Processes {
		count[kept.Processes[i].Role]++
	}
	for _, r := range []struct {
		role fleet.Role
		want int
	}{{fleet.Control, d.cfg.Controls}, {fleet.Core, d.cfg.Cores}, {fleet.Edge, d.cfg.Edges}} {
		if r.want != 0 && r.want != count[r.role] {
			return nil, fault.New(fault.BadValue, "%s holds a fleet with %d %s processes, not %d", d.cfg.Dir, count[r.role], r.role, r.want).
				Advise("leave the numbers out to start that fleet, or name another directory with --data")
		}
	}
	p := &ports{next: firstPort + rand.N(lastPort-firstPort)}
	for i := range kept.Processes {
		m := &kept.Processes[i]
		m.PID = 0
		for _, addr := range []string{m.Addr, m.Raft, m.Admin} {
			if addr == "" || free(addr) {
				continue
			}
			if m.Role == fleet.Control {
				return nil, &fault.Error{Code: fault.PortTaken, Detail: addr + ", which " + m.Name + " of this fleet has to have",
					Do: "stop the program that holds it, or name another directory with --data"}
			}
			if err := d.place(m, p); err != nil {
				return nil, err
			}
			break
		}
	}
	d.argv(kept)
	return kept, nil
}

// argv says how each member is started.
func (d *demo) argv(f *Fleet) {
	var peers []string
	f.Control = nil
	cores := 0
	for i := range f.Processes {
		switch m := &f.Processes[i]; m.Role {
		case fleet.Control:
			_, port, _ := net.SplitHostPort(m.Addr)
			peers = append(peers, m.Name+"="+m.Raft+"/"+port)
			f.Control = append(f.Control, m.Addr)
		case fleet.Core:
			cores++
		}
	}
	for i := range f.Processes {
		m := &f.Processes[i]
		m.Argv = []string{d.cfg.Binary, string(m.Role), "--name", m.Name, "--data", m.Data, "--admin", m.Admin, "--join-secret-file", d.path(secretFile)}
		switch m.Role {
		case fleet.Control:
			m.Argv = append(m.Argv, "--api", m.Addr, "--raft", m.Raft, "--peers", strings.Join(peers, ","),
				"--cores", strconv.Itoa(cores), "--replicas", strconv.Itoa(f.Replicas))
		case fleet.Core:
			m.Argv = append(m.Argv, "--link", m.Addr, "--raft", m.Raft, "--control", strings.Join(f.Control, ","))
		case fleet.Edge:
			m.Argv = append(m.Argv, "--listen", m.Addr, "--control", strings.Join(f.Control, ","))
		}
	}
}

// ports gives out addresses of loopback that nobody listens on.
type ports struct{ next int }

func (p *ports) take() (string, error) {
	for range lastPort - firstPort {
		if p.next++; p.next >= lastPort {
			p.next = firstPort
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.next))
		if free(addr) {
			return addr, nil
		}
	}
	return "", fault.New(fault.PortTaken, "every port from %d to %d", firstPort, lastPort)
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

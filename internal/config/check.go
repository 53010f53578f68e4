package config

import (
	"io"
	"net"
	"os"
	"strings"

	"github.com/godwit-im/godwit/internal/fault"
)

const (
	// minSecret is the least length of an HS256 secret, that of its hash.
	minSecret = 32
	// minJoinSecret is what nobody guesses over the network.
	minJoinSecret = 16
	// maxJoinSecret bounds a header of every request between nodes.
	maxJoinSecret = 512
)

// check judges settings that depend on one another.
func (p *Process) check() (problems []error) {
	add := func(err *fault.Error) { problems = append(problems, err) }
	if clients.has(p.Role) {
		p.Server.check(add)
	}
	if fleet.has(p.Role) {
		p.checkPlace(add)
		p.checkSecret(add)
		p.checkExposure(add)
	}
	return problems
}

func (s *Server) check(add func(*fault.Error)) {
	if (s.TLSCert == "") != (s.TLSKey == "") {
		add(fault.New(fault.BadValue, "only one of tls_cert and tls_key is set").Advise("set both, or none"))
	}
	if s.AuthHS256Secret != "" && len(s.AuthHS256Secret) < minSecret {
		add(fault.New(fault.BadValue, "auth_hs256_secret has %d bytes", len(s.AuthHS256Secret)).
			Advise("use at least %d random bytes, for instance from `openssl rand -base64 32`", minSecret))
	}
	if s.DevSignIn() && !s.InsecureDevAuth && !loopback(s.Listen) {
		add(fault.New(fault.DevAuthExposed, "no key is configured, and --listen %s is not a loopback address", s.Listen))
	}
}

// checkPlace judges who the node is and whom it joins.
func (p *Process) checkPlace(add func(*fault.Error)) {
	if p.Role != Control {
		if len(p.Control) == 0 {
			add(fault.New(fault.BadValue, "no control member is named").Advise("set --control to the --api address of one or more, such as 10.0.0.1:7700"))
		}
		return
	}
	if len(p.Control) > 0 && len(p.Peers) > 0 {
		add(fault.New(fault.BadValue, "both peers and control are set").
			Advise("set --peers to begin a control group with these members, or --control to join one that exists"))
	}
	if p.Cores < p.Replicas {
		add(fault.New(fault.BadValue, "%d replicas cannot be placed on %d cores", p.Replicas, p.Cores).
			Advise("lower --replicas or raise --cores: each replica of a shard is on a core of its own"))
	}
	seen := map[string]bool{}
	for _, peer := range p.Peers {
		if seen[peer.Name] || seen[peer.Raft] {
			add(fault.New(fault.BadValue, "peers names %s at %s, and the name or the address twice", peer.Name, peer.Raft).Advise("give each member a name and an address of its own"))
		}
		seen[peer.Name], seen[peer.Raft] = true, true
	}
	if len(p.Peers) > 0 && !seen[p.Name] {
		add(fault.New(fault.BadValue, "peers does not name this node, %s", p.Name).Advise("add %s=HOST:PORT, or correct --name; all members have the same list", p.Name))
	}
}

// checkSecret reads the join secret where it is in a file.
func (p *Process) checkSecret(add func(*fault.Error)) {
	if p.JoinSecretFile != "" {
		if p.JoinSecret != "" {
			add(fault.New(fault.BadValue, "both join_secret and join_secret_file are set").Advise("set one of them"))
			return
		}
		f, err := os.Open(p.JoinSecretFile)
		if err != nil {
			add(fault.New(fault.BadValue, "join_secret_file: %w", err).Advise("name a file that this process may read"))
			return
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, 2*maxJoinSecret))
		if err != nil {
			add(fault.New(fault.BadValue, "join_secret_file: %w", err).Advise("name a file that this process may read"))
			return
		}
		p.JoinSecret = strings.TrimSpace(string(b))
	}
	switch n := len(p.JoinSecret); {
	case n == 0:
		add(fault.New(fault.BadValue, "there is no join secret").
			Advise("set GODWIT_JOIN_SECRET or --join-secret-file, the same for every node; `openssl rand -hex 32` makes one"))
	case n < minJoinSecret || n > maxJoinSecret:
		add(fault.New(fault.BadValue, "the join secret has %d bytes, want %d to %d", n, minJoinSecret, maxJoinSecret).Advise("make one with `openssl rand -hex 32`"))
	case strings.ContainsFunc(p.JoinSecret, func(r rune) bool { return r <= ' ' || r > '~' }):
		add(fault.New(fault.BadValue, "the join secret holds more than letters, digits and signs of ASCII").Advise("make one with `openssl rand -hex 32`"))
	}
}

// checkExposure judges what other machines could reach, and be reached by.
func (p *Process) checkExposure(add func(*fault.Error)) {
	listen := []struct{ flag, addr string }{{"api", p.API}, {"link", p.Link}, {"raft", p.Raft}}
	far := ""
	for _, l := range listen {
		if l.addr == "" {
			continue // not this role's
		}
		if !loopback(l.addr) && far == "" {
			far = "--" + l.flag + " " + l.addr
		}
		if unspecified(l.addr) && p.Advertise == "" {
			add(fault.New(fault.BadValue, "--%s %s listens on every address, and none is one that others could be told", l.flag, l.addr).
				Advise("set --advertise to the host where other nodes reach this one"))
			break
		}
	}
	for _, a := range p.Control {
		if !loopback(a) && far == "" {
			far = "--control " + a
		}
	}
	for _, peer := range p.Peers {
		if !loopback(peer.Raft) && far == "" {
			far = "--peers " + peer.Raft
		}
	}
	switch {
	case p.PKI != "" && p.InsecurePlaintext:
		add(fault.New(fault.BadValue, "both pki and insecure_plaintext are set").Advise("set one of them"))
	case p.PKI == "" && !p.InsecurePlaintext && far != "":
		add(fault.New(fault.PlaintextExposed, "%s is not a loopback address, and --pki is not set", far))
	}
}

// unspecified reports whether addr means every address of the machine.
func unspecified(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified())
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

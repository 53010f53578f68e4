package pki_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
)

func newCA(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := pki.Init(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, r pki.Request) string {
	t.Helper()
	if r.OutDir == "" {
		r.OutDir = filepath.Join(t.TempDir(), "node")
	}
	if r.Role == "" {
		r.Role, r.Name = pki.Core, "core-1"
	}
	if r.Hosts == nil {
		r.Hosts = []string{"127.0.0.1", "core-1.lan"}
	}
	if err := pki.Issue(r); err != nil {
		t.Fatal(err)
	}
	return r.OutDir
}

func load(t *testing.T, dir string) *pki.Node {
	t.Helper()
	n, err := pki.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// talk connects a client to a server and lets each say a word. It returns who
// the server saw, and the errors of both sides.
func talk(t *testing.T, server, client *tls.Config) (saw string, serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		sc := tls.Server(a, server)
		err := sc.Handshake()
		if err == nil {
			var role, name string
			role, name, err = pki.PeerRole(sc.ConnectionState())
			saw = role + " " + name
			_, _ = sc.Write([]byte("x"))
		}
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	cc := tls.Client(b, client)
	if clientErr = cc.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(cc, make([]byte, 1))
	}
	b.Close()
	return saw, <-done, clientErr
}

func TestNodesOfOneAuthorityTalk(t *testing.T) {
	ca := newCA(t)
	core := load(t, issue(t, pki.Request{CADir: ca}))
	edge := load(t, issue(t, pki.Request{CADir: ca, Role: pki.Edge, Name: "edge-7", Hosts: []string{}}))
	saw, serverErr, clientErr := talk(t, core.Server(pki.Core, pki.Edge), edge.Client(pki.Core))
	if saw != "edge edge-7" || serverErr != nil || clientErr != nil {
		t.Errorf("saw %q, %v, %v", saw, serverErr, clientErr)
	}
	if core.Role() != "core" || core.Name() != "core-1" || len(core.Warnings()) != 0 || core.Check() != nil {
		t.Errorf("%s %s %v %v", core.Role(), core.Name(), core.Warnings(), core.Check())
	}
	if left := time.Until(core.NotAfter()); left < 364*24*time.Hour || left > 366*24*time.Hour {
		t.Errorf("ends in %v", left)
	}
	_, _, key := core.Files()
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(ca, pki.CAKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key file: %v %v", info.Mode(), err)
	}
}

func TestWhoIsNotBelieved(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	core := load(t, issue(t, pki.Request{CADir: ca}))
	edge := load(t, issue(t, pki.Request{CADir: ca, Role: pki.Edge, Name: "edge-7"}))
	foreign := load(t, issue(t, pki.Request{CADir: other}))
	anonymous := edge.Client()
	anonymous.GetClientCertificate = nil
	old := edge.Client()
	old.MaxVersion = tls.VersionTLS12
	old.MinVersion = tls.VersionTLS12
	for name, c := range map[string]struct {
		server, client         *tls.Config
		serverSays, clientSays string
	}{
		"server of another authority": {foreign.Server(), edge.Client(), "remote error", "(core core-1): it is not of an authority in ca.pem"},
		"client of another authority": {core.Server(), func() *tls.Config {
			c := foreign.Client()
			c.VerifyConnection = nil
			return c
		}(), "(core core-1): it is not of an authority in ca.pem", "remote error"},
		"client without certificate": {core.Server(), anonymous, "client didn't provide a certificate", "certificate required"},
		"an edge serves as a core":   {edge.Server(), core.Client(pki.Core), "remote error", "the peer is edge edge-7, want a certificate of role core"},
		"a core asks as an operator": {core.Server(pki.Operator), core.Client(), "the peer is core core-1, want a certificate of role operator", "remote error"},
		"TLS 1.2":                    {core.Server(), old, "unsupported versions", "protocol version"},
	} {
		_, serverErr, clientErr := talk(t, c.server, c.client)
		for _, e := range []struct {
			err  error
			says string
		}{{serverErr, c.serverSays}, {clientErr, c.clientSays}} {
			if e.err == nil || !strings.Contains(e.err.Error(), e.says) {
				t.Errorf("%s: %v, want %q", name, e.err, e.says)
			}
		}
	}
}

func TestWhatLoadRefuses(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	damage := func(name, text string) func(dir string) {
		return func(dir string) { write(t, filepath.Join(dir, name), []byte(text)) }
	}
	from := func(dir, name string) func(string) {
		return func(to string) { write(t, filepath.Join(to, name), read(t, filepath.Join(dir, name))) }
	}
	second := issue(t, pki.Request{CADir: ca})
	for name, c := range map[string]struct {
		change func(dir string)
		says   string
	}{
		"no key":            {func(dir string) { remove(t, filepath.Join(dir, pki.KeyFile)) }, "no such file or directory; make it with `godwit pki issue`"},
		"no authority":      {func(dir string) { remove(t, filepath.Join(dir, pki.CAFile)) }, "ca.pem: no such file"},
		"a key that is not": {damage(pki.KeyFile, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "node-key.pem: the private key in it is damaged"},
		"no PEM":            {damage(pki.CertFile, "hello"), "node.pem: holds no certificate in PEM form"},
		"another's key":     {from(second, pki.KeyFile), "is not the key of"},
		"another authority": {from(other, pki.CAFile), "it is not of an authority in ca.pem"},
		"an authority's certificate": {func(dir string) {
			write(t, filepath.Join(dir, pki.CertFile), read(t, filepath.Join(ca, pki.CAFile)))
			write(t, filepath.Join(dir, pki.KeyFile), read(t, filepath.Join(ca, pki.CAKeyFile)))
		}, "does not say which node it is for"},
		"too long": {damage(pki.CertFile, strings.Repeat("x", 2<<20)), "longer than 1 MiB"},
	} {
		dir := issue(t, pki.Request{CADir: ca})
		c.change(dir)
		_, err := pki.Load(dir)
		if !errors.Is(err, &fault.Error{Code: fault.BadKeyFile}) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if _, problem, _ := pki.Show(dir); problem == nil && name != "too long" && name != "no PEM" {
			t.Errorf("%s: Show finds nothing wrong", name)
		}
	}
}

// A certificate ends while its process runs, and after.
func TestCertificatesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t)
		dir := issue(t, pki.Request{CADir: ca, Validity: 10 * 24 * time.Hour})
		n := load(t, dir)
		if len(n.Warnings()) != 0 {
			t.Errorf("warnings at the start: %v", n.Warnings())
		}
		time.Sleep(9 * 24 * time.Hour)
		if w := load(t, dir).Warnings(); len(w) != 1 || !strings.Contains(w[0], "ends on") {
			t.Errorf("a day before the end: %v", w)
		}
		time.Sleep(2 * 24 * time.Hour)
		if err := n.Check(); err == nil || !strings.Contains(err.Error(), "ended on") {
			t.Errorf("readiness after the end: %v", err)
		}
		if _, err := pki.Load(dir); err == nil || !strings.Contains(err.Error(), "renew it: `godwit pki issue`") {
			t.Errorf("a start after the end: %v", err)
		}
		_, serverErr, clientErr := talk(t, n.Server(), n.Client())
		if serverErr == nil || clientErr == nil || !strings.Contains(clientErr.Error(), "it ended on") {
			t.Errorf("%v, %v", serverErr, clientErr)
		}
		issue(t, pki.Request{CADir: ca, OutDir: dir})
		time.Sleep(10 * time.Second)
		if err := n.Check(); err != nil {
			t.Errorf("renewed, and not ready: %v", err)
		}
		err := pki.Issue(pki.Request{CADir: ca, OutDir: dir, Role: pki.Core, Name: "core-1", Hosts: []string{"a"}, Validity: 3650 * 24 * time.Hour})
		if err == nil || !strings.Contains(err.Error(), "use --days 3638") {
			t.Errorf("longer than its authority: %v", err)
		}
	})
}

func TestFilesAreReadAgain(t *testing.T) {
	ca := newCA(t)
	dir := issue(t, pki.Request{CADir: ca})
	n := load(t, dir)
	server, client := n.Server(), load(t, issue(t, pki.Request{CADir: ca})).Client()
	serial := func() string {
		var got string
		c := client.Clone()
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			got = cs.PeerCertificates[0].SerialNumber.String()
			return client.VerifyConnection(cs)
		}
		n.LookAgain()
		if _, serverErr, clientErr := talk(t, server, c); serverErr != nil || clientErr != nil {
			t.Fatal(serverErr, clientErr)
		}
		return got
	}
	first := serial()
	issue(t, pki.Request{CADir: ca, OutDir: dir})
	second := serial()
	if first == second {
		t.Fatal("a renewed certificate is not shown")
	}
	log := new(strings.Builder)
	n.LogTo(logger(log))
	write(t, filepath.Join(dir, pki.CertFile), []byte("half"))
	if serial() != second || n.Check() == nil || strings.Count(log.String(), "going on with those before") != 1 {
		t.Errorf("a broken file: %v, log %q", n.Check(), log)
	}
	// An authority is replaced: the new one beside the old, then new certificates.
	next := newCA(t)
	issue(t, pki.Request{CADir: ca, OutDir: dir, Role: pki.Core, Name: "core-1"})
	both := append(read(t, filepath.Join(ca, pki.CAFile)), read(t, filepath.Join(next, pki.CAFile))...)
	write(t, filepath.Join(dir, pki.CAFile), both)
	n.LookAgain()
	newcomer := load(t, issue(t, pki.Request{CADir: next, Role: pki.Edge, Name: "edge-1"})).Client()
	newcomer.VerifyConnection = nil // it does not know the old authority
	if saw, serverErr, clientErr := talk(t, server, newcomer); saw != "edge edge-1" {
		t.Error(serverErr, clientErr)
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
	issue(t, pki.Request{CADir: next, OutDir: dir})
}

func TestKeyThatOthersCanReadIsAWarning(t *testing.T) {
	dir := issue(t, pki.Request{CADir: newCA(t)})
	if err := os.Chmod(filepath.Join(dir, pki.KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	load(t, dir).LogTo(logger(log))
	if !strings.Contains(log.String(), "can be read or written by others (mode 0644): chmod 600 it") {
		t.Errorf("log %q", log)
	}
}

func TestWhatInitAndIssueRefuse(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	before := read(t, filepath.Join(ca, pki.CAKeyFile))
	if err := pki.Init(ca); err == nil || !strings.Contains(err.Error(), "holds an authority already") {
		t.Errorf("a second init: %v", err)
	}
	if string(read(t, filepath.Join(ca, pki.CAKeyFile))) != string(before) {
		t.Fatal("the key was overwritten")
	}
	node := issue(t, pki.Request{CADir: ca})
	good := pki.Request{CADir: ca, OutDir: t.TempDir(), Role: pki.Core, Name: "core-2", Hosts: []string{"::1"}}
	for name, c := range map[string]struct {
		change func(*pki.Request)
		says   string
	}{
		"role":              {func(r *pki.Request) { r.Role = "cor" }, "use one of control, core, edge, operator"},
		"name":              {func(r *pki.Request) { r.Name = "Core 2" }, "cannot be a node's name"},
		"no host":           {func(r *pki.Request) { r.Hosts = nil }, "no host is named"},
		"host with a port":  {func(r *pki.Request) { r.Hosts = []string{"10.0.0.1:7710"} }, "neither an IP address nor a DNS name"},
		"every host":        {func(r *pki.Request) { r.Hosts = []string{"0.0.0.0"} }, "means every address"},
		"past":              {func(r *pki.Request) { r.Validity = -time.Hour }, "would be of no use"},
		"no authority":      {func(r *pki.Request) { r.CADir = t.TempDir() }, "give --ca a directory made by `godwit pki init`"},
		"into another node": {func(r *pki.Request) { r.OutDir = node }, "holds the certificate of core core-1"},
		"into the authority": {func(r *pki.Request) { r.OutDir = ca },
			"is an authority's directory"},
		"renewed by another": {func(r *pki.Request) { r.CADir, r.OutDir, r.Name = other, node, "core-1" }, "holds another authority"},
	} {
		r := good
		c.change(&r)
		if err := pki.Issue(r); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	load(t, node) // untouched
}

func TestShow(t *testing.T) {
	ca := newCA(t)
	list, problem, err := pki.Show(issue(t, pki.Request{CADir: ca}))
	if err != nil || problem != nil || len(list) != 2 || !list[0].Authority ||
		list[1].Role != pki.Core || list[1].Name != "core-1" || strings.Join(list[1].Hosts, " ") != "core-1.lan 127.0.0.1" || list[1].Issuer == "" {
		t.Errorf("%+v %v %v", list, problem, err)
	}
	if list, problem, err := pki.Show(ca); err != nil || problem != nil || len(list) != 1 {
		t.Errorf("%+v %v %v", list, problem, err)
	}
	if _, _, err := pki.Show(t.TempDir()); err == nil {
		t.Error("an empty directory is shown")
	}
}

package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// lookEvery bounds how often the files are looked at: three calls of stat.
const lookEvery = 5 * time.Second

// Node is one process's certificates. Its methods are safe for concurrent use.
type Node struct {
	dir  string
	role string
	name string
	log  *slog.Logger

	mu struct {
		sync.Mutex
		now     *material
		looked  time.Time
		files   stamp // as they were when they were last read
		problem error // what was wrong with them then, nil: nothing
	}
}

// material is what the files of a node hold. It is immutable.
type material struct {
	cert     *tls.Certificate
	roots    *x509.CertPool
	notAfter time.Time
	role     string
	name     string
	warnings []string
}

// Load reads a node's directory. It fails when a file is missing or damaged,
// when the certificate is out of its time or of none of the authorities in
// ca.pem, and when the key is not the certificate's. Errors are *fault.Error
// and say what to do.
func Load(dir string) (*Node, error) {
	n := &Node{dir: dir, log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	files := n.stat()
	m, err := read(dir, now)
	if err != nil {
		return nil, err
	}
	n.role, n.name = m.role, m.name
	n.mu.now, n.mu.looked, n.mu.files = m, now, files
	return n, nil
}

// LogTo makes n log its warnings, now, and renewals and their troubles from now
// on. Call it before n is shared.
func (n *Node) LogTo(log *slog.Logger) {
	n.log = log
	for _, w := range n.Warnings() {
		log.Warn("pki: " + w)
	}
}

// Role returns what the certificate says that this process is.
func (n *Node) Role() string { return n.role }

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Files returns the paths of the authorities, the certificate and the key, for
// libraries that read them on their own.
func (n *Node) Files() (ca, cert, key string) {
	return filepath.Join(n.dir, CAFile), filepath.Join(n.dir, CertFile), filepath.Join(n.dir, KeyFile)
}

// NotAfter returns when the certificate ends, or its authority does if that is
// sooner. It looks at the files, as a connection would.
func (n *Node) NotAfter() time.Time { return n.current().notAfter }

// Warnings returns what works and should not stay: a key that others may read,
// a certificate that ends soon.
func (n *Node) Warnings() []string { return n.current().warnings }

// Check returns why the node can soon, or already, not be believed by others:
// its files changed into something of no use, or its certificate has ended. For
// readiness.
func (n *Node) Check() error {
	m := n.current()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.problem != nil {
		return n.mu.problem
	}
	if time.Now().After(m.notAfter) {
		return ended(filepath.Join(n.dir, CertFile), m.notAfter)
	}
	return nil
}

// Server returns the settings for accepting connections: TLS 1.3, and the peer
// must show a certificate of this fleet that names one of the roles (none: any).
// The caller owns what is returned.
func (n *Node) Server(roles ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert, // judged by VerifyConnection, with the authorities of that moment
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return n.current().cert, nil
		},
		VerifyConnection:       n.verify(x509.ExtKeyUsageClientAuth, roles),
		SessionTicketsDisabled: true, // each connection shows its certificate
	}
}

// Client returns the settings for dialling, the counterpart of Server. The
// server's name is not compared; see the package's doc.
func (n *Node) Client(roles ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // of the library's own check, which knows one set of authorities for ever; VerifyConnection does it
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return n.current().cert, nil
		},
		VerifyConnection: n.verify(x509.ExtKeyUsageServerAuth, roles),
	}
}

// verify judges a peer by the authorities of that moment.
func (n *Node) verify(usage x509.ExtKeyUsage, roles []string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the peer shows no certificate")
		}
		leaf := cs.PeerCertificates[0]
		if _, err := verifyChain(leaf, cs.PeerCertificates[1:], n.current().roots, usage, time.Now()); err != nil {
			return fmt.Errorf("the peer's certificate (%s): %w", title(leaf), err)
		}
		role, _, err := PeerRole(cs)
		if err != nil {
			return err
		}
		if len(roles) > 0 && !slices.Contains(roles, role) {
			return fmt.Errorf("the peer is %s, want a certificate of role %s here", title(leaf), strings.Join(roles, " or "))
		}
		return nil
	}
}

// verifyChain returns until when a certificate is believed, or in words of
// people why it is not.
func verifyChain(leaf *x509.Certificate, chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, now time.Time) (until time.Time, err error) {
	between := x509.NewCertPool()
	for _, c := range chain {
		between.AddCert(c)
	}
	ways, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		return until, fmt.Errorf("it is good from %s on: check the clocks of both machines", leaf.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(leaf.NotAfter):
		return until, fmt.Errorf("it ended on %s: renew it with `godwit pki issue`", day(leaf.NotAfter))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return until, errors.New("its authority is not in its time: make a new one with `godwit pki init`, and check the clocks")
	case errors.As(err, &unknown):
		return until, fmt.Errorf("it is not of an authority in %s: issue both with the same --ca", CAFile)
	case err != nil:
		return until, err
	}
	for _, way := range ways {
		end := way[0].NotAfter
		for _, c := range way[1:] {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(until) {
			until = end
		}
	}
	return until, nil
}

// title names the node of a certificate in a message.
func title(c *x509.Certificate) string {
	if role, name, err := identity(c); err == nil {
		return role + " " + name
	}
	return fmt.Sprintf("%q", c.Subject.CommonName)
}

// current returns what the files held when they were last looked at, and looks
// when that is long ago.
func (n *Node) current() *material {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Sub(n.mu.looked) < lookEvery {
		return n.mu.now
	}
	n.mu.looked = now
	files := n.stat()
	if files == n.mu.files {
		return n.mu.now
	}
	n.mu.files = files
	m, err := read(n.dir, now)
	if err == nil && (m.role != n.role || m.name != n.name) {
		err = fault.New(fault.BadKeyFile, "%s now holds the certificate of %s %s, this is %s %s", n.dir, m.role, m.name, n.role, n.name).
			Advise("put back the certificate of this node")
	}
	if n.mu.problem = err; err != nil {
		n.log.Error("pki: the certificates have changed and cannot be used; going on with those before", "dir", n.dir, "err", err)
		return n.mu.now
	}
	n.mu.now = m
	n.log.Info("pki: certificates renewed", "dir", n.dir, "until", m.notAfter.UTC().Format(time.RFC3339))
	return m
}

// stamp tells whether files have changed.
type stamp [3]struct{ size, changed int64 }

func (n *Node) stat() (s stamp) {
	ca, cert, key := n.Files()
	for i, name := range []string{ca, cert, key} {
		if info, err := os.Stat(name); err == nil {
			s[i].size, s[i].changed = info.Size(), info.ModTime().UnixNano()
		}
	}
	return s
}

// soon is when a certificate that ends is worth a warning; for one of a short
// life it is the last third.
const soon = 30 * 24 * time.Hour

// read reads and judges the files of a node.
func read(dir string, now time.Time) (*material, error) {
	caFile, certFile, keyFile := filepath.Join(dir, CAFile), filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	authorities, err := readCerts(caFile)
	if err != nil {
		return nil, err
	}
	chain, err := readCerts(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	m := &material{cert: &tls.Certificate{PrivateKey: key, Leaf: chain[0]}, roots: x509.NewCertPool()}
	for _, c := range chain {
		m.cert.Certificate = append(m.cert.Certificate, c.Raw)
	}
	for _, c := range authorities {
		m.roots.AddCert(c)
	}
	if err := m.judge(chain, key, certFile, keyFile, now); err != nil {
		return nil, err
	}
	m.warn(chain[0], keyFile, certFile, now)
	return m, nil
}

// judge reports whether the parts fit together.
func (m *material) judge(chain []*x509.Certificate, key crypto.Signer, certFile, keyFile string, now time.Time) (err error) {
	leaf := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok || !public.Equal(leaf.PublicKey):
		return fault.New(fault.BadKeyFile, "%s is not the key of %s", keyFile, certFile).Advise("issue both anew with `godwit pki issue`, and copy all files of the directory")
	case now.After(leaf.NotAfter):
		return ended(certFile, leaf.NotAfter)
	}
	if m.role, m.name, err = identity(leaf); err != nil {
		return err
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if m.notAfter, err = verifyChain(leaf, chain[1:], m.roots, usage, now); err != nil {
			return fault.New(fault.BadKeyFile, "the certificate in %s: %w", certFile, err).Advise("issue it with the authority in %s of the other nodes", CAFile)
		}
	}
	return nil
}

func ended(certFile string, at time.Time) error {
	return fault.New(fault.BadKeyFile, "the certificate in %s ended on %s", certFile, day(at)).
		Advise("renew it: `godwit pki issue` with the same --out, --role and --name; a running node takes it within seconds")
}

// warn notes what should not stay.
func (m *material) warn(leaf *x509.Certificate, keyFile, certFile string, now time.Time) {
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		m.warnings = append(m.warnings, fmt.Sprintf("%s can be read or written by others (mode %04o): chmod 600 it, and issue it anew if somebody may have", keyFile, info.Mode().Perm()))
	}
	if left := m.notAfter.Sub(now); left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/3) {
		m.warnings = append(m.warnings, fmt.Sprintf("the certificate in %s ends on %s: renew it with `godwit pki issue`", certFile, day(m.notAfter)))
	}
}

// Package pki makes and reads the certificates with which the processes of one
// fleet know each other. It is a certificate authority of a few hundred lines
// for people who have none; who has one can have it sign certificates of the
// same form (see Certificates below) and put them into the same files.
//
// # Directories
//
//	CA DIRECTORY (kept away from the nodes)     NODE DIRECTORY (one a process)
//	ca.pem        the authority's certificate   ca.pem        whom the node believes; may hold several
//	ca-key.pem    its key, 0600                 node.pem      the node's certificate, its chain after it
//	                                            node-key.pem  its key, 0600
//
// # Certificates
//
// Keys are ECDSA P-256. A node's certificate names the node by one URI,
// godwit://ROLE/NAME, and the hosts where it is reached as DNS names and IP
// addresses. Connections of this package are TLS 1.3, both sides show a
// certificate, and a peer is believed when its certificate leads to one of
// ca.pem, is within its time, and names a role that is wanted. Host names are
// not compared: a node is who its certificate says, wherever the shard map says
// that it lives. Others who use the files, such as dragonboat and browsers, do
// compare them.
//
// # Renewal
//
// A Node looks at its files when it is used, at most once every lookEvery, and
// takes what has changed for the connections made from then on. Files that do
// not fit together leave it with what it had, and it says so. So a certificate
// is renewed by writing the files, and an authority is replaced by having both
// in ca.pem for a while. Nothing is restarted.
//
// The package never sends a key anywhere, never writes into a directory that
// holds something else, and starts no goroutine.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// The roles that a certificate can name. An operator's is for the commands that
// look at a fleet and change it.
const (
	Control  = "control"
	Core     = "core"
	Edge     = "edge"
	Operator = "operator"
)

// The files of the directories.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca-key.pem"
	CertFile  = "node.pem"
	KeyFile   = "node-key.pem"
)

const (
	// CAValidity is how long an authority lasts.
	CAValidity = 10 * 365 * 24 * time.Hour
	// DefaultValidity is how long a node's certificate lasts unless told
	// otherwise.
	DefaultValidity = 365 * 24 * time.Hour
	// backdate makes a certificate good on a machine whose clock is behind.
	backdate = time.Hour
	// maxFile bounds a file that is read: hundreds of certificates.
	maxFile = 1 << 20
	// uriScheme starts the URI by which a certificate names its node.
	uriScheme = "godwit"
)

// Roles returns the roles, in the order in which help texts name them.
func Roles() []string { return []string{Control, Core, Edge, Operator} }

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

// ValidName reports whether name can be a node's: 1 to 64 of a-z, 0-9, - and .,
// with a letter or digit at either end.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// hostForm is a DNS name, whose first label may be a star.
var hostForm = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$`)

// splitHosts sorts hosts into names and addresses.
func splitHosts(hosts []string) (names []string, ips []net.IP, err error) {
	for _, h := range hosts {
		lower := strings.ToLower(h)
		switch ip := net.ParseIP(h); {
		case ip != nil && ip.IsUnspecified():
			return nil, nil, fault.New(fault.BadValue, "host %q means every address", h).Advise("name those at which other nodes reach this one")
		case ip != nil:
			ips = append(ips, ip)
		case len(h) <= 253 && hostForm.MatchString(lower):
			names = append(names, lower)
		default:
			return nil, nil, fault.New(fault.BadValue, "host %.80q is neither an IP address nor a DNS name", h).
				Advise("give --host without a port, such as 10.0.0.1 or core-1.lan")
		}
	}
	return names, ips, nil
}

// PeerRole returns who the other side of a connection is, by its certificate:
// its role and its name. The error says that it showed none, or none of ours.
// It verifies nothing: the handshake has, when it was made with a Node's
// configurations.
func PeerRole(cs tls.ConnectionState) (role, name string, err error) {
	if len(cs.PeerCertificates) == 0 {
		return "", "", fault.New(fault.BadKeyFile, "the peer shows no certificate").Advise("give it one, made with `godwit pki issue`")
	}
	return identity(cs.PeerCertificates[0])
}

// identity returns what the URI of a certificate says.
func identity(cert *x509.Certificate) (role, name string, err error) {
	for _, u := range cert.URIs {
		if u.Scheme != uriScheme {
			continue
		}
		role, name = u.Host, strings.TrimPrefix(u.Path, "/")
		if !slices.Contains(Roles(), role) || !ValidName(name) || *u != *nodeURI(role, name) {
			return "", "", fault.New(fault.BadKeyFile, "the certificate of %q names its node %.120q", cert.Subject.CommonName, u).
				Advise("make one with `godwit pki issue`; the URI's form is %s://ROLE/NAME", uriScheme)
		}
		return role, name, nil
	}
	return "", "", fault.New(fault.BadKeyFile, "the certificate of %q does not say which node it is for", cert.Subject.CommonName).
		Advise("make one with `godwit pki issue`, or add the URI %s://ROLE/NAME to its subject alternative names", uriScheme)
}

// nodeURI is the name of a node in its certificate.
func nodeURI(role, name string) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: role, Path: "/" + name}
}

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// Request says what certificate is wanted.
type Request struct {
	CADir    string        // made by Init
	OutDir   string        // the node's; made when it is missing
	Role     string        // one of Roles
	Name     string        // see ValidName
	Hosts    []string      // where the node is reached: IP addresses and DNS names
	Validity time.Duration // 0: DefaultValidity
}

// Init makes an authority in dir, which it makes when it is missing. It refuses
// a directory that holds one: whoever lost its key could renew no node. Errors
// are *fault.Error.
func Init(dir string) error {
	for _, name := range []string{CAFile, CAKeyFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return fault.New(fault.BadKeyFile, "%w", err).Advise("name a directory that can be read and written")
			}
			return fault.New(fault.BadKeyFile, "%s holds an authority already", dir).
				Advise("name another directory: overwriting it would lock out every node that it made")
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return notWritten(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return notWritten(err)
	}
	var mark [4]byte
	_, _ = rand.Read(mark[:]) // never fails
	now := time.Now()
	tmpl := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"godwit"}, CommonName: "godwit CA " + hex.EncodeToString(mark[:])},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(CAValidity),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return notWritten(err)
	}
	return writePair(dir, CAFile, CAKeyFile, der, key)
}

// Issue makes a key and a certificate, and puts them with the authority's
// certificate into r.OutDir. What an earlier Issue for the same role and name
// left there is replaced, which renews it; that of another node is not. Errors
// are *fault.Error.
func Issue(r Request) error {
	if r.Validity == 0 {
		r.Validity = DefaultValidity
	}
	if err := r.check(); err != nil {
		return err
	}
	names, ips, err := splitHosts(r.Hosts)
	if err != nil {
		return err
	}
	ca, caKey, err := loadCA(r.CADir)
	if err != nil {
		return err
	}
	now := time.Now()
	until := now.Add(r.Validity)
	if until.After(ca.NotAfter) {
		return fault.New(fault.BadValue, "the authority in %s ends on %s, before the certificate would", r.CADir, day(ca.NotAfter)).
			Advise("use --days %d, or make a new authority with `godwit pki init`", max(0, int(ca.NotAfter.Sub(now)/(24*time.Hour))))
	}
	if err := r.checkOut(ca); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return notWritten(err)
	}
	tmpl := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"godwit"}, OrganizationalUnit: []string{r.Role}, CommonName: r.Name},
		NotBefore: now.Add(-backdate), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, DNSNames: names, IPAddresses: ips, URIs: []*url.URL{nodeURI(r.Role, r.Name)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &key.PublicKey, caKey)
	if err != nil {
		return notWritten(err)
	}
	return writePair(r.OutDir, CertFile, KeyFile, der, key)
}

// check judges the request by itself.
func (r *Request) check() error {
	switch {
	case !slices.Contains(Roles(), r.Role):
		return fault.New(fault.BadValue, "there is no role %.40q", r.Role).Advise("use one of %s", strings.Join(Roles(), ", "))
	case !ValidName(r.Name):
		return fault.New(fault.BadValue, "%.80q cannot be a node's name", r.Name).Advise("use 1 to 64 of a-z, 0-9, - and ., such as core-1")
	case r.Validity < time.Hour:
		return fault.New(fault.BadValue, "a certificate for %s would be of no use", r.Validity).Advise("use at least a day")
	case len(r.Hosts) == 0 && (r.Role == Control || r.Role == Core):
		return fault.New(fault.BadValue, "other nodes dial a %s node, and no host is named", r.Role).
			Advise("name with --host where it is reached, such as 10.0.0.1 or core-1.lan")
	}
	return nil
}

// checkOut makes r.OutDir and refuses one that is another node's. It leaves in
// it a ca.pem that holds ca.
func (r *Request) checkOut(ca *x509.Certificate) error {
	if err := os.MkdirAll(r.OutDir, 0o700); err != nil {
		return notWritten(err)
	}
	if _, err := os.Lstat(filepath.Join(r.OutDir, CAKeyFile)); err == nil {
		return fault.New(fault.BadValue, "%s is an authority's directory", r.OutDir).Advise("give --out a directory of its own: the key of the authority has no place on a node")
	}
	if old, err := readCerts(filepath.Join(r.OutDir, CertFile)); err == nil { // a damaged one is mended
		if role, name, err := identity(old[0]); err != nil || role != r.Role || name != r.Name {
			return fault.New(fault.BadValue, "%s holds the certificate of %s", r.OutDir, title(old[0])).Advise("give --out a directory of its own for each node")
		}
	}
	caFile := filepath.Join(r.OutDir, CAFile)
	believed, err := readCerts(caFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notWritten(writeFile(caFile, pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: ca.Raw}), 0o644))
	case err != nil:
		return err
	case !slices.ContainsFunc(believed, ca.Equal):
		return fault.New(fault.BadValue, "%s holds another authority than %s", caFile, filepath.Join(r.CADir, CAFile)).
			Advise("append the new one to the ca.pem of every node first, then issue; or name the authority that made this node")
	}
	return nil
}

// loadCA reads the authority in dir.
func loadCA(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certs, err := readCerts(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, nil, adviseCA(err)
	}
	key, err := readKey(filepath.Join(dir, CAKeyFile))
	if err != nil {
		return nil, nil, adviseCA(err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(certs[0].PublicKey) {
		return nil, nil, fault.New(fault.BadKeyFile, "%s is not the key of %s in %s", CAKeyFile, CAFile, dir).Advise("restore both from the same copy")
	}
	if !certs[0].IsCA {
		return nil, nil, fault.New(fault.BadKeyFile, "%s in %s is no authority's certificate", CAFile, dir).Advise("give --ca a directory made by `godwit pki init`")
	}
	return certs[0], private, nil
}

func adviseCA(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && errors.Is(err, fs.ErrNotExist) {
		return f.Advise("give --ca a directory made by `godwit pki init`")
	}
	return err
}

// day is how messages name a date.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

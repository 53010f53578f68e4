package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// Info is what one certificate says, for people.
type Info struct {
	File        string    `json:"file"`
	Subject     string    `json:"subject"`
	Authority   bool      `json:"authority"`      // it signs others
	Role        string    `json:"role,omitempty"` // empty: it names no node
	Name        string    `json:"name,omitempty"`
	Hosts       []string  `json:"hosts"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Issuer      string    `json:"issuer"`
	Fingerprint string    `json:"sha256"`
}

// Show returns the certificates of an authority's or a node's directory, and
// what is wrong with them: nil when a process could start with them. It fails
// when there are none.
func Show(dir string) (list []Info, problem, err error) {
	for _, name := range []string{CAFile, CertFile} {
		file := filepath.Join(dir, name)
		certs, err := readCerts(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, c := range certs {
			list = append(list, describe(name, c))
		}
	}
	if len(list) == 0 {
		return nil, nil, fault.New(fault.BadKeyFile, "%s holds neither %s nor %s", dir, CAFile, CertFile).
			Advise("name a directory made by `godwit pki init` or `godwit pki issue`")
	}
	if _, err := os.Lstat(filepath.Join(dir, CAKeyFile)); err == nil {
		_, _, problem = loadCA(dir)
	} else {
		_, problem = Load(dir)
	}
	return list, problem, nil
}

func describe(file string, c *x509.Certificate) Info {
	sum := sha256.Sum256(c.Raw)
	i := Info{File: file, Subject: c.Subject.String(), Authority: c.IsCA, Hosts: append([]string{}, c.DNSNames...),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issuer: c.Issuer.CommonName, Fingerprint: hex.EncodeToString(sum[:])}
	for _, ip := range c.IPAddresses {
		i.Hosts = append(i.Hosts, ip.String())
	}
	i.Role, i.Name, _ = identity(c) // none: an authority, or of somebody else
	return i
}

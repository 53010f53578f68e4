package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/godwit-im/godwit/internal/fault"
)

const (
	pemCert = "CERTIFICATE"
	pemKey  = "PRIVATE KEY" // PKCS #8
)

// readFile reads a small file. The error is a BadKeyFile.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fault.New(fault.BadKeyFile, "%w", err).Advise("make it with `godwit pki issue`, or correct its path and mode")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("longer than 1 MiB")
	}
	if err != nil {
		return nil, fault.New(fault.BadKeyFile, "%s: %w", name, err).Advise("put a PEM file there")
	}
	return b, nil
}

// readCerts reads the certificates in a PEM file, at least one.
func readCerts(name string) ([]*x509.Certificate, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	certs, err := parseCerts(b)
	if err != nil {
		return nil, fault.New(fault.BadKeyFile, "%s: %w", name, err).Advise("make it anew with `godwit pki issue`")
	}
	return certs, nil
}

// parseCerts reads every certificate of a PEM text.
func parseCerts(b []byte) (certs []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != pemCert {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return certs, nil
}

// readKey reads the private key in a PEM file.
func readKey(name string) (crypto.Signer, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(b)
	if err != nil {
		return nil, fault.New(fault.BadKeyFile, "%s: %w", name, err).Advise("make it anew with `godwit pki issue`")
	}
	return key, nil
}

// parseKey reads PKCS #8, and the older form that openssl writes for ECDSA.
func parseKey(b []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, errors.New("holds no private key in PEM form")
		}
		switch block.Type {
		case pemKey:
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("the private key in it is damaged")
			}
			if s, ok := key.(crypto.Signer); ok {
				return s, nil
			}
			return nil, errors.New("the private key in it cannot sign")
		case "EC PRIVATE KEY":
			key, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("the private key in it is damaged")
			}
			return key, nil
		}
	}
}

// writePair writes a key and its certificate.
func writePair(dir, certFile, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return notWritten(err)
	}
	err = writeFile(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: secret}), 0o600)
	if err == nil {
		err = writeFile(filepath.Join(dir, certFile), pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der}), 0o644)
	}
	return notWritten(err)
}

// writeFile writes a file as a whole: after a crash it is the old or the new.
func writeFile(name string, b []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, bytes.NewReader(b))
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the error is what matters
	}
	return err
}

// notWritten is the error for what could not be made; nil for nil.
func notWritten(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.BadKeyFile, "%w", err).Advise("name a directory that can be written")
}

package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms, by the names of RFC 7518 and RFC 8037.
const (
	algHS256 = "HS256"
	algEdDSA = "EdDSA"
	algES256 = "ES256"
	algRS256 = "RS256"
)

// minRSA is the least length of an RSA key in bits (NIST SP 800-131A).
const minRSA = 2048

// keySet returns keys in the form that the parser wants.
func keySet(keys []any) (jwt.VerificationKeySet, error) {
	var set jwt.VerificationKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k)
	}
	if len(keys) == 0 {
		return set, refused("key")
	}
	return set, nil
}

// algOf returns the one algorithm that key is used with, or why there is none.
func algOf(key any) (string, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return algEdDSA, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("an ECDSA key on %s; use P-256", k.Curve.Params().Name)
		}
		return algES256, nil
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return "", fmt.Errorf("an RSA key of %d bits; use %d or more", k.N.BitLen(), minRSA)
		}
		return algRS256, nil
	}
	return "", errors.New("not an Ed25519, P-256 or RSA public key")
}

// loadKeys reads the public keys in files.
func (v *Verifier) loadKeys(files []string) error {
	total := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("auth: key file: %w", err)
		}
		found := 0
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			key, alg, err := parseKey(block)
			if err != nil {
				return fmt.Errorf("auth: key file %s: %w", name, err)
			}
			v.keys[alg] = append(v.keys[alg], key)
			found++
		}
		if found == 0 || len(bytes.TrimSpace(text)) > 0 {
			return fmt.Errorf("auth: key file %s: not, or not only, PEM; write it with: openssl pkey -pubout", name)
		}
		if total += found; total > MaxKeys {
			return fmt.Errorf("auth: more than %d public keys; serve them as a JWKS instead", MaxKeys)
		}
	}
	return nil
}

// parseKey reads one public key or certificate.
func parseKey(block *pem.Block) (key any, alg string, err error) {
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		err = errors.New("holds a private key; give the edge the public one only: openssl pkey -pubout")
	default:
		err = fmt.Errorf("holds a %q; want a PUBLIC KEY or CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, "", err
	}
	alg, err = algOf(key)
	return key, alg, err
}

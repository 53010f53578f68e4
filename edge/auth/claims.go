package auth

import (
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

// claims is what godwit reads of a token.
type claims struct {
	Subject   string           `json:"sub"`
	Device    string           `json:"device,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	Audience  jwt.ClaimStrings `json:"aud,omitempty"`
	Expires   *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
}

// checkTimes judges exp, nbf and iat. exp comes first, so that whoever comes
// back with an old token hears that it is old.
func (v *Verifier) checkTimes(c *claims) error {
	now := v.now()
	switch {
	case c.Expires == nil || c.Expires.Unix() > maxExpiry:
		return refused("exp")
	case !c.Expires.After(now):
		return &Error{Code: wire.CodeTokenExpired, Check: "exp"}
	case c.NotBefore != nil && c.NotBefore.After(now.Add(Leeway)):
		return refused("nbf")
	case c.IssuedAt != nil && c.IssuedAt.After(now.Add(Leeway)):
		return refused("iat")
	}
	return nil
}

// checkNames judges who issued the token, for whom, and about whom.
func (v *Verifier) checkNames(c *claims) error {
	switch {
	case v.issuer != "" && c.Issuer != v.issuer:
		return refused("iss")
	case v.aud != "" && !slices.Contains(c.Audience, v.aud):
		return refused("aud")
	case !wire.ValidID(c.Subject):
		return refused("sub")
	case c.Device != "" && !wire.ValidID(c.Device):
		return refused("device")
	}
	return nil
}

// The methods of jwt.Claims; the parser is told not to use them, because its
// leeway would also prolong exp.

// GetExpirationTime implements jwt.Claims.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }

// GetIssuedAt implements jwt.Claims.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.IssuedAt, nil }

// GetNotBefore implements jwt.Claims.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.NotBefore, nil }

// GetIssuer implements jwt.Claims.
func (c *claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c *claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return c.Audience, nil }

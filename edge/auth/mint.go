package auth

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/wire"
)

// Mint signs a token for user with an HS256 secret, valid from now for ttl. It
// is for development and tests. device may be empty.
func Mint(secret []byte, user wire.UserID, device wire.DeviceID, now time.Time, ttl time.Duration) (string, error) {
	switch {
	case len(secret) < MinSecret:
		return "", fmt.Errorf("auth: the HS256 secret has %d bytes; use at least %d random ones", len(secret), MinSecret)
	case !wire.ValidID(user):
		return "", fmt.Errorf("auth: user: want 1 to %d bytes of UTF-8 without control characters", wire.MaxID)
	case device != "" && !wire.ValidID(device):
		return "", fmt.Errorf("auth: device: want 1 to %d bytes of UTF-8 without control characters", wire.MaxID)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, &claims{
		Subject: string(user), Device: string(device),
		IssuedAt: jwt.NewNumericDate(now), Expires: jwt.NewNumericDate(now.Add(ttl)),
	})
	signed, err := t.SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("auth: sign: %w", err)
	}
	return signed, nil
}

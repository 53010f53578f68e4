package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/serve"
	"github.com/godwit-im/godwit/wire"
)

type tokenCmd struct {
	user, device string
	ttl          time.Duration
	issuer       string
	audience     string
	data         string
	output       string
}

func newTokenCmd() *cobra.Command {
	t := &tokenCmd{}
	cmd := &cobra.Command{
		Use:   "token --user USER",
		Short: "Make a token signed with the server's HS256 secret",
		Long: "Make a token. The secret is GODWIT_AUTH_HS256_SECRET, or that of development sign-in in a server's data directory.\n" +
			"For EdDSA, ES256 and RS256 tokens come from your own sign-in service.",
		Example: "  godwit token --user alice\n  GODWIT_TOKEN=$(godwit token --user alice --ttl 1h) godwit recv",
		Args:    noArgs,
		RunE:    t.run,
	}
	f := cmd.Flags()
	f.StringVar(&t.user, "user", "", "user id: the token's sub")
	f.StringVar(&t.device, "device", "", "device id; without it the client names itself")
	f.DurationVar(&t.ttl, "ttl", 24*time.Hour, "how long the token is good for")
	f.StringVar(&t.issuer, "issuer", "", "the token's iss")
	f.StringVar(&t.audience, "audience", "", "the token's aud")
	f.StringVar(&t.data, "data", "", "data directory with the development secret (GODWIT_DATA)")
	outputFlag(cmd, &t.output)
	return cmd
}

func (t *tokenCmd) run(cmd *cobra.Command, _ []string) error {
	switch {
	case t.user == "":
		return usage(cmd, "whose token should it be?").Advise("pass --user NAME")
	case !wire.ValidID(t.user):
		return usage(cmd, "--user %q is not a user id: 1 to %d bytes without control characters", t.user, wire.MaxID)
	case t.device != "" && !wire.ValidID(t.device):
		return usage(cmd, "--device %q is not a device id: 1 to %d bytes without control characters", t.device, wire.MaxID)
	case t.ttl <= 0:
		return usage(cmd, "--ttl %s is not a time ahead", t.ttl)
	}
	if err := checkOutput(cmd, t.output); err != nil {
		return err
	}
	secret, err := t.secret()
	if err != nil {
		return err
	}
	expires := time.Now().Add(t.ttl)
	claims := jwt.MapClaims{"sub": t.user, "iat": time.Now().Unix(), "exp": expires.Unix()}
	for name, v := range map[string]string{"device": t.device, "iss": t.issuer, "aud": t.audience} {
		if v != "" {
			claims[name] = v
		}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return printJSON(cmd.OutOrStdout(), struct {
			Token     string    `json:"token"`
			UserID    string    `json:"user_id"`
			ExpiresAt time.Time `json:"expires_at"`
		}{token, t.user, expires.UTC().Truncate(time.Second)})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
	return err
}

// secret finds what to sign with.
func (t *tokenCmd) secret() ([]byte, error) {
	if s := os.Getenv("GODWIT_AUTH_HS256_SECRET"); s != "" && t.data == "" {
		return []byte(s), nil
	}
	dir := first(t.data, os.Getenv("GODWIT_DATA"), config.DefaultData(config.Serve, os.Environ()))
	secret, err := serve.DevSecret(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NoAuthKey, "GODWIT_AUTH_HS256_SECRET is not set, and %s holds no development secret", dir)
	case err != nil:
		return nil, fault.New(fault.NoAuthKey, "%w", err)
	}
	return secret, nil
}

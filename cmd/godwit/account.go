package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/wire"
)

const defaultServer = "http://127.0.0.1:8080"

// account are the flags by which a command says who it is and where.
type account struct {
	server string
	as     string
	token  string
	device string
	ca     string
	tls    *tls.Config // of ca; nil: the system's certificates
}

// flags adds them to cmd. device is the command's own default device, so that
// `recv` does not take what `chat` is to show.
func (a *account) flags(cmd *cobra.Command, device string) {
	f := cmd.Flags()
	f.StringVar(&a.server, "server", "", "public address of the server (GODWIT_SERVER; default "+defaultServer+")")
	f.StringVar(&a.as, "as", "", "user to be, on a server in development (GODWIT_USER)")
	f.StringVar(&a.token, "token", "", "token to sign in with instead of --as (GODWIT_TOKEN)")
	f.StringVar(&a.device, "device", device, "name of this device")
	caFlag(cmd, &a.ca)
}

// resolve fills in the environment and judges the result.
func (a *account) resolve(cmd *cobra.Command) error {
	a.server = first(a.server, os.Getenv("GODWIT_SERVER"), defaultServer)
	switch {
	case a.as != "" && a.token != "":
		return usage(cmd, "--as and --token both say who it should be").Advise("pass one of them")
	case a.as == "": // a flag wins over the environment: --as over GODWIT_TOKEN too
		a.token = first(a.token, os.Getenv("GODWIT_TOKEN"))
		a.as = os.Getenv("GODWIT_USER")
	}
	if !strings.Contains(a.server, "://") {
		a.server = "http://" + a.server
	}
	switch scheme, _, _ := strings.Cut(a.server, "://"); scheme {
	case "http", "https", "ws", "wss":
	default:
		return usage(cmd, "--server %q must start with http:// or https://", a.server)
	}
	if a.token == "" && a.as == "" {
		return usage(cmd, "who should it be?").Advise("pass --as NAME, or --token")
	}
	if a.as != "" && !wire.ValidID(a.as) {
		return usage(cmd, "--as %q is not a user id: 1 to %d bytes without control characters", a.as, wire.MaxID)
	}
	if !wire.ValidID(a.device) {
		return usage(cmd, "--device %q is not a device id: 1 to %d bytes without control characters", a.device, wire.MaxID)
	}
	var err error
	a.tls, err = trust(a.ca)
	return err
}

// caFlag adds --ca to a command that connects to a server.
func caFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "ca", "", "PEM file with the certificates to trust instead of the system's, for https (GODWIT_CA)")
}

// trust reads the certificates that the server's must descend from, nil for
// the system's.
func trust(file string) (*tls.Config, error) {
	if file = first(file, os.Getenv("GODWIT_CA")); file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.BadCAFile, "%w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.BadCAFile, "%s holds no certificate", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// config returns how to connect. A server in development is asked for a token
// whenever one is needed.
func (a *account) config() client.Config {
	cfg := client.Config{URL: a.server, Token: a.token, Device: client.DeviceID(a.device), TLS: a.tls}
	if a.token == "" {
		cfg.TokenSource = func(ctx context.Context) (string, error) {
			token, _, err := client.Config{URL: a.server, Device: client.DeviceID(a.device), TLS: a.tls}.DevToken(ctx, client.UserID(a.as))
			if errors.Is(err, wire.CodeUnknownResource) {
				return "", a.noDevSignIn()
			}
			return token, err
		}
	}
	return cfg
}

func (a *account) noDevSignIn() error {
	err := fault.New(fault.NoDevSignIn, "%s", a.server)
	if os.Getenv("GODWIT_TOKEN") != "" {
		return err.Advise("leave out --as, so that GODWIT_TOKEN counts")
	}
	return err
}

// chatID reads the --chat of a command.
func chatID(cmd *cobra.Command, text string) (client.ChatID, error) {
	id, err := client.ParseChatID(text)
	if err != nil {
		return id, usage(cmd, "--chat %.80q is not a chat id: want d or g and 24 characters of a-z, 2-7", text)
	}
	return id, nil
}

// connect signs in.
func (a *account) connect(ctx context.Context, change ...func(*client.Config)) (*client.Client, error) {
	cfg := a.config()
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.Connect(ctx, cfg)
	return c, a.explain(err)
}

func (a *account) explain(err error) error { return explain(a.server, err) }

// explain gives a number to the errors of the SDK.
func explain(server string, err error) error {
	var f *fault.Error
	var se *client.Error
	var ce *client.ConnectError
	var pending *client.PendingError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &f):
		return f
	case err == nil || errors.As(err, &se):
		return err
	case errors.Is(err, client.ErrNotGodwit):
		return fault.New(fault.NotGodwit, "%s", server)
	case errors.Is(err, context.DeadlineExceeded) && errors.As(err, &pending) && pending.Last != nil:
		what, do, _ := strings.Cut(pending.Last.Error(), "; ")
		return fault.New(fault.TimedOut, "%s asked to try again with %s", server, what).Advise("%s", do)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.TimedOut, "%s did not answer in time", server)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Interrupted, "")
	case errors.As(err, &unknown):
		return fault.New(fault.Unreachable, "%s: %w", server, unknown).Advise("trust the server's certificate, or the one that signed it, with --ca FILE")
	case errors.As(err, &ce):
		return unreachable(server, ce)
	}
	return err
}

// unreachable says in the words of a person why there is no connection.
func unreachable(server string, err error) error {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	cause := rootCause(err)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.New(fault.Unreachable, "there is no host %q", dns.Name).Advise("see whether --server is spelled right")
	case errors.As(err, &dns):
		return fault.New(fault.Unreachable, "the name %q cannot be looked up right now", dns.Name).Advise("see whether this host reaches its name server")
	case errors.As(err, &record), strings.Contains(cause.Error(), "HTTP response to HTTPS client"):
		_, rest, _ := strings.Cut(server, "://")
		return fault.New(fault.Unreachable, "%s speaks no TLS", server).Advise("use http://%s", rest)
	}
	return fault.New(fault.Unreachable, "%s: %w", server, cause)
}

// rootCause strips the wrappers that only repeat the address.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

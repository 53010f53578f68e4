package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/serve"
	"github.com/godwit-im/godwit/web"
)

func newServeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server: every role in one process, on one data directory",
		Long: "Run a server. Without a configured key, development sign-in is on: anybody may use any name. It is refused where\n" +
			"other machines could reach it.\n\n" +
			"Every flag is also an environment variable and a key of the TOML file; the flag wins over the environment, that over\n" +
			"the file. The HS256 secret is GODWIT_AUTH_HS256_SECRET only, because command lines can be seen by others.",
		Example: "  godwit serve\n  godwit serve --data /var/lib/godwit --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --auth-public-key issuer.pem",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := config.Load(config.Serve, cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return serve.Run(cmd.Context(), serve.Config{
				Server: settings.Server, Program: os.Args[0], Version: versionText(), Page: web.Handler(),
				Out: cmd.OutOrStdout(), Log: logger(cmd.ErrOrStderr(), &settings.Server),
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.Serve)
	return cmd
}

func logger(w io.Writer, s *config.Server) *slog.Logger {
	opts := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

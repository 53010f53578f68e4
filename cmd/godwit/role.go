package main

import (
	"context"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/config"
	"github.com/godwit-im/godwit/internal/role"
	"github.com/godwit-im/godwit/web"
)

func newControlCmd() *cobra.Command {
	return roleCmd(config.Control, role.Control, nil, &cobra.Command{
		Use:   "control",
		Short: "Run a control member of a fleet: who is in it, and where its shards are",
		Long: "Run a control member: one, three or five of them keep the shard map, let nodes in and move shards. Messages flow on\n" +
			"while they are away.\n\n" +
			"All members of a group are started with the same --peers, and every node of a fleet with the same join secret, from\n" +
			"GODWIT_JOIN_SECRET or --join-secret-file. Outside of loopback a node needs a certificate, see `godwit pki`.",
		Example: "  godwit control                     # a group of one, on this machine\n" +
			"  godwit control --name c1 --api 10.0.0.1:7700 --raft 10.0.0.1:7701 --pki /etc/godwit/pki \\\n" +
			"    --peers c1=10.0.0.1:7701,c2=10.0.0.2:7701,c3=10.0.0.3:7701",
	})
}

func newCoreCmd() *cobra.Command {
	return roleCmd(config.Core, role.Core, nil, &cobra.Command{
		Use:   "core",
		Short: "Run a core node of a fleet: it keeps what users write",
		Long: "Run a core node: it joins the fleet through --control and holds replicas of shards. A node is known by its data\n" +
			"directory; when that is gone, start it once with --replace.\n\n" +
			"The join secret is GODWIT_JOIN_SECRET or --join-secret-file.",
		Example: "  godwit core --control 127.0.0.1:7700\n" +
			"  godwit core --name core-1 --zone a --control 10.0.0.1:7700,10.0.0.2:7700 --link 10.0.0.4:7710 --raft 10.0.0.4:7711 --pki /etc/godwit/pki",
	})
}

func newEdgeCmd() *cobra.Command {
	return roleCmd(config.Edge, role.Edge, web.Handler(), &cobra.Command{
		Use:   "edge",
		Short: "Run an edge of a fleet: it serves clients",
		Long: "Run an edge: it joins the fleet through --control, connects to the core nodes and serves page, REST and WebSocket.\n" +
			"It keeps nothing: any edge serves any user.\n\n" +
			"The join secret is GODWIT_JOIN_SECRET or --join-secret-file.",
		Example: "  godwit edge --control 127.0.0.1:7700\n" +
			"  godwit edge --name edge-1 --control 10.0.0.1:7700 --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem \\\n" +
			"    --auth-public-key issuer.pem --pki /etc/godwit/pki",
	})
}

// roleCmd completes cmd to one that runs a role of a fleet.
func roleCmd(r config.Role, run func(context.Context, role.Config) error, page http.Handler, cmd *cobra.Command) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := config.Load(r, cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		return run(cmd.Context(), role.Config{
			Process: settings, Program: os.Args[0], Version: versionText(), Page: page,
			Out: cmd.OutOrStdout(), Log: logger(cmd.ErrOrStderr(), &settings.Server),
		})
	}
	config.AddFlags(cmd.Flags(), r)
	return cmd
}

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/internal/pki"
	"github.com/godwit-im/godwit/shardmap/control/api"
)

const (
	defaultControl = "127.0.0.1:7700"
	// controlWithin bounds one question of an operator; an election takes two
	// seconds of it.
	controlWithin = 10 * time.Second
	// askFleetEvery is the pace of commands that follow what happens.
	askFleetEvery = time.Second
	// maxSecretFile bounds the file with the join secret.
	maxSecretFile = 1 << 10
)

// operator are the flags of the commands that look at a fleet and change it.
type operator struct {
	control    string
	secretFile string
	pki        string
	output     string
}

// operatorCmd completes cmd to one that calls run with a client of control.
func operatorCmd(cmd *cobra.Command, run func(ctx context.Context, cmd *cobra.Command, o *operator, c *api.Client, args []string) error) *cobra.Command {
	o := new(operator)
	f := cmd.Flags()
	f.StringVar(&o.control, "control", "", "API addresses of control members, separated by commas (GODWIT_CONTROL; default "+defaultControl+")")
	f.StringVar(&o.secretFile, "join-secret-file", "", "file with the join secret of the fleet (GODWIT_JOIN_SECRET_FILE; or GODWIT_JOIN_SECRET, the secret itself)")
	f.StringVar(&o.pki, "pki", "", "directory with a certificate of role operator (GODWIT_PKI)")
	outputFlag(cmd, &o.output)
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(cmd, o.output); err != nil {
			return err
		}
		c, err := o.client(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		return run(cmd.Context(), cmd, o, c, args)
	}
	return cmd
}

// client makes the client that the flags and the environment describe.
func (o *operator) client(cmd *cobra.Command) (*api.Client, error) {
	var addrs []string
	for addr := range strings.SplitSeq(first(o.control, os.Getenv("GODWIT_CONTROL"), defaultControl), ",") {
		addr = strings.TrimSpace(addr)
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, usage(cmd, "--control %q: want HOST:PORT, several separated by commas", addr)
		}
		addrs = append(addrs, addr)
	}
	secret, err := o.secret()
	if err != nil {
		return nil, err
	}
	var trusted *tls.Config
	if dir := first(o.pki, os.Getenv("GODWIT_PKI")); dir != "" {
		certs, err := pki.Load(dir)
		if err != nil {
			return nil, err
		}
		trusted = certs.Client(pki.Control)
	}
	return api.NewClient(api.ClientConfig{Addrs: addrs, Secret: secret, TLS: trusted}), nil
}

func (o *operator) secret() (string, error) {
	name := first(o.secretFile, os.Getenv("GODWIT_JOIN_SECRET_FILE"))
	if s := os.Getenv("GODWIT_JOIN_SECRET"); name == "" || s != "" && o.secretFile == "" {
		if s == "" {
			return "", fault.New(fault.BadValue, "there is no join secret").Advise("set GODWIT_JOIN_SECRET, or name the file that holds it with --join-secret-file")
		}
		return s, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fault.New(fault.BadValue, "the join secret: %w", err).Advise("name a file that you may read with --join-secret-file")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return "", fault.New(fault.BadValue, "the join secret: %w", err).Advise("name a file that you may read with --join-secret-file")
	}
	return strings.TrimSpace(string(b)), nil
}

// view asks for the fleet once.
func view(ctx context.Context, c *api.Client) (*api.Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, controlWithin)
	defer cancel()
	return c.Fleet(ctx)
}

// show prints v as JSON or with text.
func (o *operator) show(cmd *cobra.Command, v any, text func(w io.Writer) error) error {
	if o.output == "json" {
		return printJSON(cmd.OutOrStdout(), v)
	}
	return text(cmd.OutOrStdout())
}

// table prints rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// bytesText returns a size as people read it.
func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/unit, "KMGTPE"
	for v >= unit && len(units) > 1 {
		v, units = v/unit, units[1:]
	}
	return fmt.Sprintf("%.3g %ciB", v, units[0])
}

// orDash stands for what there is none of.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

type chatCmd struct {
	account
	with, chat string
	plain      bool
	id         client.ChatID // what chat says
}

func newChatCmd() *cobra.Command {
	c := &chatCmd{}
	cmd := &cobra.Command{
		Use:   "chat --as USER [--with USER]",
		Short: "Chat in the terminal",
		Long: "Chat in the terminal. Ticks show how far a message has come: · sending, ✓ stored, ✓✓ delivered, and ✓✓ in colour once it\n" +
			"is read.\n\n" +
			"When standard input or output is not a terminal, every line read is sent to --with and every message of that\n" +
			"conversation is printed; the end of the input ends the command once everything is stored.",
		Example: "  godwit chat --as alice --with bob\n  uptime | godwit chat --as alice --with bob",
		Args:    noArgs,
		RunE:    c.run,
	}
	c.flags(cmd, "terminal")
	f := cmd.Flags()
	f.StringVar(&c.with, "with", "", "user to chat with")
	f.StringVar(&c.chat, "chat", "", "conversation to open, instead of --with")
	f.BoolVar(&c.plain, "plain", false, "lines only, also in a terminal")
	return cmd
}

func (c *chatCmd) run(cmd *cobra.Command, _ []string) error {
	if err := c.resolve(cmd); err != nil {
		return err
	}
	if c.with != "" && c.chat != "" {
		return usage(cmd, "--with and --chat name two conversations").Advise("pass one of them")
	}
	if c.with != "" && !wire.ValidID(c.with) {
		return usage(cmd, "--with %q is not a user id", c.with)
	}
	if c.chat != "" {
		id, err := chatID(cmd, c.chat)
		if err != nil {
			return err
		}
		c.id = id
	}
	tty := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	plain := c.plain || !tty
	if plain && c.with == "" && c.chat == "" {
		return usage(cmd, "whom should the lines go to?").Advise("pass --with USER")
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	sdk, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer sdk.Close()
	open, err := c.target(cmd, sdk)
	if err != nil {
		return err
	}
	if plain {
		if err := c.mayRead(ctx, sdk); err != nil {
			return err
		}
		p := &plainChat{sdk: sdk, chat: open, to: c.address(open), out: cmd.OutOrStdout(), warn: cmd.ErrOrStderr()}
		return c.explain(p.run(ctx, cmd.InOrStdin()))
	}
	return c.explain(runScreen(ctx, sdk, open, client.UserID(c.with)))
}

// mayRead asks for the conversation of --chat: otherwise one that is not ours
// would only be met by the first line, and without any end well.
func (c *chatCmd) mayRead(ctx context.Context, sdk *client.Client) error {
	if c.chat == "" {
		return nil
	}
	_, err := sdk.History(ctx, c.id, client.HistoryQuery{Limit: 1})
	return c.explain(err)
}

// target returns the conversation to open, zero for none.
func (c *chatCmd) target(cmd *cobra.Command, sdk *client.Client) (client.ChatID, error) {
	me, _ := sdk.User()
	switch {
	case c.with == string(me):
		return client.ChatID{}, usage(cmd, "--with names yourself").Advise("name somebody else")
	case c.with != "":
		return client.DirectChat(me, client.UserID(c.with)), nil
	}
	return c.id, nil
}

// address is how to send to the conversation: a direct one may not exist yet.
func (c *chatCmd) address(id client.ChatID) client.Target {
	if c.with != "" {
		return client.ToUser(client.UserID(c.with))
	}
	return client.ToChat(id)
}

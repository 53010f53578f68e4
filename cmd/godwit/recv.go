package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/fault"
)

type recvCmd struct {
	account
	json    bool
	output  string
	ack     bool
	count   int
	timeout time.Duration
}

func newRecvCmd() *cobra.Command {
	r := &recvCmd{}
	cmd := &cobra.Command{
		Use:   "recv --as USER",
		Short: "Print messages as they arrive",
		Long: "Print what this device has missed and what arrives, one message a line. What is printed is acknowledged as\n" +
			"delivered, so the next start goes on behind it. JSON has the names of the protocol's new_message.\n\n" +
			"It ends after --count messages, or after --timeout; when --count messages did not come by then, with exit code 1.",
		Example: "  godwit recv --as bob\n  godwit recv --as bob --json --count 10 --timeout 30s",
		Args:    noArgs,
		RunE:    r.run,
	}
	r.flags(cmd, "recv")
	f := cmd.Flags()
	f.BoolVar(&r.json, "json", false, "the same as -o json")
	outputFlag(cmd, &r.output)
	f.IntVar(&r.count, "count", 0, "end after so many messages; 0: go on")
	f.DurationVar(&r.timeout, "timeout", 0, "end after this time; 0: go on")
	f.BoolVar(&r.ack, "ack", true, "acknowledge delivery of what is printed")
	return cmd
}

func (r *recvCmd) run(cmd *cobra.Command, _ []string) error {
	if r.count < 0 {
		return usage(cmd, "--count %d is not a number of messages", r.count)
	}
	if r.timeout < 0 {
		return usage(cmd, "--timeout %v is not a time ahead; 0 goes on", r.timeout)
	}
	if err := checkOutput(cmd, r.output); err != nil {
		return err
	}
	r.json = r.json || r.output == "json"
	if err := r.resolve(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	c, err := r.connect(ctx, func(cfg *client.Config) { cfg.ManualAck = !r.ack })
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := r.print(ctx, c, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = c.Shutdown(bye) // an acknowledgement that is lost is repeated by the next start
	switch {
	case r.count > 0 && got == r.count:
		return nil
	case r.count > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.New(fault.TimedOut, "%d of %d messages came within %s", got, r.count, r.timeout)
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(c.Err(), client.ErrClosed):
		return nil
	}
	return r.explain(c.Err())
}

// print prints messages until there are enough or ctx ends.
func (r *recvCmd) print(ctx context.Context, c *client.Client, w io.Writer) (got int, err error) {
	for ev := range c.Events(ctx) {
		m, ok := ev.(client.Message)
		if !ok {
			continue
		}
		if err = r.printOne(w, &m); err != nil {
			return got, err
		}
		if got++; got == r.count {
			break
		}
	}
	return got, nil
}

func (r *recvCmd) printOne(w io.Writer, m *client.Message) error {
	if r.json {
		return printJSON(w, jsonOf(m))
	}
	_, err := fmt.Fprintf(w, "%s %s %s: %s\n", m.CreatedAt.Format(time.DateTime), m.ChatID, plainText(string(m.SenderID)), printable(m))
	return err
}

// messageJSON has the names of the protocol's new_message.
type messageJSON struct {
	ChatID      string  `json:"chat_id"`
	MessageID   uint64  `json:"message_id"`
	SenderID    string  `json:"sender_id"`
	Content     *string `json:"content,omitempty"`
	ContentB64  []byte  `json:"content_b64,omitempty"`
	Kind        string  `json:"kind,omitempty"`
	CreatedAt   int64   `json:"created_at"`
	ClientMsgID string  `json:"client_msg_id,omitempty"`
	ReplyTo     uint64  `json:"reply_to,omitempty"`
}

func jsonOf(m *client.Message) messageJSON {
	j := messageJSON{ChatID: m.ChatID.String(), MessageID: uint64(m.MessageID), SenderID: string(m.SenderID), Kind: m.Kind,
		CreatedAt: m.CreatedAt.UnixMilli(), ClientMsgID: m.ClientMsgID, ReplyTo: uint64(m.ReplyTo)}
	if utf8.Valid(m.Content) {
		text := string(m.Content)
		j.Content = &text
	} else {
		j.ContentB64 = m.Content
	}
	return j
}

// printable is the content for a person: on one line, and without characters
// that would steer the terminal.
func printable(m *client.Message) string {
	switch {
	case m.Kind == client.KindGroupCreated:
		return "created the group " + plainText(string(m.Content))
	case !utf8.Valid(m.Content):
		return fmt.Sprintf("[%s, %d bytes]", first(m.Kind, "data"), len(m.Content))
	}
	return plainText(string(m.Content))
}

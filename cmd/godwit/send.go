package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/wire"
)

type sendCmd struct {
	account
	to, chat, kind, id string
	count              int
	timeout            time.Duration
	output             string
}

func newSendCmd() *cobra.Command {
	s := &sendCmd{}
	cmd := &cobra.Command{
		Use:   "send --as USER --to USER TEXT | -",
		Short: "Send a message and wait until it is stored",
		Long: "Send a message and print chat_id and message_id once it is stored: on disk at a majority of replicas.\n\n" +
			"With - as text, every line of standard input is a message. With --count N the text is sent N times, numbered.",
		Example: "  godwit send --as alice --to bob \"hello\"\n  date | godwit send --as alice --to bob -\n  godwit send --as alice --to bob --count 100 -o json \"message\"",
		Args:    atMost(1),
		RunE:    s.run,
	}
	s.flags(cmd, "send")
	f := cmd.Flags()
	f.StringVar(&s.to, "to", "", "user to send to")
	f.StringVar(&s.chat, "chat", "", "conversation to send to, instead of --to")
	f.StringVar(&s.kind, "kind", "", "kind of content (default text)")
	f.StringVar(&s.id, "id", "", "client_msg_id; repeating it stores the message once")
	f.IntVar(&s.count, "count", 1, "how many times, with a number behind the text when above 1")
	f.DurationVar(&s.timeout, "timeout", 30*time.Second, "longest wait for one message to be stored")
	outputFlag(cmd, &s.output)
	return cmd
}

func (s *sendCmd) run(cmd *cobra.Command, args []string) error {
	target, err := s.check(cmd, args)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	p := s.progress(cmd.ErrOrStderr(), args[0])
	for text, err := range s.texts(cmd.InOrStdin(), args[0]) {
		if err != nil {
			return err
		}
		ack, err := s.sendOne(ctx, c, target, text)
		if err != nil {
			return p.interrupted(err)
		}
		p.stored(time.Now())
		if err := s.print(cmd.OutOrStdout(), ack); err != nil {
			return err
		}
	}
	return nil
}

// progress tells who waits for many messages how far they are.
type progress struct {
	out    io.Writer
	sent   int
	all    int // 0: not known
	spoken time.Time
}

// progressEvery is when a line comes first, and how often.
const progressEvery = 2 * time.Second

func (s *sendCmd) progress(out io.Writer, arg string) *progress {
	p := &progress{out: out, all: s.count, spoken: time.Now()}
	if arg == "-" {
		p.all = 0
	}
	return p
}

// stored counts a message.
func (p *progress) stored(now time.Time) {
	if p.sent++; p.sent != p.all && now.Sub(p.spoken) >= progressEvery {
		p.spoken = now
		fmt.Fprintf(p.out, "godwit: %s\n", p)
	}
}

// String says how far it is, such as "400 of 5000 stored".
func (p *progress) String() string {
	if p.all == 0 {
		return fmt.Sprintf("%d stored", p.sent)
	}
	return fmt.Sprintf("%d of %d stored", p.sent, p.all)
}

// interrupted adds to the error of Ctrl-C how far it was.
func (p *progress) interrupted(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Interrupted {
		return fault.New(fault.Interrupted, "%s", p)
	}
	return err
}

func (s *sendCmd) check(cmd *cobra.Command, args []string) (client.Target, error) {
	var none client.Target
	if err := checkOutput(cmd, s.output); err != nil {
		return none, err
	}
	switch {
	case len(args) == 0:
		return none, usage(cmd, "there is nothing to send").Advise("add the text, or - to send the lines of standard input")
	case (s.to == "") == (s.chat == ""):
		return none, usage(cmd, "whom should it go to?").Advise("pass one of --to USER and --chat CHAT_ID")
	case s.count < 1:
		return none, usage(cmd, "--count %d is not a number of messages", s.count)
	case s.timeout <= 0:
		return none, usage(cmd, "--timeout %v is not a time ahead", s.timeout)
	case s.id != "" && (s.count > 1 || args[0] == "-"):
		return none, usage(cmd, "--id names one message, but more may be sent").Advise("leave out --id, or --count and -")
	}
	if err := s.resolve(cmd); err != nil {
		return none, err
	}
	if s.to != "" {
		return client.ToUser(client.UserID(s.to)), nil
	}
	id, err := chatID(cmd, s.chat)
	return client.ToChat(id), err
}

// texts yields what is to be sent.
func (s *sendCmd) texts(stdin io.Reader, arg string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if arg != "-" {
			for i := range s.count {
				text := arg
				if s.count > 1 {
					text = fmt.Sprintf("%s %d", arg, i+1)
				}
				if !yield(text, nil) {
					return
				}
			}
			return
		}
		lines := bufio.NewScanner(stdin)
		lines.Buffer(nil, wire.MaxContentCeiling+1)
		for lines.Scan() {
			if text := strings.TrimRight(lines.Text(), "\r"); text != "" && !yield(text, nil) {
				return
			}
		}
		if lines.Err() != nil {
			yield("", inputError(lines.Err()))
		}
	}
}

// inputError is the error for standard input that a bufio.Scanner gave up.
func inputError(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return &client.Error{Code: wire.CodeContentTooBig, Message: fmt.Sprintf("a line of standard input is longer than the %d bytes that any server takes", wire.MaxContentCeiling),
			Advice: "break it into lines, one for each message"}
	}
	return fault.New(fault.Unexpected, "standard input: %w", err)
}

func (s *sendCmd) sendOne(ctx context.Context, c *client.Client, to client.Target, text string) (client.Ack, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var opts []client.SendOption
	if s.kind != "" {
		opts = append(opts, client.WithKind(s.kind))
	}
	if s.id != "" {
		opts = append(opts, client.WithID(s.id))
	}
	ack, err := c.Send(ctx, to, []byte(text), opts...)
	return ack, s.explain(err)
}

func (s *sendCmd) print(w io.Writer, ack client.Ack) error {
	if s.output == "json" {
		return printJSON(w, struct {
			ChatID      string `json:"chat_id"`
			MessageID   uint64 `json:"message_id"`
			CreatedAt   int64  `json:"created_at"`
			ClientMsgID string `json:"client_msg_id"`
		}{ack.ChatID.String(), uint64(ack.MessageID), ack.CreatedAt.UnixMilli(), ack.ClientMsgID})
	}
	_, err := fmt.Fprintln(w, ack.ChatID, ack.MessageID)
	return err
}

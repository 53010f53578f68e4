package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

// plainChat is the chat for scripts: lines in, lines out.
type plainChat struct {
	sdk       *client.Client
	chat      client.ChatID
	to        client.Target
	out, warn io.Writer
}

// run sends the lines of stdin until it ends, or ctx does.
func (p *plainChat) run(ctx context.Context, stdin io.Reader) error {
	reading, stop := context.WithCancel(ctx)
	var printer sync.WaitGroup
	printer.Go(func() { p.print(reading) })
	err := p.send(ctx, stdin)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = p.sdk.Shutdown(ctx)
	}
	stop()
	printer.Wait()
	return err
}

// send sends each line and waits until it is stored. The reader of standard
// input cannot be interrupted; it is left behind when ctx ends first.
func (p *plainChat) send(ctx context.Context, stdin io.Reader) error {
	lines := make(chan string)
	ended := make(chan error, 1)
	go func() {
		s := bufio.NewScanner(stdin)
		s.Buffer(nil, wire.MaxContentCeiling+1)
		for s.Scan() {
			select {
			case lines <- strings.TrimRight(s.Text(), "\r"):
			case <-ctx.Done():
				return
			}
		}
		err := s.Err()
		if err != nil {
			err = inputError(err)
		}
		ended <- err
	}()
	for {
		select {
		case text := <-lines:
			if text == "" {
				continue
			}
			if _, err := p.sdk.Send(ctx, p.to, []byte(text)); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-p.sdk.Done():
			return p.sdk.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// print prints the conversation.
func (p *plainChat) print(ctx context.Context) {
	for ev := range p.sdk.Events(ctx) {
		switch e := ev.(type) {
		case client.Message:
			if e.ChatID == p.chat {
				fmt.Fprintf(p.out, "%s: %s\n", plainText(string(e.SenderID)), printable(&e))
				p.sdk.MarkRead(e.ChatID, e.MessageID)
			}
		case client.StateChange:
			if e.State == client.StateWaiting {
				fmt.Fprintf(p.warn, "godwit: connection lost (%v); trying again\n", e.Err)
			}
		}
	}
}

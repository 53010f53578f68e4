// Command godwit is the whole of godwit in one binary: the server, a terminal
// client, tools for scripts, the load generator.
//
// Every subcommand stands in a file of its own and does no more than turn
// flags into a configuration and run it. A command that fails prints one line
// on standard error and ends with a code from fault.Exits.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/godwit-im/godwit/internal/fault"
)

func main() { os.Exit(run()) }

// run is main for the tests: it returns the exit code.
func run() int {
	ctx, stop := signals()
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, fault.Line(err))
	}
	return fault.Exit(err)
}

// signals returns a context that the first SIGINT or SIGTERM ends; the second
// ends the process at once.
func signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-ch:
		case <-ctx.Done():
			return
		}
		cancel()
		<-ch
		fmt.Fprintln(os.Stderr, fault.Line(fault.New(fault.StopTooSlow, "asked twice")))
		os.Exit(fault.ExitFailure)
	}()
	return ctx, func() { signal.Stop(ch); cancel() }
}

// Command godwit is the whole of godwit in one binary: the server, a terminal
// client, tools for scripts, the load generator.
//
// Every subcommand stands in a file of its own and does no more than turn
// flags into a configuration and run it. A command that fails prints one line
// on standard error and ends with a code from fault.Exits.
package main

import (
	"fmt"
	"os"

	"github.com/godwit-im/godwit/internal/fault"
)

func main() { os.Exit(run()) }

// run is main for the tests: it returns the exit code.
func run() int {
	err := newRoot().Execute()
	if err != nil {
		fmt.Fprintln(os.Stderr, fault.Line(err))
	}
	return fault.Exit(err)
}

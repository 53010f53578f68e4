package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/internal/fault"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"godwit": main})
}

// TestScripts runs testdata/*.txt: what a person types, what the program
// answers, and the exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_DATA_HOME", env.WorkDir+"/share")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs `exits CODE COMMAND...` and wants that exit code and, beside lines
// of the log, at most one line on standard error.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, code := args[0], "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != want {
		ts.Fatalf("%s: exit code %s, want %s", strings.Join(args[1:], " "), code, want)
	}
	stderr := ""
	for l := range strings.Lines(ts.ReadFile("stderr")) {
		if !strings.HasPrefix(l, "time=") {
			stderr += l
		}
	}
	if strings.Count(stderr, "\n") > 1 {
		ts.Fatalf("more than one line on standard error:\n%s", stderr)
	}
	if code != "0" && !strings.HasPrefix(stderr, "godwit: E") {
		ts.Fatalf("standard error has no numbered line:\n%s", stderr)
	}
}

func TestEveryCommandHelps(t *testing.T) {
	for _, c := range commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.Name(), c.Short)
		}
		if c.RunE == nil && !c.HasSubCommands() {
			t.Errorf("%s does nothing", c.Name())
		}
	}
}

func TestFaultsThatHelpNamesExist(t *testing.T) {
	root := newRoot()
	for _, e := range fault.All() {
		for _, word := range strings.Fields(e.Do + " " + e.More) {
			flag := strings.Trim(word, ",;:().`")
			if name, ok := strings.CutPrefix(flag, "--"); ok && !hasFlag(t, root.Commands(), name) {
				t.Errorf("%s advises %s, which no command has", e.ID(), flag)
			}
		}
	}
}

func hasFlag(t *testing.T, cmds []*cobra.Command, name string) bool {
	t.Helper()
	for _, c := range cmds {
		c.InitDefaultHelpFlag()
		if c.Flags().Lookup(name) != nil || c.HasSubCommands() && hasFlag(t, c.Commands(), name) && name != "help" {
			return true
		}
	}
	return name == "help"
}

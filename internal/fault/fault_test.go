package fault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/wire"
)

func TestTableIsOrderedAndComplete(t *testing.T) {
	names := map[string]bool{}
	exits := map[int]bool{}
	for _, e := range fault.Exits {
		exits[e.Exit] = true
	}
	last := uint16(0)
	for _, e := range fault.All() {
		if e.Code <= last {
			t.Errorf("%s is not above E%d", e.ID(), last)
		}
		last = e.Code
		if e.Name == "" || e.Text == "" || e.Do == "" || names[e.Name] {
			t.Errorf("%s: name %q (twice? %v), text %q, do %q: all are needed", e.ID(), e.Name, names[e.Name], e.Text, e.Do)
		}
		names[e.Name] = true
		if !exits[e.Exit] || e.Exit == 0 {
			t.Errorf("%s has exit code %d, which is not in the table of failures", e.ID(), e.Exit)
		}
		if strings.HasSuffix(e.Text, ".") || strings.Contains(e.Text, "\n") {
			t.Errorf("%s: text %q is not half a line", e.ID(), e.Text)
		}
	}
}

func TestLineSaysWhatAndWhatToDo(t *testing.T) {
	err := fault.New(fault.PortTaken, "127.0.0.1:8080")
	want := "godwit: E3001: the address is taken: 127.0.0.1:8080; stop the program that holds it, or choose another address with --listen or --admin"
	if got := fault.Line(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := fault.Line(err.Advise("use port 0")); !strings.HasSuffix(got, "8080; use port 0") {
		t.Errorf("advice is not used: %s", got)
	}
	if got := fault.Line(errors.New("strange")); !strings.HasPrefix(got, "godwit: E3999: the command failed: strange;") {
		t.Errorf("an error without number: %s", got)
	}
}

// Causes join others, and servers may send anything.
func TestLineIsOneLine(t *testing.T) {
	err := fault.New(fault.StartFailed, "%w", errors.Join(errors.New("first"), errors.New("se\x1b[2Jcond")))
	want := "godwit: E3021: the server could not start: first, se [2Jcond; look at the cause and at the log"
	if got := fault.Line(err); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fault.New(fault.BadKey, "x"), 3},
		{fmt.Errorf("start: %w", fault.New(fault.DataInUse, "x")), 5},
		{fmt.Errorf("send: %w", wire.CodeNotMember), 7},
	} {
		if got := fault.Exit(c.err); got != c.want {
			t.Errorf("Exit(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestNewKeepsTheCause(t *testing.T) {
	err := fmt.Errorf("outer: %w", fault.New(fault.DataNotWritable, "open %s: %w", "/x", fs.ErrPermission))
	if !errors.Is(err, fs.ErrPermission) {
		t.Error("the cause is lost")
	}
	if !errors.Is(err, &fault.Error{Code: fault.DataNotWritable}) {
		t.Error("the code is not found by errors.Is")
	}
}

func TestExplainFindsEveryErrorInEveryForm(t *testing.T) {
	for _, e := range fault.All() {
		for _, form := range []string{e.ID(), strings.ToLower(e.ID()), e.ID()[1:], e.Name, strings.ReplaceAll(e.Name, "_", "-")} {
			if got, err := fault.Explain(form); err != nil || got.Code != e.Code {
				t.Errorf("Explain(%q) = %v, %v", form, got.Code, err)
			}
		}
	}
}

func TestExplainSuggests(t *testing.T) {
	_, err := fault.Explain("not_membre")
	if err == nil || !strings.Contains(err.Error(), "did you mean not_member?") {
		t.Errorf("got %v", err)
	}
	if _, err = fault.Explain("zzzzzzzzzzzzz"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a suggestion out of nowhere: %v", err)
	}
}

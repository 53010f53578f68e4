package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/fault"
)

// Who sends many is told how far they are, from two seconds on, and at Ctrl-C.
func TestSendSaysHowFarItIs(t *testing.T) {
	var out bytes.Buffer
	p := (&sendCmd{count: 5000}).progress(&out, "hello")
	begin := p.spoken
	for i := range 500 { // 100 a second
		p.stored(begin.Add(time.Duration(i+1) * 10 * time.Millisecond))
	}
	if got := out.String(); got != "godwit: 200 of 5000 stored\ngodwit: 400 of 5000 stored\n" {
		t.Errorf("said %q", got)
	}
	if err := p.interrupted(fault.New(fault.Interrupted, "")); !strings.Contains(err.Error(), "500 of 5000 stored") || fault.Exit(err) != fault.ExitInterrupted {
		t.Errorf("at Ctrl-C: %v", err)
	}
	other := errors.New("other")
	if p.interrupted(other) != other {
		t.Error("another error is changed")
	}
	if p = (&sendCmd{count: 1}).progress(&out, "-"); p.String() != "0 stored" {
		t.Errorf("of lines: %s", p)
	}
}

package main

import (
	"strings"
	"testing"
)

func TestNoDevSignInSaysWhichFlagHidesTheToken(t *testing.T) {
	a := account{server: "https://chat.example", as: "alice"}
	t.Setenv("GODWIT_TOKEN", "")
	if err := a.noDevSignIn(); !strings.Contains(err.Error(), "E3015: ") || !strings.Contains(err.Error(), "set GODWIT_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	t.Setenv("GODWIT_TOKEN", "x")
	if err := a.noDevSignIn(); !strings.Contains(err.Error(), "leave out --as, so that GODWIT_TOKEN counts") {
		t.Errorf("with a token: %v", err)
	}
}

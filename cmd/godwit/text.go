package main

import (
	"strings"
	"unicode"
)

// plainText makes text of somebody else fit for a terminal: one line, and
// nothing in it that the terminal would obey.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return '·'
		}
		return r
	}, s)
}

package config

import (
	"fmt"
	"strings"
)

// Form says what a value looks like, for people.
func (st *Setting) Form() string {
	switch {
	case st.OneOf != nil:
		return strings.Join(st.OneOf, ", ")
	case st.Kind == List:
		return "list of texts"
	}
	return string(st.Kind)
}

// toml writes text as a TOML value of the setting's kind.
func (st *Setting) toml(text string) string {
	switch {
	case st.Kind == List && text == "":
		return "[]"
	case st.Kind == List:
		return "[" + `"` + strings.ReplaceAll(text, ",", `", "`) + `"` + "]"
	case (st.Kind == Int || st.Kind == Bool) && text != "":
		return text
	}
	return fmt.Sprintf("%q", text)
}

// Template returns a TOML file for a process of the role: every setting with
// what it is and its default, all of them comments.
func Template(role Role) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of `godwit %s`. Each line that is a comment shows the default.\n", role)
	b.WriteString("# The environment wins over this file, and a flag over the environment.\n")
	group := ""
	for _, st := range table(role) {
		if st.Group != group {
			group = st.Group
			fmt.Fprintf(&b, "\n# --- %s ---\n", group)
		}
		b.WriteString("\n")
		for _, line := range wrap(st.Doc, 76) {
			b.WriteString("# " + line + "\n")
		}
		fmt.Fprintf(&b, "# (%s; %s)\n", st.Form(), st.Env())
		fmt.Fprintf(&b, "#%s = %s\n", st.Key, st.toml(st.DefaultOf(role)))
	}
	return b.String()
}

// wrap breaks text into lines of at most width bytes, where words allow it.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Markdown returns the table for people who read it in a browser: a heading and
// a table for each group.
func Markdown() string {
	var b strings.Builder
	group := ""
	for i := range Settings {
		st := &Settings[i]
		if st.Group != group {
			group = st.Group
			fmt.Fprintf(&b, "\n### %s\n\n| Key | Roles | Environment | Form | Default | What it is |\n|---|---|---|---|---|---|\n", group)
		}
		var of []string
		for _, r := range st.Of() {
			of = append(of, string(r))
		}
		flag := ""
		if st.Secret {
			flag = " No flag: command lines can be seen by others."
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s | %s.%s |\n", st.Key, strings.Join(of, ", "), st.Env(), st.Form(), st.defaultsText(),
			strings.ReplaceAll(st.Doc, "|", `\|`), flag)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// defaultsText returns the default, for each role where they differ.
func (st *Setting) defaultsText() string {
	var parts []string
	same := true
	for _, r := range st.Of() {
		d := st.DefaultOf(r)
		same = same && d == st.DefaultOf(st.Of()[0])
		parts = append(parts, fmt.Sprintf("%s `%s`", r, d))
	}
	switch d := st.DefaultOf(st.Of()[0]); {
	case !same:
		return strings.Join(parts, ", ")
	case d == "":
		return "-"
	default:
		return "`" + d + "`"
	}
}

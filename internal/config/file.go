package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/v2"

	"github.com/godwit-im/godwit/internal/fault"
)

// readFile reads the TOML file. A table [auth] with issuer says the same as
// auth_issuer.
func readFile(role Role, name string) (said, []error) {
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, []error{fault.New(fault.BadConfigFile, "%w", err)}
	}
	k := koanf.New(".")
	if err := k.Load(fileBytes(b), toml.Parser()); err != nil {
		return nil, []error{fault.New(fault.BadConfigFile, "%s:%s", name, syntaxError(b, err)).
			Advise("correct that line, or name another file with --config")}
	}
	s := said{}
	var problems []error
	lines := linesOf(b)
	paths := k.Keys()
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(lines[a]-lines[b], strings.Compare(a, b)) })
	for _, path := range paths {
		key, where := strings.ReplaceAll(path, ".", "_"), fmt.Sprintf("%s:%d", name, lines[path])
		st := find(key)
		_, twice := s[key]
		switch {
		case st == nil:
			problems = append(problems, unknownInFile(role, path, where))
		case !st.In(role):
			problems = append(problems, ofOthers(path+" in "+where, st, role))
		case twice:
			problems = append(problems, fault.New(fault.BadConfigFile, "%s says %s twice, once as a key of a table", where, key).Advise("remove one of them"))
		default:
			if text := textOf(k.Get(path)); text != "" { // as in the environment, empty is not said
				s.put(st, text, Origin{FromFile, where, path})
			}
		}
	}
	return s, problems
}

// unknownInFile makes the error for a key that is in no row of the table.
func unknownInFile(role Role, path, where string) error {
	if section, key, ok := strings.Cut(path, "."); ok && slices.Contains(Roles(), Role(section)) {
		return fault.New(fault.BadKey, "%s in %s", path, where).
			Advise("write %s without a table: a file is for one process, and has no sections by role", key)
	}
	return unknown(path+" in "+where, strings.ReplaceAll(path, ".", "_"), keysOf(role))
}

// linesOf returns the line on which each key of a file is said, by its path. The
// parser does not tell; so this looks with which line the key comes up.
func linesOf(file []byte) map[string]int {
	lines := map[string]int{}
	begins, line := 1, 0 // where the statement begins that is being read
	for end := 0; end < len(file); {
		line++
		if n := bytes.IndexByte(file[end:], '\n'); n >= 0 {
			end += n + 1
		} else {
			end = len(file)
		}
		k := koanf.New(".")
		if k.Load(fileBytes(file[:end]), toml.Parser()) != nil {
			continue // a value that goes on in the next line
		}
		for _, path := range k.Keys() {
			if lines[path] == 0 {
				lines[path] = begins
			}
		}
		begins = line + 1
	}
	return lines
}

type fileBytes []byte

func (b fileBytes) ReadBytes() ([]byte, error)    { return b, nil }
func (b fileBytes) Read() (map[string]any, error) { return nil, errors.ErrUnsupported }

// placed is what the parser's errors are that know where they arose.
type placed interface{ Position() (row, column int) }

// syntaxError returns "3:10: what is wrong" for an error of the parser: line
// and column, or the line alone where the parser knows neither.
func syntaxError(file []byte, err error) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	text, _, _ = strings.Cut(text, ": strconv.") // of Go, not of the file
	var at placed
	if errors.As(err, &at) {
		row, column := at.Position()
		return fmt.Sprintf("%d:%d: %s", row, column, text)
	}
	return fmt.Sprintf("%d: %s", lineOf(file, err), text)
}

// lineOf returns the line with which the file becomes wrong in the way of err:
// something said twice, which the parser notices without saying where.
func lineOf(file []byte, err error) int {
	end, line := 0, 0
	for end < len(file) {
		line++
		if n := bytes.IndexByte(file[end:], '\n'); n >= 0 {
			end += n + 1
		} else {
			end = len(file)
		}
		// A value that goes on in the next line is another error.
		if _, e := toml.Parser().Unmarshal(file[:end]); e != nil && e.Error() == err.Error() {
			return line
		}
	}
	return line
}

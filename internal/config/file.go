package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/v2"

	"github.com/godwit-im/godwit/internal/fault"
)

// fileLayer reads the TOML file. A table [auth] with issuer says the same as
// auth_issuer.
func fileLayer(name string) (layer, error) {
	l := layer{}
	if name == "" {
		return l, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.New(fault.BadConfigFile, "%w", err)
	}
	k := koanf.New(".")
	if err := k.Load(fileBytes(b), toml.Parser()); err != nil {
		return nil, fault.New(fault.BadConfigFile, "%s:%s", name, syntaxError(b, err)).
			Advise("correct that line, or name another file with --config")
	}
	paths := k.Keys()
	slices.Sort(paths)
	for _, path := range paths {
		key := strings.ReplaceAll(path, ".", "_")
		if find(key) == nil {
			return nil, unknown("%s in "+strings.ReplaceAll(name, "%", "%%"), path, key, keys())
		}
		if _, twice := l[key]; twice {
			return nil, fault.New(fault.BadConfigFile, "%s says %s twice, once as a key of a table", name, key).Advise("remove one of them")
		}
		l[key] = value{textOf(k.Get(path)), path + " in " + name}
	}
	return l, nil
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

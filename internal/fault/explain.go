package fault

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/internal/fault/near"
	"github.com/godwit-im/godwit/wire"
)

// Entry is one error of either table, in the form that `godwit explain` shows
// and -o json prints.
type Entry struct {
	Code      uint16 `json:"code"`
	Name      string `json:"name"`
	Text      string `json:"text"`
	Do        string `json:"do"`
	More      string `json:"more,omitempty"`
	Retryable bool   `json:"retryable"`
	HTTP      int    `json:"http_status,omitempty"` // 1xxx only
	Close     uint16 `json:"close_code,omitempty"`  // 1xxx only: set when the error ends the connection
	Exit      int    `json:"exit_code"`
}

// ID returns "E1203".
func (e *Entry) ID() string { return "E" + strconv.Itoa(int(e.Code)) }

// HTTPText returns the status with its name, such as "403 Forbidden", or "".
func (e *Entry) HTTPText() string {
	if e.HTTP == 0 {
		return ""
	}
	return strings.TrimSpace(strconv.Itoa(e.HTTP) + " " + http.StatusText(e.HTTP))
}

// All returns both tables, ordered by code.
func All() []Entry {
	list := make([]Entry, 0, len(wire.Codes)+len(Codes))
	for i := range wire.Codes {
		c := &wire.Codes[i]
		list = append(list, Entry{Code: uint16(c.Code), Name: c.Name, Text: c.Text, Do: c.Do,
			Retryable: c.Retryable, HTTP: c.HTTP, Close: c.Close, Exit: ExitRefused})
	}
	for i := range Codes {
		c := &Codes[i]
		list = append(list, Entry{Code: uint16(c.Code), Name: c.Name, Text: c.Text, Do: c.Do, More: c.More, Exit: c.Exit})
	}
	return list
}

// Explain finds an error by "E1203", "e1203", "1203", "not_member" or
// "not-member". The error is an UnknownCode with the nearest name.
func Explain(what string) (Entry, error) {
	all := All()
	key := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(what)), "-", "_")
	number := strings.TrimPrefix(key, "e")
	names := make([]string, 0, len(all))
	for i := range all {
		if all[i].Name == key || strconv.Itoa(int(all[i].Code)) == number {
			return all[i], nil
		}
		names = append(names, all[i].Name)
	}
	err := New(UnknownCode, "%q", what)
	if n := near.Name(key, names); n != "" {
		err.Advise("did you mean %s? run `godwit explain` for all of them", n)
	}
	return Entry{}, err
}

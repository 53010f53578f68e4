package client

import (
	"net/http"
	"testing"

	"github.com/godwit-im/godwit/wire"
)

func TestErrorSaysOnceWhatToDo(t *testing.T) {
	const what, do = "there is no such conversation", "start a direct chat with `to`, or create a group first"
	for name, e := range map[string]*Error{
		"code alone":          {Code: wire.CodeUnknownChat},
		"what is wrong":       {Code: wire.CodeUnknownChat, Message: what},
		"what and what to do": {Code: wire.CodeUnknownChat, Message: what + "; " + do},
		"problem":             problem(http.StatusNotFound, "", []byte(`{"code":1201,"title":"`+what+`","detail":"`+do+`"}`)),
	} {
		if got, want := e.Error(), "E1201: "+what+"; "+do; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

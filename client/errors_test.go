package client

import (
	"errors"
	"net/http"
	"testing"

	"github.com/godwit-im/godwit/wire"
)

func TestErrorSaysOnceWhatToDo(t *testing.T) {
	const what, do = "there is no such conversation", "start a direct chat with `to`, or create a group first"
	for name, e := range map[string]*Error{
		"code alone":          {Code: wire.CodeUnknownChat},
		"what is wrong":       {Code: wire.CodeUnknownChat, Message: what},
		"what and what to do": {Code: wire.CodeUnknownChat, Message: what, Advice: do},
		"problem":             problem(http.StatusNotFound, "", []byte(`{"code":1201,"title":"`+what+`","advice":"`+do+`"}`)),
	} {
		if got, want := e.Error(), "E1201: "+what+"; "+do; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	e := problem(http.StatusBadRequest, "", []byte(`{"code":1208,"title":"the request cannot be understood","detail":"query.lim is unknown","advice":"this address knows: limit"}`))
	if got, want := e.Error(), "E1208: the request cannot be understood: query.lim is unknown; this address knows: limit"; got != want {
		t.Errorf("a problem with a detail:\n got %s\nwant %s", got, want)
	}
}

// A receipt has no call that could return its error: the Notice says which
// operation and conversation it is about.
func TestRefusedReceiptIsANoticeThatNamesIt(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(wire.Frame{Op: wire.OpError, Code: wire.CodeUnknownMessage, Message: []byte("no such message"), Advice: []byte("look"),
		Refused: []byte("ack_read"), Chat: chatID('c')})
	ev, _ := r.Event()
	n, ok := ev.(Notice)
	var e *Error
	if !ok || !errors.As(n.Err, &e) || e.Op != "ack_read" || e.ChatID != chatID('c') || e.Error() != "E1207: no such message; look" {
		t.Errorf("%v %+v", n, e)
	}
}

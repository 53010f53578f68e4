package wire

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestOpsTable(t *testing.T) {
	names := map[string]bool{}
	for i := range Ops {
		s := &Ops[i]
		if int(s.Op) != i+1 {
			t.Errorf("%s has code %d at place %d: codes are ordered and leave no hole", s.Name, s.Op, i)
		}
		if Spec(s.Op) != s || SpecByName(s.Name) != s || SpecByName([]byte(s.Name)) != s || s.Op.String() != s.Name {
			t.Errorf("%s is not found by its code or name", s.Name)
		}
		if names[s.Name] || !snakeCase.MatchString(s.Name) {
			t.Errorf("name %q is taken or not snake_case", s.Name)
		}
		names[s.Name] = true
		if len(s.Name) > MaxOpName {
			t.Errorf("%s: error.op holds names of at most %d bytes", s.Name, MaxOpName)
		}
		if s.Dir&^Both != 0 || s.Dir == 0 {
			t.Errorf("%s has direction %d", s.Name, s.Dir)
		}
		if s.Since < 1 || s.Since > Version {
			t.Errorf("%s is since %d, the version is %d", s.Name, s.Since, Version)
		}
		if s.Doc == "" {
			t.Errorf("%s has no doc", s.Name)
		}
		if len(s.Fields) > 14 {
			t.Errorf("%s has %d fields; AppendMsgpack writes a fixarray, which holds the op and 14", s.Name, len(s.Fields))
		}
		checkFields(t, s)
	}
	for _, op := range []Op{0, Op(len(Ops) + 1), 255} {
		if Spec(op) != nil || op.String() != "unknown op" {
			t.Errorf("op %d is in the table", op)
		}
	}
}

func checkFields(t *testing.T, s *OpSpec) {
	members, names := map[member]bool{}, map[string]bool{"type": true}
	for i := range s.Fields {
		fd := &s.Fields[i]
		at := s.Name + "." + fd.Name
		if names[fd.Name] || !snakeCase.MatchString(fd.Name) || strings.HasSuffix(fd.Name, b64Suffix) {
			t.Errorf("%s: the name is taken or not snake_case", at)
		}
		names[fd.Name] = true
		if members[fd.member] {
			t.Errorf("%s shares its member with another field", at)
		}
		members[fd.member] = true
		// The zero member is the token's: nothing else may have forgotten its own.
		if (fd.member == mToken) != (fd.Name == "token") {
			t.Errorf("%s has no member", at)
		}
		if fd.Doc == "" {
			t.Errorf("%s has no doc", at)
		}
		checkBounds(t, at, fd)
	}
}

// checkBounds says whether type, bounds and member of fd fit each other.
func checkBounds(t *testing.T, at string, fd *Field) {
	var f Frame
	bytesField := f.view(fd.member) != nil
	switch fd.Type {
	case TypeText, TypeID, TypeBytes:
		if !bytesField || fd.Max == 0 || fd.Min != 0 {
			t.Errorf("%s: a string needs a view and a Max and has no Min", at)
		}
		if fd.Type == TypeID && fd.Max != MaxID {
			t.Errorf("%s: an id has at most MaxID bytes", at)
		}
	case TypeUint, TypeStatus, TypeTyping:
		if bytesField || fd.Max == 0 || fd.Max > MaxSeq || fd.Min > 1 {
			t.Errorf("%s: a number needs a Max of at most MaxSeq and a Min of 0 or 1", at)
		}
		f.setNum(fd.member, fd.Max)
		if v, present := f.num(fd.member); v != fd.Max || !present {
			t.Errorf("%s: stored %d, got %d", at, fd.Max, v)
		}
	case TypeChat:
		if fd.member != mChat {
			t.Errorf("%s: a chat lives in Frame.Chat", at)
		}
	case TypeLimits:
		if fd.member != mLimits {
			t.Errorf("%s: limits live in Frame.Limits", at)
		}
	case TypeBool:
		if fd.member != mRetryable {
			t.Errorf("%s: the only bool is Frame.Retryable", at)
		}
	default:
		t.Errorf("%s: unknown type %d", at, fd.Type)
	}
}

func TestCodesTable(t *testing.T) {
	names := map[string]bool{}
	for i := range Codes {
		c := &Codes[i]
		if i > 0 && c.Code <= Codes[i-1].Code {
			t.Errorf("%s is out of order", c.Name)
		}
		if names[c.Name] || !snakeCase.MatchString(c.Name) {
			t.Errorf("name %q is taken or not snake_case", c.Name)
		}
		names[c.Name] = true
		if c.Code < 1000 || c.Code > 1999 {
			t.Errorf("%s: %d is not a client's code", c.Name, c.Code)
		}
		ours := c.Close == 4000+uint16(c.Code-1000)
		standard := c.Close == 1001 || c.Close == 1002 || c.Close == 1003 || c.Close == 1007 || c.Close == 1009 || c.Close == 1011
		if c.Close != 0 && !ours && !standard {
			t.Errorf("%s: close code %d is neither RFC 6455's nor 4000 and the code's last three digits", c.Name, c.Close)
		}
		if c.HTTP < 400 || http.StatusText(c.HTTP) == "" {
			t.Errorf("%s: HTTP status %d", c.Name, c.HTTP)
		}
		// An edge may put "op.field: " in front of the text.
		if c.Text == "" || len(c.Text)+2*MaxOpName > MaxErrorText || c.Do == "" || len(c.Do) > MaxErrorText {
			t.Errorf("%s: an error says what is wrong and what to do, each within MaxErrorText", c.Name)
		}
		if strings.Contains(c.Text, ";") {
			t.Errorf("%s: on one line, what is wrong ends at the first semicolon; the text has one of its own", c.Name)
		}
		if c.Code.CloseCode() != c.Close || c.Code.Retryable() != c.Retryable {
			t.Errorf("%s: CloseCode and Retryable are those of the row", c.Name)
		}
	}
}

// TestCodeTexts pins what people read in logs and on the command line.
func TestCodeTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{CodeNotMember.String(), "E1203 not_member"},
		{CodeNotMember.Error(), "E1203: you are not a member of this conversation; ask a member to add you"},
		{CodeNotLeader.String(), "E2001"},
		{CodeNotLeader.Error(), "E2001"},
		{DecodeError{Code: CodeBadFrame}.Error(), CodeBadFrame.Error()},
		{DecodeError{Code: CodeBadField, Op: OpAckSent, Field: "chat_id"}.Error(), "E1005: a field is missing, too long, reserved or not of its type: chat_id of ack_sent; correct the field that the message names"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if OK.Retryable() || OK.CloseCode() != 0 || CodeNotLeader.CloseCode() != 0 || !CodeNotLeader.Retryable() {
		t.Error("OK is not an error; errors between processes end no connection and may be retried")
	}
}

func TestFormats(t *testing.T) {
	for name, want := range map[string]Format{SubprotocolMsgpack: Msgpack, SubprotocolJSON: JSON} {
		if got, ok := FormatOf(name); !ok || got != want {
			t.Errorf("FormatOf(%q) = %d, %t", name, got, ok)
		}
	}
	if _, ok := FormatOf("godwit.v2.msgpack"); ok {
		t.Error("a later version's subprotocol is not ours")
	}
}

package wire

import "bytes"

// KindGroupCreated is the kind of a group's first entry; its content is the
// group's name.
const KindGroupCreated = "group.created"

// ReservedKind is a beginning of kinds that only the server writes. What
// starts with it tells a reader something that its sender could not forge.
type ReservedKind struct {
	Prefix string
	Doc    string
}

// ReservedKinds is the table; append-only. An edge refuses a send_message of
// such a kind with CodeBadField.
var ReservedKinds = [...]ReservedKind{
	{"group.", "what happened to a group; `" + KindGroupCreated + "` is its first entry, with the name as content"},
}

// KindReserved reports whether only the server may write kind.
func KindReserved(kind []byte) bool {
	for i := range ReservedKinds {
		if bytes.HasPrefix(kind, []byte(ReservedKinds[i].Prefix)) {
			return true
		}
	}
	return false
}

package wire

import "testing"

func TestReservedKinds(t *testing.T) {
	for kind, want := range map[string]bool{
		KindGroupCreated: true, "group.": true, "group.anything": true,
		"": false, "text": false, "group": false, "groups.created": false, "my.group.created": false, "Group.created": false,
	} {
		if KindReserved([]byte(kind)) != want {
			t.Errorf("%q: reserved %v, want %v", kind, !want, want)
		}
	}
	kind := []byte(KindGroupCreated)
	if n := testing.AllocsPerRun(100, func() { KindReserved(kind) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

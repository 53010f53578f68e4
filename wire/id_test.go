package wire

import (
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDirectChat(t *testing.T) {
	ab := DirectChat("alice", "bob")
	if ab != DirectChat("bob", "alice") {
		t.Error("a direct chat has one id in either order")
	}
	if ab.Kind() != Direct || ab.IsZero() {
		t.Errorf("%v has kind %q", ab, ab.Kind())
	}
	// The length prefix keeps names from running into each other.
	if DirectChat("a", "bc") == DirectChat("ab", "c") {
		t.Error("two pairs share a chat")
	}
	// Ids are in every data directory: a change of this text loses them.
	if got, want := ab.String(), "dne5bb7zvdjacokkfwqnj6e6b"; got != want {
		t.Errorf("alice and bob have %s, want %s", got, want)
	}
}

func TestChatIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := genChat().Draw(t, "chat")
		text := id.String()
		if len(text) != ChatTextLen {
			t.Fatalf("%q has %d characters", text, len(text))
		}
		back, err := ParseChatID([]byte(text))
		if err != nil || back != id {
			t.Fatalf("%s came back as %v, %v", text, back, err)
		}
	})
}

// TestSlots pins the hash: slots are in every shard map and data directory.
func TestSlots(t *testing.T) {
	for _, c := range []struct{ got, want Slot }{
		{UserID("alice").Slot(), 4968},
		{UserID("bob").Slot(), 1280},
		{DirectChat("alice", "bob").Slot(), 2501},
	} {
		if c.got != c.want {
			t.Errorf("slot %d, want %d", c.got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if s := genChat().Draw(t, "chat").Slot(); s >= Slots {
			t.Fatalf("slot %d", s)
		}
	})
}

func TestSlotsAreEven(t *testing.T) {
	const users = 64 * Slots
	count := make([]int, Slots)
	for i := range users {
		count[UserID("user-"+strconv.Itoa(i)).Slot()]++
	}
	for slot, n := range count {
		if n < 16 || n > 160 {
			t.Fatalf("slot %d has %d users of an average of 64", slot, n)
		}
	}
}

func TestValidID(t *testing.T) {
	for _, c := range []struct {
		id   string
		want bool
	}{
		{"alice", true},
		{"jörg@example.org", true},
		{"https://issuer.example|user 1", true},
		{longID, true},
		{strings.Repeat("🪿", 16), true},
		{"", false},
		{longID + "x", false},
		{"tab\there", false},
		{"del\x7f", false},
		{"c1 \u0085", false},
		{"not UTF-8 \xff", false},
		{"half a rune \xf0\x9f", false},
		{"replacement \uFFFD", false},
	} {
		if ValidID(c.id) != c.want || ValidID([]byte(c.id)) != c.want {
			t.Errorf("ValidID(%q) is not %t", c.id, c.want)
		}
	}
}

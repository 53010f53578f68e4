package config

import (
	"slices"
	"testing"
)

func TestPeersNameBothAddresses(t *testing.T) {
	var got []Peer
	if err := setPeers(&got, "control-1=10.0.0.1:7701, b=[::1]:1/2"); err != nil {
		t.Fatal(err)
	}
	want := []Peer{{"control-1", "10.0.0.1:7701", "10.0.0.1:7700"}, {"b", "[::1]:1", "[::1]:2"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"x", "x=10.0.0.1", "x=10.0.0.1:1/", "x=10.0.0.1:1/70000", "x=0.0.0.0:1/2", "X=10.0.0.1:1", "x=10.0.0.1:1/10.0.0.1:2"} {
		if err := setPeers(new([]Peer), bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

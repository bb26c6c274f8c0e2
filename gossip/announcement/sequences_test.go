package announcement

import (
	"slices"
	"testing"

	"tokenring/route"
)

// TestAnEarlierAnnouncementIsOldAfterARestart: a host has announced that it leaves, and
// somebody repeats what it has announced before to a balancer that has just started.
func TestAnEarlierAnnouncementIsOldAfterARestart(t *testing.T) {
	key, other := route.HostKey{1}, route.HostKey{2}
	before := NewKeys(false)
	before.Configure(map[string]route.HostKey{"c": key})
	for _, host := range []string{"a", "b", "never-seen"} {
		before.SetKey(host, key)
	}
	for host, sequence := range map[string]uint64{"a": 5, "b": 7, "c": 9, "squatter": 11} {
		before.Restore(Metadata{Spec: route.Spec{Name: host}, Signature: Signature{Key: key, Sequence: sequence}})
	}
	kept := before.Sequences()
	if want := []Sequence{{"a", key, 5}, {"b", key, 7}, {"c", key, 9}}; !slices.Equal(kept, want) {
		t.Fatalf("got %v, want %v", kept, want)
	}

	after := NewKeys(false)
	after.Configure(map[string]route.HostKey{"c": key})
	after.SetKey("a", key)
	after.SetKey("b", other) // an operator has said so
	after.RestoreSequences(append(kept, Sequence{"squatter", key, 11}))
	if got, want := after.Sequences(), []Sequence{{"a", key, 5}, {"c", key, 9}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if after.hosts["squatter"] != nil {
		t.Error("a key came back that nobody has set")
	}
}

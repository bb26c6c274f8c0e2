package route

import (
	"fmt"
	"testing"
)

// TestAKeyIsValidForAllSnapshotsOfAConfiguration uses the key of one snapshot with
// others: one with the same hosts, one with fewer hosts, and one that is frozen.
func TestAKeyIsValidForAllSnapshotsOfAConfiguration(t *testing.T) {
	first := testSnapshot(t, []string{"a", "b", "c"}, nil)
	fewer := testSnapshot(t, []string{"a", "c"}, nil)
	frozen := testSnapshot(t, []string{"a", "b", "c"}, func(h map[string]*Host) { h["b"].Verdict = Down })
	frozen.Frozen = true
	for i := range 100 {
		token := fmt.Appendf(nil, "key-%d", i)
		key := first.Key(token)
		for name, s := range map[string]*Snapshot{"fewer hosts": fewer, "frozen": frozen} {
			got, ok := s.Choose(key, nil)
			if want, wanted := s.Choose(s.Key(token), nil); got != want || ok != wanted {
				t.Errorf("%s, %s: got %+v %t, want %+v %t", token, name, got, ok, want, wanted)
			}
		}
		if key.Hash() != first.Table.Hash(token) || !key.Present() || !key.Hashed() {
			t.Errorf("%s: got %+v", token, key)
		}
	}
}

func TestAKeyWithoutTokenOrTableSaysSo(t *testing.T) {
	s, empty := testSnapshot(t, []string{"a"}, nil), NewSnapshot(nil, nil)
	for _, row := range []struct {
		name            string
		key             Key
		present, hashed bool
	}{
		{"zero value", Key{}, false, false},
		{"empty token", s.Key([]byte{}), false, false},
		{"no table", empty.Key([]byte("alice")), true, false},
		{"a table", s.Key([]byte("alice")), true, true},
	} {
		if row.key.Present() != row.present || row.key.Hashed() != row.hashed {
			t.Errorf("%s: present %t, hashed %t", row.name, row.key.Present(), row.key.Hashed())
		}
	}
}

func TestKeyDoesNotAllocate(t *testing.T) {
	s, token := testSnapshot(t, []string{"a", "b"}, nil), []byte("alice")
	if n := testing.AllocsPerRun(100, func() { s.Key(token) }); n != 0 {
		t.Errorf("Key allocates %v times", n)
	}
}

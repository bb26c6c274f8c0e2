package netaddr

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
)

// TestRoomIsMadeAtTheExpenseOfThoseWhoAreIdle: for long first, and never of those who are busy.
func TestRoomIsMadeAtTheExpenseOfThoseWhoAreIdle(t *testing.T) {
	for _, row := range []struct {
		kept []string
		most int
		want []string
	}{
		{[]string{"busy", "idle"}, 3, []string{"busy", "idle"}},
		{[]string{"busy", "idle", "quiet"}, 3, []string{"busy", "quiet"}},
		{[]string{"busy", "idle", "quiet"}, 2, []string{"busy"}},
		{[]string{"busy", "busy and idle"}, 2, []string{"busy", "busy and idle"}},
	} {
		kept := map[netip.Prefix]string{}
		for i, s := range row.kept {
			kept[Source(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))] = s
		}
		MakeRoom(kept, row.most,
			func(s string) bool { return s == "busy" || s == "busy and idle" },
			func(s string) bool { return s == "idle" || s == "busy and idle" })
		if got := slices.Sorted(maps.Values(kept)); !slices.Equal(got, row.want) {
			t.Errorf("%q with room for %d: got %q, want %q", row.kept, row.most, got, row.want)
		}
	}
}

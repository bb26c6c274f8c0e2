package pool

import (
	"maps"
	"slices"
	"testing"

	"tokenring/route"
)

func TestWhereBalancersListen(t *testing.T) {
	ports := []uint16{443, 7000, 7946}
	all := []route.Peer{{Address: "10.0.0.3:7947"}, {Address: "[fd00::4]:7947"}, {Address: "nowhere"}}
	got := slices.Sorted(maps.Keys(peerAddresses(all, ports)))
	want := []string{"10.0.0.3:443", "10.0.0.3:7000", "10.0.0.3:7946", "10.0.0.3:7947", "[fd00::4]:443", "[fd00::4]:7000", "[fd00::4]:7946", "[fd00::4]:7947"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

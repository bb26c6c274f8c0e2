package netaddr

import "testing"

func TestAddressesAsTheyAreDialled(t *testing.T) {
	for _, row := range []struct{ address, network, at string }{
		{"10.0.0.11:4000", "tcp", "10.0.0.11:4000"},
		{"[fd00::1]:4000", "tcp", "[fd00::1]:4000"},
		{"unix:/run/ide.sock", "unix", "/run/ide.sock"},
		{"unix:4000", "unix", "4000"}, // refused by route.CheckListed: the path isn't absolute
	} {
		if network, at := Dialled(row.address); network != row.network || at != row.at {
			t.Errorf("%s: got %s %s, want %s %s", row.address, network, at, row.network, row.at)
		}
	}
}

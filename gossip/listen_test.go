package gossip

import (
	"net/netip"
	"testing"
)

func TestBindAddresses(t *testing.T) {
	for _, good := range []string{":7946", "0.0.0.0:7946", "[::]:0", "10.0.0.2:7946"} {
		if err := CheckBind(good); err != nil {
			t.Errorf("bind %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "7946", "localhost:7946", ":x", "10.0.0.2"} {
		if CheckBind(bad) == nil {
			t.Errorf("bind %q passed", bad)
		}
	}
}

func TestWhatIsAdvertised(t *testing.T) {
	for _, row := range []struct {
		bind, explicit string
		seeds          []string
		want           string // "" is an error
	}{
		{"10.0.0.2:7946", "", nil, "10.0.0.2:7946"},
		{"0.0.0.0:7946", "10.0.0.2:1234", nil, "10.0.0.2:1234"},
		{"0.0.0.0:7946", "10.0.0.2:0", nil, "10.0.0.2:7946"}, // the bound port
		{":7946", "", []string{"nowhere.invalid:1", "127.0.0.1:7946"}, "127.0.0.1:7946"},
		{":7946", "0.0.0.0:7946", nil, ""},
		{":7946", "lb-1:7946", nil, ""},
	} {
		bind, err := parseBind(row.bind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := advertised(bind, row.explicit, row.seeds)
		if row.want == "" {
			if err == nil {
				t.Errorf("bind %s, advertise %q: got %s, want an error", row.bind, row.explicit, got)
			}
			continue
		}
		if err != nil || got != netip.MustParseAddrPort(row.want) {
			t.Errorf("bind %s, advertise %q, seeds %v: got %s, %v; want %s", row.bind, row.explicit, row.seeds, got, err, row.want)
		}
	}
}

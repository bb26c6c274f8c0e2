package pools

import "testing"

func TestWhichUpgradesAreAllowed(t *testing.T) {
	for _, row := range []struct {
		names    []string
		protocol string
		want     bool
	}{
		{nil, "websocket", true},
		{nil, "WebSocket", true},
		{nil, "tcp", false},
		{[]string{}, "websocket", false},
		{[]string{"websocket", "SPDY/3.1"}, "spdy/3.1", true},
		{[]string{"websocket", "spdy/3.1"}, "spdy/3", false},
		{[]string{"tcp"}, "websocket", false},
	} {
		if got := NewUpgrades(row.names).Allow([]byte(row.protocol)); got != row.want {
			t.Errorf("%v: %s is allowed: %t", row.names, row.protocol, got)
		}
	}
}

package demo

import "testing"

func TestGuardLetsOnlyTheHostsOwnPageIn(t *testing.T) {
	for _, row := range []struct {
		origin, host, remote string
		shell, plain         bool // may have a terminal: a real shell, built-in commands
	}{
		{"https://localhost:8443", "localhost:8443", "127.0.0.1:1", true, true},
		{"http://127.0.0.1:4000", "127.0.0.1:4000", "127.0.0.1:1", true, true},
		{"https://[::1]:8443", "[::1]:8443", "[::1]:1", true, true},
		{"https://localhost", "localhost:443", "127.0.0.1:1", true, true}, // the default port, left out once
		{"https://LOCALHOST:1", "localhost:1", "127.0.0.1:1", true, true}, // names have no case
		{"", "localhost:8443", "127.0.0.1:1", true, true},                 // a program on this machine
		{"", "localhost:8443", "192.0.2.1:1", false, true},                // one elsewhere
		{"", "localhost:8443", "nonsense", false, true},                   //
		{"https://ide.example", "ide.example", "10.0.0.2:1", false, true}, // a public name: no real shell
		{"https://evil.example", "localhost:8443", "127.0.0.1:1", false, false},
		{"https://localhost:3000", "localhost:8443", "127.0.0.1:1", false, false}, // another port is another site
		{"https://evil.example:1", "evil.example:1", "127.0.0.1:1", false, true},  // rebound to loopback
		{"null", "localhost:8443", "127.0.0.1:1", false, false},                   // a sandboxed frame
		{"file://", "localhost:8443", "127.0.0.1:1", false, false},
		{"ftp://localhost:1", "localhost:1", "127.0.0.1:1", false, false},
		{"https://u@localhost:1", "localhost:1", "127.0.0.1:1", false, false},
		{"https://localhost:1/x", "localhost:1", "127.0.0.1:1", false, false},
	} {
		for _, g := range []originCheck{{loopbackOnly: true}, {}} {
			want := row.plain
			if g.loopbackOnly {
				want = row.shell
			}
			got := g.refuseHost(row.host) == "" && g.refuseSocket(row.origin, row.host, row.remote) == ""
			if got != want {
				t.Errorf("Origin %q, Host %q, from %s, shell %v: let in %v, want %v", row.origin, row.host, row.remote, g.loopbackOnly, got, want)
			}
		}
	}
}

func TestLoopbackNames(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:1": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]:1": true, "[::1]": true,
		"": false, ":1": false, "localhost.evil.example": false, "127.0.0.1.evil.example:1": false, "10.0.0.1": false, "0.0.0.0:1": false,
	} {
		if got := loopbackName(host); got != want {
			t.Errorf("loopbackName(%q) = %v, want %v", host, got, want)
		}
	}
}

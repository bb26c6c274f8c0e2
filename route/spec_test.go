package route

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "ide-1", "IDE_1.example", "9", strings.Repeat("x", 64)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", ".a", "a b", "a/b", "a#0", "é", "a\n", strings.Repeat("x", 65)} {
		if CheckName(bad) == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"10.0.0.1:4000", "[::1]:1", "ide-1.example.com:65535", "localhost:80"} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "10.0.0.1", ":80", "a:0", "a:65536", "a:http", "a/b:80", "::1:80"} {
		if CheckAddress(bad) == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestListedHostsMayBeAtUnixSockets(t *testing.T) {
	long := "unix:/" + strings.Repeat("x", 107)
	for address, valid := range map[string]bool{
		"unix:/run/ide.sock": true, "unix:ide.sock": false, "unix:": false, "unix:/a b": false, long: false, long[:len(long)-1]: true,
	} {
		if err := CheckUnix(address); (err == nil) != valid {
			t.Errorf("%q: got %v", address, err)
		}
		if err := (Spec{Name: "a", Address: address}).Check(); (err == nil) != valid {
			t.Errorf("%q in a list: got %v", address, err)
		}
		if CheckTarget(address) == nil || CheckAddress(address) == nil {
			t.Errorf("%q may be announced, or added by operators", address)
		}
	}
	if got := Authority("unix:/run/ide.sock"); got != "localhost" {
		t.Errorf("requests are for %q", got)
	}
}

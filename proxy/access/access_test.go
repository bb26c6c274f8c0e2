package access

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tokenring/http1"
)

// open returns the rules of c.
func open(t *testing.T, c Config) *Rules {
	t.Helper()
	r, err := Open(&c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "networks")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhoMayCome(t *testing.T) {
	for _, row := range []struct {
		what    string
		rules   Config
		allowed string
		refused string
	}{
		{"without rules everybody", Config{}, "192.0.2.1 2001:db8::1", ""},
		{"all but who is denied", Config{Deny: []string{"192.0.2.7", "2001:db8::/32"}}, "192.0.2.8 2001:db9::1", "192.0.2.7 2001:db8::1 ::ffff:192.0.2.7"},
		{"only who is allowed", Config{Allow: []string{"10.0.0.0/8", "10.1.0.0/16"}}, "10.2.3.4 10.1.2.3 ::ffff:10.0.0.1", "192.0.2.1 ::1"},
		{"who is denied, though it is allowed", Config{Allow: []string{"10.0.0.0/8"}, Deny: []string{"10.1.0.0/16"}}, "10.2.0.1", "10.1.0.1"},
		{"who is denied, though a smaller network is allowed", Config{Allow: []string{"10.1.2.3"}, Deny: []string{"10.0.0.0/8"}}, "", "10.1.2.3"},
		{"an address with a zone", Config{Deny: []string{"fe80::/10"}}, "", "fe80::1%eth0"},
		{"files beside the lists", Config{
			Allow: []string{"10.0.0.1"}, AllowFile: file(t, "# offices\n10.0.0.2 # Rome\n\n2001:db8::/64\n"), DenyFile: file(t, "10.0.0.1\n"),
		}, "10.0.0.2 2001:db8::9", "10.0.0.1 10.0.0.3"},
		{"an empty file that allows", Config{AllowFile: file(t, "")}, "", "10.0.0.1"},
		{"an empty file that denies", Config{DenyFile: file(t, "# nobody\n")}, "10.0.0.1", ""},
	} {
		r := open(t, row.rules)
		for _, addr := range strings.Fields(row.allowed) {
			if !r.Allows(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s is refused", row.what, addr)
			}
		}
		for _, addr := range strings.Fields(row.refused) {
			if r.Allows(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s is allowed", row.what, addr)
			}
		}
	}
	if r := open(t, Config{Allow: []string{"10.0.0.0/8"}}); r.Allows(netip.Addr{}) {
		t.Error("an unknown address is allowed, though only some are")
	}
	var none *Rules
	if !none.Allows(netip.Addr{}) {
		t.Error("without rules an unknown address is refused")
	}
}

func TestFilesThatCanNotBeUsed(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1\n10.0.0.0/33\n": "line 2",
		"example.com\n":           "line 1",
	} {
		if _, err := Open(&Config{DenyFile: file(t, text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Open(&Config{AllowFile: filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("a file that is missing is no error")
	}
}

// TestFilesAreReadAgain when they change; one that can't be used changes nothing.
func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	path := file(t, "10.0.0.1\n")
	r := open(t, Config{DenyFile: path})
	ctx, stop := context.WithCancel(t.Context())
	notes := make(chan error, 10)
	var following sync.WaitGroup
	following.Go(func() { r.Follow(ctx, func(err error) { notes <- err }) })
	defer following.Wait()
	defer stop()
	next := func() error {
		t.Helper()
		select {
		case err := <-notes:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("the file isn't read again")
			return nil
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	write("10.0.0.2\n# longer\n")
	if err := next(); err != nil || !r.Allows(one) || r.Allows(two) {
		t.Errorf("after a change: %v, %v, %v", err, r.Allows(one), r.Allows(two))
	}
	write("nonsense, and longer still\n")
	if err := next(); err == nil || !r.Allows(one) || r.Allows(two) || r.Problem() == "" {
		t.Errorf("after nonsense: %v, %v, %v, %q", err, r.Allows(one), r.Allows(two), r.Problem())
	}
}

// TestALookUpCostsAlikeWithManyNetworks, and allocates nothing.
func TestALookUpCostsAlikeWithManyNetworks(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "10.%d.%d.%d\n", i>>16&255, i>>8&255, i&255)
	}
	r := open(t, Config{DenyFile: file(t, text.String())})
	in, out := netip.MustParseAddr("10.1.134.159"), netip.MustParseAddr("192.0.2.1")
	if r.Allows(in) || !r.Allows(out) {
		t.Errorf("got %v, %v", r.Allows(in), r.Allows(out))
	}
	if n := testing.AllocsPerRun(100, func() { r.Allows(in); r.Allows(out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllows(b *testing.B) {
	r, err := Open(&Config{Deny: []string{"192.0.2.0/24", "198.51.100.7", "2001:db8::/32"}})
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddr("203.0.113.9")
	for b.Loop() {
		r.Allows(addr)
	}
}

func TestTheClientBehindTrustedProxies(t *testing.T) {
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	for _, row := range []struct {
		what   string
		fields []string
		want   string
	}{
		{"nobody has told one", nil, "10.0.0.1"},
		{"one proxy", []string{"192.0.2.1"}, "192.0.2.1"},
		{"several", []string{"192.0.2.1, 10.0.0.3, 10.0.0.2"}, "192.0.2.1"},
		{"in two fields", []string{"192.0.2.1", "10.0.0.3,10.0.0.2"}, "192.0.2.1"},
		{"what a client says itself isn't believed", []string{"10.9.9.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"nor what a stranger says", []string{"192.0.2.66", "192.0.2.1"}, "192.0.2.1"},
		{"all are trusted", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nonsense ends it", []string{"192.0.2.1, nonsense, 10.0.0.2"}, "10.0.0.2"},
		{"only nonsense", []string{"unknown"}, "10.0.0.1"},
		{"with ports and brackets", []string{"[2001:db8::1]:443, 10.0.0.2:80"}, "2001:db8::1"},
		{"an IPv4 address as IPv6", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"empty", []string{""}, "10.0.0.1"},
	} {
		var fields []http1.Field
		for _, value := range row.fields {
			fields = append(fields, http1.Field{Kind: http1.KindXForwardedFor, Name: []byte("X-Forwarded-For"), Value: []byte(value)})
		}
		if got := Behind(netip.MustParseAddr("10.0.0.1"), fields, trusted.Contains); got.String() != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
	}
}

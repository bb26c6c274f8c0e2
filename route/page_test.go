package route

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"

	"tokenring/balancer"
)

var update = flag.Bool("update", false, "write the tables of docs/bounded-load.md and docs/weights.md, and the output of stories")

// pagePolicies are the policies that the pages compare, with their defaults.
var pagePolicies = []struct {
	name string
	cfg  balancer.Config
}{
	{"consistent", balancer.Config{}},
	{"rendezvous", balancer.Config{Policy: balancer.PolicyRendezvous}},
	{"maglev", balancer.Config{Policy: balancer.PolicyMaglev}},
	{"ketama", balancer.Config{Policy: balancer.PolicyKetama}},
	{"haproxy", balancer.Config{Policy: balancer.PolicyHAProxy}},
	{"haproxy, map-based", balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}},
}

// wantPage fails the test unless the tables of a page are as given, by name. With
// -update it writes them.
func wantPage(t *testing.T, file string, tables map[string]string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := page
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		begin, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- end -->")
		head, rest, found := bytes.Cut(want, begin)
		_, tail, closed := bytes.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for the table %q", file, name)
		}
		want = slices.Concat(head, begin, []byte(tables[name]), end, tail)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(page, want) {
		t.Errorf("the tables of %s aren't current: run go test ./route -run %s -update, and look at the difference", file, t.Name())
	}
}

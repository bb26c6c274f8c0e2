package routing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tokenring/proxy/basicauth"
)

// TestMatchIsTheFirstThatMatches: the index of hosts and paths finds what a walk through the
// list finds.
func TestMatchIsTheFirstThatMatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	path := func() string {
		return strings.Repeat("/"+pick("a", "b", "ab", "abc"), 1+rng.IntN(3)) + pick("", "/", "x")
	}
	host := func() string { return pick("a.", "b.", "", "a.b.") + pick("example.com", "a.example.com", "other.org") }
	for range 300 {
		var all []Config
		for range 1 + rng.IntN(40) {
			c := Config{Host: pick("", "*.", "") + host(), Method: Methods{pick("GET", "PUT")}}
			if rng.IntN(3) == 0 {
				c.Host = ""
			}
			if rng.IntN(2) == 0 {
				c.Method = nil
			}
			switch rng.IntN(3) {
			case 0:
				c.Path = path()
			case 1:
				c.PathPrefix = path()
			}
			all = append(all, c)
		}
		table := New(all)
		for range 100 {
			request := Config{Host: host(), Path: path(), Method: Methods{pick("GET", "PUT", "POST")}}
			want := -1
			for i := range all {
				if all[i].Covers(&request) { // of one request, covering is matching
					want = i
					break
				}
			}
			got := -1
			if r, _ := table.Match([]byte(request.Host), []byte(request.Path), []byte(request.Method[0])); r != nil {
				got = r.Index
			}
			if got != want {
				t.Fatalf("%+v matches %d, want %d of %+v", request, got, want, all)
			}
		}
	}
}

func TestNoRoutesMatchNothing(t *testing.T) {
	table := New(nil)
	if r, clear := table.Match([]byte("x"), []byte("//%2e/"), []byte("GET")); r != nil || !clear {
		t.Errorf("got %v, %v", r, clear)
	}
	if table.Routes() != nil || table.Route("x") != nil {
		t.Error("a table without routes has some")
	}
}

func TestALongAmbiguousPathIsRefused(t *testing.T) {
	table := New([]Config{{PathPrefix: "/a", Pool: MainPool}})
	for _, row := range []struct {
		length int
		clear  bool
	}{{maxAmbiguous, true}, {maxAmbiguous + 1, false}} {
		path := "/%20" + strings.Repeat("x", row.length-4)
		if _, clear := table.Match(nil, []byte(path), []byte("GET")); clear != row.clear {
			t.Errorf("%d bytes: clear is %v, want %v", row.length, clear, row.clear)
		}
	}
}

// many returns n routes as a large site may have them.
func many(n int) []Config {
	all := make([]Config, n)
	for i := range all {
		switch i % 3 {
		case 0:
			all[i] = Config{Host: fmt.Sprintf("team-%d.example.com", i), Pool: "api"}
		case 1:
			all[i] = Config{PathPrefix: fmt.Sprintf("/service-%d/", i), Pool: "api"}
		default:
			all[i] = Config{Host: fmt.Sprintf("*.zone-%d.example.com", i), Path: "/login", Pool: "api"}
		}
	}
	return all
}

var requests = []struct{ name, host, path string }{
	{"host", "Team-999.example.com:8443", "/api/v1/items"},
	{"path", "ide.example.com", "/service-997/index.html"},
	{"wildcard", "a.zone-998.example.com", "/login"},
	{"none", "ide.example.com", "/environment/websocket"},
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table := New(many(1000))
	for _, r := range requests {
		host, path, method := []byte(r.host), []byte(r.path), []byte("GET")
		found, _ := table.Match(host, path, method)
		if (found == nil) != (r.name == "none") {
			t.Errorf("%s: got %v", r.name, found)
		}
		if n := testing.AllocsPerRun(100, func() { table.Match(host, path, method) }); n != 0 {
			t.Errorf("%s: %v allocations", r.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	table := New(many(1000))
	for _, r := range requests {
		host, path, method := []byte(r.host), []byte(r.path), []byte("GET")
		b.Run(r.name, func(b *testing.B) {
			for b.Loop() {
				table.Match(host, path, method)
			}
		})
	}
}

// FuzzReadings: reading a path in all its ways ends, whatever the path, and one that
// isn't ambiguous has no other reading.
func FuzzReadings(f *testing.F) {
	for _, seed := range []string{"/a/../b", "/%2e%2e%2f", "//a;x/%5c..", "/%25%32%65", "*", "/a/./b/."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if len(path) > 64 || !strings.HasPrefix(path, "/") {
			return
		}
		eachReading([]byte(path), func(reading []byte) bool {
			if string(reading) != path && !ambiguous([]byte(path)) {
				t.Errorf("%q is also read as %q", path, reading)
			}
			return true
		})
	})
}

func TestWhoTakesChallenges(t *testing.T) {
	all := New([]Config{
		{PathPrefix: Challenges},
		{Path: Challenges + "x"},
		{PathPrefix: Challenges, Users: &basicauth.Users{}}, // nobody shows a password without TLS
		{PathPrefix: "/.well-known/"},
		{Host: "ide.example.com"},
	}).Routes()
	for i, want := range []bool{true, true, false, false, false} {
		if got := all[i].TakesChallenges(); got != want {
			t.Errorf("%s: got %t", all[i].Matches(), got)
		}
	}
	if (*Route)(nil).TakesChallenges() {
		t.Error("no route takes them")
	}
}

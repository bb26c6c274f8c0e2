package gossip

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/statefile"
	"tokenring/testlog"
)

var sameAddress = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a golden file, or writes that.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "testdata", "gossip", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// cached is a member as a file has it.
func cached(m announcement.Metadata, ms int) CachedMember {
	return CachedMember{
		Node: m.Node(), Gossip: netip.MustParseAddrPort("[2001:db8::1]:7946"), Seen: at(ms),
		Spec: m.Spec,
	}
}

func TestMembersSurviveTheDisk(t *testing.T) {
	dir := t.TempDir()
	if m, _, err := loadCache(dir); err != nil || len(m.Pool)+len(m.Peers) != 0 {
		t.Fatalf("without a file: got %v, %v", m, err)
	}
	lb := cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, 0)
	host := cached(hostMeta("ide-1"), 1)
	host.InRing = true
	want := CachedMembers{Version: statefile.Version, Pool: []CachedMember{host, lb}, Peers: []CachedMember{lb}}
	for range 2 { // the second time there is a file to replace
		if err := want.save(dir, statefile.Unknown{}); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := loadCache(dir)
	if diff := cmp.Diff(want, got, sameAddress); err != nil || diff != "" {
		t.Errorf("%v, the disk changed it (-want +got):\n%s", err, diff)
	}
	info, err := os.Stat(filepath.Join(dir, CacheName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode().Perm(), err)
	}
}

// TestTheCacheIsWrittenAsEver: an earlier version must be able to read the file.
func TestTheCacheIsWrittenAsEver(t *testing.T) {
	host, lb := cached(hostMeta("ide-1"), 1), cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, 0)
	host.InRing, host.Unknown = true, `{"colour":"blue"}`
	dir := t.TempDir()
	if err := NewCachedMembers([]CachedMember{host, lb}, []CachedMember{lb}).save(dir, statefile.Unknown{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "members.json", []byte(content(t, dir)+"\n"))
}

func TestTooManyMembersAreAnError(t *testing.T) {
	peer := cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, 0)
	b, err := json.Marshal(CachedMembers{Version: statefile.Version, Peers: slices.Repeat([]CachedMember{peer}, maxCached+1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseCache(b); err == nil || !strings.Contains(err.Error(), "at most 4096") {
		t.Errorf("got %v", err)
	}
}

func TestWhichMembersAreCached(t *testing.T) {
	gossip := netip.MustParseAddrPort("10.0.0.1:7946")
	leaving := hostMeta("a")
	leaving.Leaving = true
	lb := announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "a"}}
	for name, row := range map[string]struct {
		m    Member
		ring bool   // the host belongs in the ring
		want string // when it was seen, and whether it was in the ring; "" for not CachedMember
	}{
		"a host of the ring":                {Member{Metadata: hostMeta("a"), Addr: gossip}, true, "now ring"},
		"a host beside the ring":            {Member{Metadata: hostMeta("a"), Addr: gossip}, false, "now"},
		"a host that the ring doesn't know": {Member{Metadata: hostMeta("a"), Addr: gossip}, false, "now"},
		"a balancer with a host's name":     {Member{Metadata: lb, Addr: gossip}, true, "now"},
		"a lost host":                       {Member{Metadata: hostMeta("a"), Addr: gossip, Lost: true, LostAt: at(0)}, false, "then"},
		"a lost host of a frozen ring":      {Member{Metadata: hostMeta("a"), Addr: gossip, Lost: true, LostAt: at(0)}, true, "now ring"},
		"a missing host of a frozen ring":   {Member{Metadata: hostMeta("a"), Addr: gossip, Lost: true, LostAt: at(0), Cached: true}, true, "then ring"},
		"a host that is leaving":            {Member{Metadata: leaving, Addr: gossip}, false, ""},
		"a host that has left":              {Member{Metadata: leaving, Addr: gossip, Lost: true, LostAt: at(0)}, false, ""},
		"a member without an address":       {Member{Metadata: lb}, false, ""},
	} {
		now, got := at(1000), ""
		for _, r := range ToCache(map[string]Member{row.m.Metadata.Node(): row.m}, func(string) bool { return row.ring }, now) {
			if got = "then"; r.Seen.Equal(now) {
				got = "now"
			}
			if r.InRing {
				got += " ring"
			}
			if r.Node != row.m.Metadata.Node() || r.Gossip != gossip || r.Address != row.m.Metadata.Address || r.Weight != row.m.Metadata.Weight {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestTheMembersSeenLastAreCachedIfThereAreTooMany(t *testing.T) {
	members := map[string]Member{}
	for i := range maxCached + 2 {
		m := localHost(fmt.Sprintf("h-%d", i), "10.0.0.1:80")
		members[m.Node()] = Member{Metadata: m, Addr: netip.MustParseAddrPort("10.0.0.1:7946"), Lost: true, LostAt: at(i)}
	}
	all := ToCache(members, func(string) bool { return false }, at(1e6))
	if len(all) != maxCached {
		t.Fatalf("%d are CachedMember, want %d", len(all), maxCached)
	}
	for _, r := range all {
		if r.Seen.Before(at(2)) {
			t.Errorf("%s is CachedMember, one of the two seen first", r.Node)
		}
	}
}

func TestNoMemberOfLongAgoIsRecalled(t *testing.T) {
	now := at(10_000)
	var got []int64 // how many milliseconds ago they were seen
	for _, r := range recent([]CachedMember{cached(hostMeta("a"), 8999), cached(hostMeta("b"), 9000), cached(hostMeta("c"), 10_000), cached(hostMeta("d"), 1e9)}, now, time.Second) {
		got = append(got, now.Sub(r.Seen).Milliseconds())
	}
	if diff := cmp.Diff([]int64{1000, 0, 0}, got); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
}

func TestTheFileIsWrittenAnewOnlyForNews(t *testing.T) {
	one := CachedMembers{Pool: []CachedMember{cached(hostMeta("a"), 0)}}
	changed := func(change func(*CachedMember)) CachedMembers {
		r := one.Pool[0]
		change(&r)
		return CachedMembers{Pool: []CachedMember{r}}
	}
	for name, row := range map[string]struct {
		m    CachedMembers
		want bool
	}{
		"the same":             {changed(func(*CachedMember) {}), true},
		"seen a bit later":     {changed(func(r *CachedMember) { r.Seen = r.Seen.Add(cacheStale - 1) }), true},
		"seen long after":      {changed(func(r *CachedMember) { r.Seen = r.Seen.Add(cacheStale) }), false},
		"the clock was set":    {changed(func(r *CachedMember) { r.Seen = r.Seen.Add(-cacheStale) }), false},
		"not in the ring":      {changed(func(r *CachedMember) { r.InRing = true }), false},
		"at another address":   {changed(func(r *CachedMember) { r.Gossip = netip.MustParseAddrPort("10.0.0.2:1") }), false},
		"with another weight":  {changed(func(r *CachedMember) { r.Weight++ }), false},
		"no members":           {CachedMembers{}, false},
		"a peer besides":       {CachedMembers{Pool: one.Pool, Peers: one.Pool}, false},
		"among another gossip": {CachedMembers{Peers: one.Pool}, false},
	} {
		if got := one.equal(row.m, cacheStale); got != row.want {
			t.Errorf("%s: the same %t, want %t", name, got, row.want)
		}
	}
}

func TestRecalledMembersPassTheFilter(t *testing.T) {
	filter := Filter{
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	}
	r := newMembers("lb/lb-1", filter, signatures{}, zerolog.Nop())
	r.all["host/here"] = Member{Metadata: hostMeta("here")}
	elsewhere := hostMeta("elsewhere")
	elsewhere.Address = "192.0.2.1:80"
	var names []string
	for _, taken := range r.addCached([]CachedMember{
		cached(hostMeta("a"), 0),
		cached(hostMeta("here"), 0),
		cached(elsewhere, 0),
		cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}, 0),
		cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, 0),
	}) {
		names = append(names, taken.Node)
	}
	if diff := cmp.Diff([]string{"host/a", "lb/lb-2"}, names); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if m := r.list()["host/a"]; !m.Lost || !m.Cached || !m.LostAt.Equal(at(0)) {
		t.Errorf("a is %+v, want it as lost and cached", m)
	}
	if m := r.list()["host/here"]; m.Lost {
		t.Error("a host that has come is lost again")
	}
}

func FuzzCache(f *testing.F) {
	b, err := json.Marshal(CachedMembers{Version: statefile.Version, Pool: []CachedMember{cached(hostMeta("a"), 0)}, Peers: []CachedMember{cached(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "b"}}, 1)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		want, _, err := parseCache(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := parseCache(again)
		if err != nil {
			t.Fatalf("what was read can't be read back: %v", err)
		}
		if !got.equal(want, 1) {
			t.Errorf("the file changed %+v to %+v", want, got)
		}
	})
}

// put writes a file of members as another version may have left it.
func put(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, CacheName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, CacheName))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMembersOfALaterVersionKeepWhatItAdded(t *testing.T) {
	dir := t.TempDir()
	known := `{"node":"host/a","gossip":"10.0.0.1:7946","seen":"2026-01-01T00:00:00Z","address":"10.0.0.1:80","weight":1,"colour":"blue"}`
	strange := []string{
		`{"node":"relay/x","gossip":"10.0.0.2:7946","seen":"2026-01-01T00:00:00Z"}`,             // a role that isn't known
		`{"node":"host/b","seen":"2026-01-01T00:00:00Z","address":"10.0.0.1:80","weight":1}`,    // no gossip
		`{"node":"host/c","gossip":"10.0.0.1:0","seen":"2026-01-01T00:00:00Z"}`,                 // port 0
		`{"node":"lb/d","gossip":"0.0.0.0:7946","seen":"2026-01-01T00:00:00Z"}`,                 // all addresses
		`{"node":"lb/e","gossip":"10.0.0.1:7946"}`,                                              // never seen
		`{"node":"lb/f","gossip":"10.0.0.1:7946","seen":"2026-01-01T00:00:00Z","in_ring":true}`, // a balancer in the ring
	}
	put(t, dir, `{"version":1,"pool":[`+known+`,`+strings.Join(strange, ",")+`],"peers":null,"epoch":7}`)
	m, l, err := loadCache(dir)
	if err != nil || len(m.Pool) != 1 || m.Pool[0].Node != "host/a" {
		t.Fatalf("got %+v, %v; want host/a", m, err)
	}
	now := NewCachedMembers([]CachedMember{cached(hostMeta("a"), 5), cached(hostMeta("z"), 5)}, nil)
	now.takeUnknown(m)
	if err := now.save(dir, l); err != nil {
		t.Fatal(err)
	}
	got := content(t, dir)
	for _, entry := range append(strange, `"colour":"blue"`, `"epoch":7`, `"host/z"`) {
		if !strings.Contains(got, entry) {
			t.Errorf("%s is gone from %s", entry, got)
		}
	}
}

func TestUnreadableMembersAreNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, CacheName), 0o700); err != nil {
		t.Fatal(err)
	}
	log := new(testlog.Buffer)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	OpenCache(dir, log.Logger()).Run(ctx, func(time.Time) CachedMembers {
		return NewCachedMembers([]CachedMember{cached(hostMeta("a"), 0)}, nil)
	})
	if info, err := os.Stat(filepath.Join(dir, CacheName)); err != nil || !info.IsDir() || len(log.Lines("won't be kept")) != 1 || len(log.Lines()) != 1 {
		t.Errorf("%v, %v; logged %q", info, err, log.Lines())
	}
}

func TestAMemberThatCannotBeWrittenDownIsLoggedOnce(t *testing.T) {
	log := new(testlog.Buffer)
	dir := filepath.Join(t.TempDir(), "nowhere")
	c := OpenCache(dir, log.Logger())
	members := func() CachedMembers { return NewCachedMembers([]CachedMember{cached(hostMeta("a"), 0)}, nil) }
	for range 3 {
		c.update(members())
	}
	if n := len(log.Lines("can't be written to disk")); n != 1 {
		t.Errorf("%d lines about it, want 1: %q", n, log.Lines())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.update(members())
	if m, _, err := loadCache(dir); err != nil || len(m.Pool) != 1 || errors.Is(err, statefile.ErrCorrupt) {
		t.Errorf("once it can be: %+v, %v", m, err)
	}
}

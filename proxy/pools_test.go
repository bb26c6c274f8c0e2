package proxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/proxy/affinity"
	"tokenring/proxy/hashkey"
	"tokenring/proxy/pools"
	"tokenring/proxy/routing"
	"tokenring/route"
)

// withAPI adds a pool api, which serves what begins with /api/.
func withAPI(c pools.Config) func(*lab) {
	return func(l *lab) {
		c.Name = "api"
		if len(c.Key) == 0 {
			c.Key = hashkey.Rules{{Source: balancer.KeyQuery, Name: "token"}}
		}
		l.cfg.Pools = []pools.Config{c}
		l.cfg.Routes = []routing.Config{{Name: "api", PathPrefix: "/api/", Pool: "api"}}
	}
}

// useAPI gives the proxy the hosts of the pool api as they are now.
func (l *lab) useAPI(hosts ...*route.Host) {
	l.t.Helper()
	l.p.UsePool("api", snapshotOf(l.t, hosts))
}

// startAPI is start with one host in the pool api. It returns what the proxy knows of it.
func startAPI(t testing.TB, change func(*lab), api *host, hosts ...*host) (*lab, *route.Host) {
	t.Helper()
	l := start(t, change, hosts...)
	entry := api.entry()
	l.useAPI(entry)
	t.Cleanup(func() { l.useAPI() }) // closes what is idle
	return l, entry
}

// snapshotOf returns a snapshot of hosts, with a table of those that are in the ring.
func snapshotOf(t testing.TB, hosts []*route.Host) *route.Snapshot {
	t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 257, Replicas: 20}})
	if err != nil {
		t.Fatal(err)
	}
	var ring []balancer.Host
	var copies []*route.Host
	for _, h := range hosts {
		if h.InRing {
			ring = append(ring, balancer.Host{Name: h.Name, Weight: 1})
		}
		again := *h
		copies = append(copies, &again)
	}
	table, err := b.Build(ring)
	if err != nil {
		t.Fatal(err)
	}
	return route.NewSnapshot(table, copies)
}

// TestATokenInTwoPoolsIsTwoKeys: with a session in each, on hosts of each.
func TestATokenInTwoPoolsIsTwoKeys(t *testing.T) {
	main, api := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "api/a1").on("/api/ws", accept(echo))
	l, _ := startAPI(t, withAPI(pools.Config{}), api, main)
	one, two := l.dial().open("/ws", mark), l.dial().open("/api/ws", mark)
	var got []string
	for _, s := range l.p.Live() {
		got = append(got, s.Host)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a", "api/a1"}) {
		t.Errorf("the sessions are on %v", got)
	}
	if host, n := l.p.Session(l.p.opt.Digest.Pool("api").Digest([]byte(mark))); host != "api/a1" || n != 1 {
		t.Errorf("the pool's session is on %q with %d terminals", host, n)
	}
	for _, host := range []string{"a", "api/a1"} {
		if !l.p.keeps(host) {
			t.Errorf("%s doesn't keep its sessions", host)
		}
	}
	if all := slices.Sorted(maps.Keys(l.p.LastBytes(time.Hour))); !slices.Equal(all, []string{"a", "api/a1"}) {
		t.Errorf("bytes have come from %v", all)
	}
	one.Close()
	two.Close()
}

// TestASnapshotOfOnePoolLeavesTheOthersAlone: hosts of the others aren't missing in it.
func TestASnapshotOfOnePoolLeavesTheOthersAlone(t *testing.T) {
	main, api := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "api/a1").on("/api/ws", accept(echo))
	l, entry := startAPI(t, withAPI(pools.Config{}), api, main)
	one, two := l.dial().open("/ws", mark), l.dial().open("/api/ws", mark)
	l.use()
	two.send("still")
	two.expect("still")
	entry.State, entry.InRing, entry.WhyNot = route.Maint, false, route.WhyMaint
	l.useAPI(entry)
	two.expectEnd()
	one.send("here")
	one.expect("here")
	one.Close()
	if a := l.ask(get("/api/x?token="+mark), 503); a.Header.Get("Retry-After") == "" {
		t.Errorf("got %v", a.Header)
	}
	l.canary()
}

// TestStreamsOfOneConnectionHaveDifferentPools: each by its own path.
func TestStreamsOfOneConnectionHaveDifferentPools(t *testing.T) {
	l, _ := startAPI(t, func(l *lab) { withAPI(pools.Config{})(l); speaksH2(t)(l) }, newHost(t, "api/a1"), newHost(t, "a"))
	c := l.h2client()
	for path, want := range map[string]string{"/x": "a GET /x", "/api/x": "api/a1 GET /api/x", "/apis": "a GET /apis"} {
		if a := l.do(c, "GET", path+"?token="+mark, nil); a.StatusCode != 200 || a.body != want {
			t.Errorf("%s: got %d %q, want %q", path, a.StatusCode, a.body, want)
		}
	}
	if got := gaugeValue(l, "lb_connections"); got != 1 {
		t.Errorf("%v connections are counted", got)
	}
}

// TestAPoolHasItsOwnKeyTimeoutsAndCookie: a token where only the other pool has its own is no
// token here, and yet a secret.
func TestAPoolHasItsOwnKeyTimeoutsAndCookie(t *testing.T) {
	cookie := affinity.CookieConfig{Name: "api"}
	cookie.SetDefaults(false)
	silent := func(w *wire, _ *http.Request) bool { _, _ = w.in.ReadByte(); return false }
	api := newHost(t, "api/a1").on("/api/hangs", silent)
	l, _ := startAPI(t, withAPI(pools.Config{
		Key: hashkey.Rules{{Source: balancer.KeyQuery, Name: "session"}}, Affinity: &cookie,
		Timeouts: pools.Timeouts{Response: 300 * time.Millisecond},
	}), api, newHost(t, "a").on("/no?session="+mark, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)))
	if a := l.ask(get("/api/x"), 200); !strings.HasPrefix(a.Header.Get("Set-Cookie"), "api=") {
		t.Errorf("the cookie of the pool is %q", a.Header.Get("Set-Cookie"))
	}
	if a := l.ask(get("/x"), 200); a.Header.Get("Set-Cookie") != "" {
		t.Errorf("the main pool sets %q", a.Header.Get("Set-Cookie"))
	}
	l.ask(get("/api/hangs"), 504)
	l.ask(get("/api/keyed?session="+mark), 200)
	if e := l.logged("/api/keyed"); e["key"] != l.p.opt.Digest.Pool("api").Digest([]byte(mark)).String() {
		t.Errorf("logged as %v", e)
	}
	l.ask(get("/no%3Fsession="+mark), 200)
	l.logged("(redacted)")
}

// TestATerminalOfAPoolKeepsItsHostAcrossProcesses, and ends with it by order of the newest one.
func TestATerminalOfAPoolKeepsItsHostAcrossProcesses(t *testing.T) {
	one, two := newHost(t, "api/a1").on("/api/ws", accept(echo)), newHost(t, "api/a2")
	first, _ := startAPI(t, func(l *lab) { withAPI(pools.Config{})(l); fronts(l) }, one)
	old := first.dial().open("/api/ws", mark)
	old.ping()
	second := first.retire().begin(nil)
	t.Cleanup(func() { second.useAPI() })
	before, now := one.entry(), two.entry()
	before.InRing, before.WhyNot = false, route.WhyDrain
	second.useAPI(before, now)
	eventually(t, "the session of the older process", func() bool {
		host, n := second.p.Session(second.p.opt.Digest.Pool("api").Digest([]byte(mark)))
		return host == "api/a1" && n == 1
	})
	if got := second.ask(get("/api/page?token="+mark), 200).body; got != "api/a1 GET /api/page" {
		t.Errorf("a page of the session got %q", got)
	}
	if got := second.ask(get("/api/page?token=x"+mark), 200).body; got != "api/a2 GET /api/page" {
		t.Errorf("another token got %q", got)
	}
	before.State, before.WhyNot = route.Maint, route.WhyMaint
	second.useAPI(before, now)
	old.expectEnd()
}

// TestRequestsToAPoolWithoutKeysAreSpread: also those of one token.
func TestRequestsToAPoolWithoutKeysAreSpread(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.Pools = []pools.Config{{Name: "api"}}
		l.cfg.Routes = []routing.Config{{Name: "api", PathPrefix: "/api/", Pool: "api"}}
	})
	var entries []*route.Host
	for _, name := range []string{"a1", "a2"} {
		h := newHost(t, name).entry()
		h.Name = route.InPool("api", name)
		entries = append(entries, h)
	}
	s := snapshotOf(t, entries)
	s.SpreadBy(balancer.PolicyRoundRobin)
	l.p.UsePool("api", s)
	t.Cleanup(func() { l.useAPI() })
	var hosts []string
	for i := range 4 {
		path := "/api/" + string(rune('a'+i))
		l.ask(get(path+"?token="+mark), 200)
		line := l.logged(path)
		hosts = append(hosts, line["host"].(string))
		if line["why"] != string(balancer.RuleRoundRobin) {
			t.Errorf("got %v", line)
		}
	}
	if want := []string{"api/a1", "api/a2", "api/a1", "api/a2"}; !slices.Equal(hosts, want) {
		t.Errorf("got %v, want %v", hosts, want)
	}
}

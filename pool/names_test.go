package pool

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/pool/hostlist"
	"tokenring/route"
	"tokenring/testlog"
)

// lookupRound is a little less than the time from one round of lookups to the next, and
// lookupLimit bounds one lookup: see package resolver.
const (
	lookupRound = 5 * time.Second
	lookupLimit = 2 * time.Second
)

// A fakeDNS answers lookups with what the test has set.
type fakeDNS struct {
	mu      sync.Mutex
	answers map[string][]netip.Addr // by name; no entry is an error
	slow    map[string]bool         // names whose lookups hang
	asked   int
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{answers: map[string][]netip.Addr{}, slow: map[string]bool{}}
}

// set has a name resolve to the addresses, which are separated by spaces.
func (d *fakeDNS) set(name, addresses string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[name] = addrs(addresses)
	delete(d.slow, name)
}

// hang makes lookups of a name take until their time is over.
func (d *fakeDNS) hang(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow[name] = true
}

func (d *fakeDNS) fail(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.answers, name)
}

func (d *fakeDNS) lookup(ctx context.Context, network, name string) ([]netip.Addr, error) {
	d.mu.Lock()
	d.asked++
	answers, ok := d.answers[name]
	slow := d.slow[name]
	d.mu.Unlock()
	if slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !ok || network != "ip" {
		return nil, errors.New("no such host")
	}
	return answers, nil
}

func addrs(text string) (all []netip.Addr) {
	for _, ip := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(ip))
	}
	return all
}

// named returns a configuration of hosts with DNS names.
func named(hosts ...string) Config {
	var cfg Config
	for _, h := range hosts {
		cfg.Hosts = append(cfg.Hosts, hostlist.Host{Spec: route.Spec{Name: h, Address: h + ".internal:4000"}})
	}
	return cfg
}

func TestAHostWithADNSNameHasTheAddressOfTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		l := live(t, named("a"), Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.see(route.Up, "a")
		h := l.Snapshot().Host("a")
		if h.Address != "10.0.0.1:4000" || h.DNSName != "a.internal:4000" || !h.Serving() {
			t.Fatalf("got %+v, want it to serve at 10.0.0.1:4000", h)
		}
		old := *h
		dns.set("a.internal", "10.0.0.2")
		l.pass(lookupRound + lookupRound/10)
		h = l.Snapshot().Host("a")
		if h.Address != "10.0.0.2:4000" || h.Verdict != route.Unchecked || h.Serving() || h.Gauges != old.Gauges {
			t.Errorf("the name has another address: got %+v, want that one, unchecked, with the same gauges", h)
		}
		l.Checked("a", CheckResult{Address: old.Address, Verdict: route.Up, At: time.Now()})
		l.pass(time.Second)
		if l.Snapshot().Host("a").Serving() {
			t.Error("a check of the old address let the new one serve")
		}
		l.see(route.Up, "a")
		if !l.Snapshot().Host("a").Serving() {
			t.Error("the new address has passed a check and doesn't serve")
		}
		dns.fail("a.internal")
		l.pass(5 * lookupRound)
		if h := l.Snapshot().Host("a"); h.Address != "10.0.0.2:4000" || !h.Serving() {
			t.Errorf("lookups fail: got %+v, want it to go on serving", h)
		}
	})
}

// TestANameWithSeveralAddressesIsAnAlarm: another balancer may use
// another of the addresses.
func TestANameWithSeveralAddressesIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, dns := new(testlog.Buffer), newFakeDNS()
		l := live(t, named("a"), Options{Logger: log.Logger(), Lookup: dns.lookup})
		defer l.stop()
		const line = "the name of a host has several addresses"
		for _, row := range []struct {
			answers string
			several bool
			lines   int
		}{
			{"10.0.0.2", false, 0},
			{"10.0.0.2 2001:db8::1 ::ffff:10.0.0.2", false, 0},
			{"10.0.0.2 10.0.0.1", true, 1},
			{"10.0.0.1 10.0.0.2", true, 1},
			{"", true, 1},
			{"10.0.0.2", false, 1},
			{"10.0.0.2 2001:db8::1 2001:db8::2", true, 2},
		} {
			dns.set("a.internal", row.answers)
			l.pass(2 * lookupRound)
			if got := strings.Contains(l.Snapshot().Alarm, "the name that is the address of a has several addresses"); got != row.several {
				t.Errorf("answers %q: the alarm is %q", row.answers, l.Snapshot().Alarm)
			}
			if got := log.Lines(line); len(got) != row.lines {
				t.Errorf("answers %q: %d lines in the log, want %d", row.answers, len(got), row.lines)
			}
		}
		if h := l.Snapshot().Host("a"); h.Address != "10.0.0.2:4000" {
			t.Errorf("it is at %s, want it where it was first", h.Address)
		}
	})
}

func TestAHostWhoseNameNeverResolvedIsDownAndDelaysNoStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		dns.hang("b.internal")
		l := live(t, named("a", "b"), Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.see(route.Up, "a")
		l.wantRing("a", "b's name is being looked up")
		l.pass(lookupLimit)
		if h := l.Snapshot().Host("b"); h.Address != "" || h.Verdict != route.Down || h.CheckError != unresolvedWhy || !l.isReady() {
			t.Errorf("got %+v, ready %v; want it down, and the balancer ready", h, l.isReady())
		}
		dns.set("b.internal", "10.0.0.2")
		l.pass(2 * lookupRound)
		if h := l.Snapshot().Host("b"); h.Address != "10.0.0.2:4000" || h.Verdict != route.Unchecked {
			t.Errorf("it resolves: got %+v, want it unchecked at 10.0.0.2:4000", h)
		}
		l.see(route.Up, "b")
		l.wantRing("a b", "both have passed their checks")
	})
}

func TestOneNameIsLookedUpOnceARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		cfg := named("a")
		dns.set("a.internal", "10.0.0.1")
		cfg.Hosts = append(cfg.Hosts, hostlist.Host{Spec: route.Spec{Name: "b", Address: "10.0.0.2:4000"}}, hostlist.Host{Spec: route.Spec{Name: "c", Address: "[2001:db8::1]:4000"}})
		l := live(t, cfg, Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.pass(10 * lookupRound)
		if dns.asked < 9 || dns.asked > 13 {
			t.Errorf("%d lookups in %v, want about 11: one a round, and none of addresses", dns.asked, 10*lookupRound)
		}
		for _, name := range []string{"b", "c"} {
			if h := l.Snapshot().Host(name); h.Address == "" || h.DNSName != "" {
				t.Errorf("%s: got %+v, want the address that the config file has", name, h)
			}
		}
	})
}

func TestFailingLookupsAreLoggedOnceAndSoIsTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		l := live(t, named("a"), Options{Logger: zerolog.New(&log), Lookup: dns.lookup})
		defer l.stop()
		dns.fail("a.internal")
		l.pass(10 * lookupRound)
		dns.set("a.internal", "10.0.0.1")
		l.pass(2 * lookupRound)
		for _, text := range []string{"the name of a host doesn't resolve", "the name of a host resolves again"} {
			if n := strings.Count(log.String(), text); n != 1 {
				t.Errorf("%q was logged %d times, want once", text, n)
			}
		}
		if !strings.Contains(log.String(), fmt.Sprintf("%q:%q", "stays", "10.0.0.1:4000")) {
			t.Errorf("the log doesn't say which address stays: %s", log.String())
		}
	})
}

// TestResultIsAboutOneAddressOnly reports results for a host that has moved, in the
// order in which they would come.
func TestResultIsAboutOneAddressOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.announces(m, false)
		l.see(route.Up, "s1", "s2", "ide-1")
		old := m.Address
		m.Address = "10.0.0.99:4000"
		l.announces(m, false)
		for _, row := range []struct {
			result CheckResult
			want   route.Verdict
			why    string
		}{
			{CheckResult{Address: old, Verdict: route.Up}, route.Unchecked, ""},
			{CheckResult{Address: old, Verdict: route.Down, Error: "refused"}, route.Unchecked, ""},
			{CheckResult{Address: m.Address, Verdict: route.Unchecked, Error: "out of files"}, route.Unchecked, "out of files"},
			{CheckResult{Address: "", Verdict: route.Up}, route.Unchecked, "out of files"},
			{CheckResult{Address: m.Address, Verdict: route.Up}, route.Up, ""},
			{CheckResult{Address: m.Address, Verdict: route.Unchecked, Error: "out of files"}, route.Up, ""},
			{CheckResult{Address: m.Address, Verdict: route.Down, Error: "refused"}, route.Down, "refused"},
		} {
			row.result.At = time.Now()
			l.Checked("ide-1", row.result)
			l.pass(2 * staleness)
			if h := l.Snapshot().Host("ide-1"); h.Verdict != row.want || h.CheckError != row.why {
				t.Errorf("after %+v: %s, %q; want %s, %q", row.result, h.Verdict, h.CheckError, row.want, row.why)
			}
		}
	})
}

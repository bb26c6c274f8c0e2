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

// hang has lookups of a name take until they are given up.
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

// named returns a configuration of hosts under names of their own.
func named(hosts ...string) Config {
	var cfg Config
	for _, h := range hosts {
		cfg.Hosts = append(cfg.Hosts, StaticHost{Name: h, Address: h + ".internal:4000"})
	}
	return cfg
}

// Each row is a history of answers, oldest first, and the address after each.
func TestHostKeepsItsAddressWhileTheNameHasIt(t *testing.T) {
	for name, row := range map[string]struct {
		answers []string
		want    []string
	}{
		"one address":                    {[]string{"10.0.0.1"}, []string{"10.0.0.1"}},
		"the lowest of several":          {[]string{"10.0.0.3 10.0.0.1 10.0.0.2"}, []string{"10.0.0.1"}},
		"IPv4 before IPv6":               {[]string{"2001:db8::1 10.0.0.9"}, []string{"10.0.0.9"}},
		"IPv4 in IPv6 is IPv4":           {[]string{"::ffff:10.0.0.9"}, []string{"10.0.0.9"}},
		"nobody is at 0.0.0.0":           {[]string{"0.0.0.0 :: 224.0.0.1", "0.0.0.0 10.0.0.2"}, []string{"", "10.0.0.2"}},
		"in any order":                   {[]string{"10.0.0.2", "10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.1"}, []string{"10.0.0.2", "10.0.0.2", "10.0.0.2"}},
		"another address":                {[]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.1", "10.0.0.2"}},
		"no answer changes nothing":      {[]string{"10.0.0.1", "", "", "10.0.0.1"}, []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"}},
		"caches that answer in turn":     {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"}},
		"a third address isn't held off": {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r resolution
			now := time.Unix(1e9, 0)
			for i, answer := range row.answers {
				r, now = r.next(addrs(answer), now), now.Add(lookupEvery)
				got := ""
				if r.current.IsValid() {
					got = r.current.String()
				}
				if got != row.want[i] {
					t.Errorf("after answer %d (%q): at %q, want %q", i, answer, got, row.want[i])
				}
			}
		})
	}
}

func TestNameMayReturnToAnOldAddressAfterAWhile(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := resolution{}.next(addrs("10.0.0.1"), now).next(addrs("10.0.0.2"), now)
	if r = r.next(addrs("10.0.0.1"), now.Add(returnAfter-1)); r.current.String() != "10.0.0.2" {
		t.Errorf("within %v: at %s, want it still at 10.0.0.2", returnAfter, r.current)
	}
	if r = r.next(addrs("10.0.0.1"), now.Add(returnAfter)); r.current.String() != "10.0.0.1" {
		t.Errorf("after %v: at %s, want it back at 10.0.0.1", returnAfter, r.current)
	}
}

func TestNamedHostIsWhereItsNameLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		l := live(t, named("a"), Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.see(Up, "a")
		h := l.Snapshot().Host("a")
		if h.Address != "10.0.0.1:4000" || h.DNSName != "a.internal:4000" || !h.Serving() {
			t.Fatalf("got %+v, want it to serve at 10.0.0.1:4000", h)
		}
		old := *h
		dns.set("a.internal", "10.0.0.2")
		l.pass(lookupEvery + lookupEvery/10)
		h = l.Snapshot().Host("a")
		if h.Address != "10.0.0.2:4000" || h.Verdict != Unchecked || h.Serving() || h.Gauges != old.Gauges {
			t.Errorf("the name has another address: got %+v, want that one, unchecked, with the same gauges", h)
		}
		l.Hear("a", CheckResult{Address: old.Address, Verdict: Up, At: time.Now()})
		l.pass(time.Second)
		if l.Snapshot().Host("a").Serving() {
			t.Error("a check of the old address let the new one serve")
		}
		l.see(Up, "a")
		if !l.Snapshot().Host("a").Serving() {
			t.Error("the new address has passed a check and doesn't serve")
		}
		dns.fail("a.internal")
		l.pass(5 * lookupEvery)
		if h := l.Snapshot().Host("a"); h.Address != "10.0.0.2:4000" || !h.Serving() {
			t.Errorf("lookups fail: got %+v, want it to go on serving", h)
		}
	})
}

// TestNameOfSeveralMachinesIsAnAlarm: another balancer may be at another of them.
func TestNameOfSeveralMachinesIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, dns := new(logBuffer), newFakeDNS()
		l := live(t, named("a"), Options{Logger: log.logger(), Lookup: dns.lookup})
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
			l.pass(2 * lookupEvery)
			if got := strings.Contains(l.Snapshot().Alarm, "the address of a is a name that leads to several machines"); got != row.several {
				t.Errorf("answers %q: the alarm is %q", row.answers, l.Snapshot().Alarm)
			}
			if got := log.lines(line); len(got) != row.lines {
				t.Errorf("answers %q: %d lines in the log, want %d", row.answers, len(got), row.lines)
			}
		}
		if h := l.Snapshot().Host("a"); h.Address != "10.0.0.2:4000" {
			t.Errorf("it is at %s, want it where it was first", h.Address)
		}
	})
}

func TestHostWhoseNameNeverResolvedIsDownAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		dns.hang("b.internal")
		l := live(t, named("a", "b"), Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.see(Up, "a")
		l.wantRing("a", "b's name is being looked up")
		l.pass(lookupTimeout)
		if h := l.Snapshot().Host("b"); h.Address != "" || h.Verdict != Down || h.CheckError != unresolvedWhy || !l.isSettled() {
			t.Errorf("got %+v, settled %v; want it down, and the balancer ready", h, l.isSettled())
		}
		dns.set("b.internal", "10.0.0.2")
		l.pass(2 * lookupEvery)
		if h := l.Snapshot().Host("b"); h.Address != "10.0.0.2:4000" || h.Verdict != Unchecked {
			t.Errorf("it resolves: got %+v, want it unchecked at 10.0.0.2:4000", h)
		}
		l.see(Up, "b")
		l.wantRing("a b", "both have passed their checks")
	})
}

func TestOneNameIsLookedUpOnceARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		cfg := named("a")
		dns.set("a.internal", "10.0.0.1")
		cfg.Hosts = append(cfg.Hosts, StaticHost{Name: "b", Address: "10.0.0.2:4000"}, StaticHost{Name: "c", Address: "[2001:db8::1]:4000"})
		l := live(t, cfg, Options{Logger: zerolog.Nop(), Lookup: dns.lookup})
		defer l.stop()
		l.pass(10 * lookupEvery)
		if dns.asked < 9 || dns.asked > 13 {
			t.Errorf("%d lookups in %v, want about 11: one a round, and none of addresses", dns.asked, 10*lookupEvery)
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
		var log logBuffer
		dns := newFakeDNS()
		dns.set("a.internal", "10.0.0.1")
		l := live(t, named("a"), Options{Logger: zerolog.New(&log), Lookup: dns.lookup})
		defer l.stop()
		dns.fail("a.internal")
		l.pass(10 * lookupEvery)
		dns.set("a.internal", "10.0.0.1")
		l.pass(2 * lookupEvery)
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

// TestResultIsAboutOneAddressOnly goes through what may be reported of a host that
// has moved by gossip, in the order in which it would come.
func TestResultIsAboutOneAddressOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.gossips(m, false)
		l.see(Up, "s1", "s2", "ide-1")
		old := m.Address
		m.Address = "10.0.0.99:4000"
		l.gossips(m, false)
		for _, row := range []struct {
			result CheckResult
			want   Verdict
			why    string
		}{
			{CheckResult{Address: old, Verdict: Up}, Unchecked, ""},
			{CheckResult{Address: old, Verdict: Down, Error: "refused"}, Unchecked, ""},
			{CheckResult{Address: m.Address, Verdict: Unchecked, Error: "out of files"}, Unchecked, "out of files"},
			{CheckResult{Address: "", Verdict: Up}, Unchecked, "out of files"},
			{CheckResult{Address: m.Address, Verdict: Up}, Up, ""},
			{CheckResult{Address: m.Address, Verdict: Unchecked, Error: "out of files"}, Up, ""},
			{CheckResult{Address: m.Address, Verdict: Down, Error: "refused"}, Down, "refused"},
		} {
			row.result.At = time.Now()
			l.Hear("ide-1", row.result)
			l.pass(2 * staleness)
			if h := l.Snapshot().Host("ide-1"); h.Verdict != row.want || h.CheckError != row.why {
				t.Errorf("after %+v: %s, %q; want %s, %q", row.result, h.Verdict, h.CheckError, row.want, row.why)
			}
		}
	})
}

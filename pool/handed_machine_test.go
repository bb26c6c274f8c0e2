package pool

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// upMachine returns a machine that serves static hosts at t0, and a maker of its tables.
func upMachine(t *testing.T, names ...string) (*machine, *balancer.Builder) {
	t.Helper()
	tables, err := balancer.NewForecaster(small)
	if err != nil {
		t.Fatal(err)
	}
	m := emptyMachine(names...)
	up := checksEvent{}
	for _, h := range m.hosts {
		up[h.Name] = CheckResult{Address: h.address, Verdict: route.Up, At: t0}
	}
	m.joined, m.peersJoined = true, true
	e := m.step(up, t0)
	table, err := tables.Build(e.order.Hosts)
	if err != nil {
		t.Fatal(err)
	}
	m.step(productEvent(builder.Product{Order: *e.order, Table: table, Verified: true}), t0)
	return m, tables
}

func emptyMachine(names ...string) *machine {
	set := settings{name: "lb-1", hash: small.WithDefaults(), limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, delays: eligibility.DefaultDelays}
	return newMachine(set, map[route.Origin][]hostlist.Host{route.OriginConfig: statics(names...).WithDefaults().Hosts}, nil, zerolog.Nop(), t0)
}

// handedBy returns what m hands over, as another process gets it.
func handedBy(t *testing.T, m *machine, tables *balancer.Builder) handedEvent {
	t.Helper()
	var s handed.Decoded
	if err := m.capture(&s); err != nil {
		t.Fatal(err)
	}
	return handedEvent{Decoded: handed.Decode(overJSON(t, s.Encode()), tables, zerolog.Nop())}
}

func TestTheLastStateCountsAndGaugesStay(t *testing.T) {
	old, tables := upMachine(t, "a", "b", "c")
	next := emptyMachine("a", "b", "c")
	next.waiting = true
	first := next.step(handedBy(t, old, tables), t0)
	if !first.ready || first.order == nil || first.order.Known == nil || !first.order.Confirmed || first.digest != old.table.Digest() {
		t.Fatalf("the first state: %+v", first)
	}
	gauges := next.find("b").gauges
	gauges.Sessions.Store(3)
	if again := next.step(handedBy(t, old, tables), t0); again.order != nil || again.ready || again.snapshot != nil || len(again.writes) > 0 {
		t.Errorf("the same state again: %+v", again)
	}
	o := old.step(overrideEvent{1, route.Override{Host: "c", State: route.Maint}}, t0)
	table, err := tables.Build(o.order.Hosts)
	if err != nil {
		t.Fatal(err)
	}
	old.step(productEvent(builder.Product{Order: *o.order, Table: table}), t0)
	last := next.step(handedBy(t, old, tables), t0)
	if next.table.Digest() != table.Digest() || next.rebuilding() || last.order == nil || last.order.Confirmed || last.snapshot == nil {
		t.Errorf("the last state: digest %s, want %s, effects %+v", next.table.Digest(), table.Digest(), last)
	}
	if next.find("b").gauges != gauges || next.published.Host("b").Gauges.Sessions.Load() != 3 {
		t.Error("what is counted of a host is lost")
	}
	if next.count != old.count {
		t.Errorf("%d tables so far, want %d", next.count, old.count)
	}
	next.step(beginEvent{joined: true, alone: true}, t0)
	if e := next.step(handedEvent{Decoded: handed.Decoded{State: handed.State{ReadyAt: t0}}, id: 7, requested: true}, t0); len(e.answers) != 1 || e.answers[0].err != errBegun || next.find("a") == nil {
		t.Errorf("a state after the begin: %+v", e.answers)
	}
}

func TestAClockThatWasSetBackKeepsNothingWaiting(t *testing.T) {
	old, tables := upMachine(t, "a", "b")
	old.find("a").moved = t0 // checks before that don't count
	back := t0.Add(-time.Hour)
	next := emptyMachine("a", "b")
	next.waiting = true
	next.step(handedBy(t, old, tables), back)
	next.step(beginEvent{joined: true, alone: true}, back)
	now := back.Add(time.Second)
	next.step(checksEvent{"a": {Address: "10.1.0.1:80", Verdict: route.Down, Error: "refused", At: now}}, now)
	if h := next.published.Host("a"); h.Verdict != route.Down {
		t.Errorf("a check after the handover doesn't count: %+v", h)
	}
}

func TestTheDoubtAboutTheForecastIsHandedOver(t *testing.T) {
	old, tables := upMachine(t, "a", "b")
	other, err := tables.Build([]balancer.Host{{Name: "a", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	old.step(productEvent(builder.Product{Order: old.ordered, Table: other, Verified: true, Doubt: errBegun}), t0)
	next := emptyMachine("a", "b")
	next.waiting = true
	next.step(handedBy(t, old, tables), t0)
	if !strings.Contains(next.published.Alarm, errBegun.Error()) {
		t.Errorf("the alarm is %q", next.published.Alarm)
	}
}

// TestWhatIsCountedIsNotHandedOver: the counters of both processes are added up.
func TestWhatIsCountedIsNotHandedOver(t *testing.T) {
	old, tables := upMachine(t, "a", "b")
	at := func(port uint16) membersEvent {
		m := gossip.Member{Metadata: localHost("c", fmt.Sprintf("10.0.0.3:%d", port)), Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.3"), port)}
		return membersEvent{map[string]gossip.Member{m.Metadata.Node(): m}, true}
	}
	old.step(at(1), t0)
	old.expiries = 3
	old.step(at(2), t0)
	old.step(addressesEvent{"b": {Address: "10.0.0.9:80"}}, t0)
	s := old.published
	want := route.AddressChanges{Service: 1, Gossip: 1}
	if got := s.Host("c").AddressChanges; got != want || s.FreezesExpired != 3 {
		t.Errorf("the first process counts %+v and %d freezes, want %+v and 3", got, s.FreezesExpired, want)
	}
	if got, want := s.Host("b").AddressChanges, (route.AddressChanges{Name: 1}); got != want {
		t.Errorf("the first process counts %+v, want %+v", got, want)
	}
	next := emptyMachine("a", "b")
	next.waiting = true
	next.step(handedBy(t, old, tables), t0)
	after := next.published
	if got := after.Host("c").AddressChanges; got != (route.AddressChanges{}) || after.FreezesExpired != 0 {
		t.Errorf("the next process counts %+v and %d freezes", got, after.FreezesExpired)
	}
	if ofC, _, _ := strings.Cut(s.Alarm, ". Also: "); ofC == "" || !strings.Contains(after.Alarm, ofC) {
		t.Errorf("the alarm was %q, and is %q", s.Alarm, after.Alarm)
	}
}

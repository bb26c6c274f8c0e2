package pool

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/pool/eligibility"
	"tokenring/route"
)

// BenchmarkStep measures a step with as many hosts as there may be: one that finds nothing
// new, one with a result for each host that is no news, and one in which a host fails its
// checks or passes them again.
func BenchmarkStep(b *testing.B) {
	m, passed := largeRing(b)
	now := at(100)
	for host, r := range passed {
		r.At = now
		passed[host] = r
	}
	run := func(name string, event func(n int) event) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				m.step(event(n), now)
			}
		})
	}
	run("tick", func(int) event { return tick{} })
	run("no news", func(int) event { return passed })
	run("news", func(n int) event {
		r := passed["ide-5"]
		r.Verdict = []route.Verdict{route.Down, route.Up}[n%2]
		return checksEvent{"ide-5": r}
	})
}

// largeRing returns a balancer that is ready, and the last results of its hosts.
func largeRing(b *testing.B) (*machine, checksEvent) {
	hash := balancer.Config{Policy: balancer.PolicyRendezvous}
	m := newMachine(settings{name: "lb-1", hash: hash, delays: eligibility.DefaultDelays, limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, slowStart: time.Minute}, nil, nil, zerolog.Nop(), at(0))
	members, passed := map[string]gossip.Member{}, checksEvent{}
	for i := range gossip.MaxHosts {
		h := localHost(fmt.Sprintf("ide-%d", i), fmt.Sprintf("10.0.%d.%d:4000", i/256, i%256))
		members[h.Node()] = gossip.Member{Metadata: h}
		passed[h.Name] = CheckResult{Address: h.Address, Verdict: route.Up, At: at(1)}
	}
	m.step(membersEvent{members, true}, at(0))
	m.step(peersEvent{nil, true}, at(0))
	order := m.step(passed, at(1)).order
	tables, err := balancer.NewBuilder(hash)
	if err != nil {
		b.Fatal(err)
	}
	made := productEvent{Order: *order}
	if made.Table, err = tables.Build(order.Hosts); err != nil {
		b.Fatal(err)
	}
	m.step(made, at(2))
	if s := m.published; !m.isReady() || len(s.Table.Hosts()) != gossip.MaxHosts || s.Alarm != "" {
		b.Fatalf("ready %t, %d hosts in the ring, alarm %q", m.isReady(), len(s.Table.Hosts()), s.Alarm)
	}
	return m, passed
}

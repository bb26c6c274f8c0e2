package pool

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// handedRegion returns a machine that serves n hosts, with a learned key and a slow start of
// each.
func handedRegion(b *testing.B, n int, hash balancer.Config) (*machine, *balancer.Builder) {
	b.Helper()
	decoder, err := balancer.NewForecaster(hash)
	if err != nil {
		b.Fatal(err)
	}
	var registers []peers.Register
	set := settings{name: "lb-1", hash: hash.WithDefaults(), limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, delays: eligibility.DefaultDelays}
	listed := map[route.Origin][]hostlist.Host{}
	checks := checksEvent{}
	for i := range n {
		spec := route.Spec{Name: fmt.Sprintf("ide-%04d.region.example", i), Address: fmt.Sprintf("10.0.%d.%d:4000", i/256, i%256), Weight: 1, Zone: "zone-a"}
		listed[route.OriginConfig] = append(listed[route.OriginConfig], hostlist.Host{Spec: spec})
		checks[spec.Name] = CheckResult{Address: spec.Address, Verdict: route.Up, At: t0}
		key := peers.HostKey{Host: spec.Name, At: t0, Origin: "lb-1"}
		key.Key[0], key.Key[1], key.Key[2] = 1, byte(i), byte(i>>8)
		slow := peers.SlowStart{Host: spec.Name, Number: 1, Since: t0.Add(-time.Hour), Lasts: time.Minute}
		for _, register := range []func() (peers.Register, error){key.Register, slow.Register} {
			r, err := register()
			if err != nil {
				b.Fatal(err)
			}
			registers = append(registers, r)
		}
	}
	m := newMachine(set, listed, registers, zerolog.Nop(), t0)
	m.joined, m.peersJoined = true, true
	e := m.step(checks, t0)
	for e.order != nil {
		table, err := decoder.Build(e.order.Hosts)
		if err != nil {
			b.Fatal(err)
		}
		e = m.step(productEvent(builder.Product{Order: *e.order, Table: table}), t0)
	}
	if !m.isReady() || len(m.table.Hosts()) != n {
		b.Fatalf("ready %t with %d hosts", m.isReady(), len(m.table.Hosts()))
	}
	return m, decoder
}

// BenchmarkHandover measures what the loop of the old process does, what is left to encode
// and decode, and what the loop of the new process does until its table is in force.
func BenchmarkHandover(b *testing.B) {
	for _, row := range []balancer.Config{
		{Policy: balancer.PolicyConsistent},
		{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 65536}},
	} {
		b.Run(row.Policy, func(b *testing.B) {
			m, decoder := handedRegion(b, 2000, row)
			var capture, encode, decode, restore time.Duration
			var size int
			for b.Loop() {
				start := time.Now()
				var s handed.Decoded
				if err := m.capture(&s); err != nil {
					b.Fatal(err)
				}
				capture += time.Since(start)
				start = time.Now()
				text, err := json.Marshal(s.Encode())
				if err != nil {
					b.Fatal(err)
				}
				encode += time.Since(start)
				start = time.Now()
				var state handed.State
				if err := json.Unmarshal(text, &state); err != nil {
					b.Fatal(err)
				}
				e := handedEvent{Decoded: handed.Decode(state, decoder, zerolog.Nop())}
				decode += time.Since(start)
				start = time.Now()
				next := newMachine(m.settings, m.listsForTest(), nil, zerolog.Nop(), t0)
				next.waiting = true
				next.step(e, t0)
				restore += time.Since(start)
				if size = len(text); next.table.Digest() != m.table.Digest() || !next.readySaid {
					b.Fatal("the table isn't taken over")
				}
			}
			for name, d := range map[string]time.Duration{"capture": capture, "encode": encode, "decode": decode, "restore": restore} {
				b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), name+"-ms")
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

// listsForTest returns the hosts that are listed, as newMachine takes them.
func (m *machine) listsForTest() map[route.Origin][]hostlist.Host {
	all := map[route.Origin][]hostlist.Host{}
	for origin, list := range m.lists {
		for _, h := range list {
			all[origin] = append(all[origin], h)
		}
	}
	return all
}

package pool

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/gossips"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// BenchmarkOverride measures a step with one override, while 2,000 hosts have overrides
// of their state and weight, and a slow start.
func BenchmarkOverride(b *testing.B) {
	const hosts = 2000
	p := &Pool{log: zerolog.Nop(), gossips: gossips.New(announcement.Metadata{}, announcement.NewKeys(false), zerolog.Nop())}
	p.gossips.Peers.Broadcast = func(string, []byte) {}
	var registers []peers.Register
	var err error
	if p.store, registers, err = peers.OpenStore(b.TempDir(), p.log); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	cancel() // so that no goroutine has to take Acks
	ended := make(chan struct{})
	go func() { defer close(ended); p.store.Run(ctx) }()
	var static []hostlist.Host
	for i := range hosts {
		host := fmt.Sprintf("ide-%04d", i)
		static = append(static, hostlist.Host{Spec: route.Spec{Name: host, Address: "10.0.0.1:80", Weight: 1}})
		o := route.Override{Host: host, State: route.Drain, Weight: new(3), Reason: "kernel update of the rack", By: "ops"}
		of, err := peers.Override{Override: o, At: at(i), Origin: "lb-1"}.Registers()
		if err != nil {
			b.Fatal(err)
		}
		start, err := peers.SlowStart{Host: host, Number: 3, Since: at(i), Lasts: time.Minute}.Register()
		if err != nil {
			b.Fatal(err)
		}
		registers = append(append(registers, of...), start)
	}
	m := newMachine(settings{name: "lb-1", delays: eligibility.DefaultDelays, limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}}, map[route.Origin][]hostlist.Host{route.OriginConfig: static}, registers, zerolog.Nop(), at(0))
	p.gossips.Peers.Hold(registers...)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		m.effects = effects{}
		o := route.Override{Host: fmt.Sprintf("ide-%04d", n%hosts), State: route.Drain, Reason: "because", By: "ops"}
		if _, err := m.override(o, at(5000+n)); err != nil {
			b.Fatal(err)
		}
		p.perform(m.effects)
	}
	b.StopTimer()
	p.store.Close()
	<-ended
}

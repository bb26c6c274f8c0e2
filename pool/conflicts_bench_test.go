package pool

import (
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/pool/conflict"
	"tokenring/pool/eligibility"
)

// BenchmarkConflicts finds the conflicts of as many hosts as there may be.
func BenchmarkConflicts(b *testing.B) {
	m := newMachine(settings{name: "lb-1", delays: eligibility.DefaultDelays, limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}}, nil, nil, zerolog.Nop(), at(0))
	for i := range gossip.MaxHosts {
		h := localHost(fmt.Sprintf("ide-%d", i), fmt.Sprintf("10.0.%d.%d:4000", i/256, i%256))
		m.update(gossip.Member{Metadata: h}, at(0))
		m.find(h.Name).proven, m.find(h.Name).since = true, at(i)
	}
	for b.Loop() {
		m.resolveConflicts(at(gossip.MaxHosts))
	}
	if len(m.Barred)+len(m.Limited) > 0 || m.MaxWeight != conflict.LeastMaxWeight {
		b.Errorf("%v are barred, %v limited to %d", m.Barred, m.Limited, m.MaxWeight)
	}
}

package pool

import (
	"testing"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/pool/eligibility"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// TestTheFirstStepPublishesWhateverItsEventIs: a check that says nothing new may come first.
func TestTheFirstStepPublishesWhateverItsEventIs(t *testing.T) {
	static := []hostlist.Host{{Spec: route.Spec{Name: "a", Address: "10.0.0.1:80", Weight: 1}}}
	m := newMachine(settings{name: "lb-1", hash: balancer.Config{}.WithDefaults(), delays: eligibility.DefaultDelays}, map[route.Origin][]hostlist.Host{route.OriginConfig: static}, nil, zerolog.Nop(), at(0))
	effects := m.step(checksEvent{"a": {Address: "10.0.0.1:80", Verdict: route.Unchecked, At: at(0)}}, at(0))
	if effects.snapshot == nil && effects.next.After(at(0)) {
		t.Errorf("nothing is published before %v", effects.next.Sub(at(0)))
	}
}

// TestHostsOfRequestsWithoutKeysHaveSharesByWeight: what they own of the table means nothing there.
func TestHostsOfRequestsWithoutKeysHaveSharesByWeight(t *testing.T) {
	m, _ := upMachine(t, "a", "b", "c")
	owned := m.snapshot(m.published, t0).Host("a").Share
	m.hash.Policy = balancer.PolicyLeastConnections
	for _, h := range m.snapshot(m.published, t0).Hosts {
		if want := 1 / 3.0; h.Share != want || owned == want {
			t.Errorf("%s has a share of %v, want %v; with keys, a has %v", h.Name, h.Share, want, owned)
		}
	}
}

//go:build integration

package integration

import (
	"strings"
	"testing"
)

// TestAReloadInAContainerIsNoticedByNobody reloads and upgrades a balancer that is process 1 of
// its container, with gossip: terminals live, no request fails, no token moves, and the
// other balancer sees no departure.
func TestAReloadInAContainerIsNoticedByNobody(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	terminals := r.lbs[0].open(t, tokens...)
	tr := r.traffic(t)
	lb := r.container(t, r.lbs[0].name)
	started := docker(t, "inspect", "--format", "{{.State.StartedAt}}", lb)
	const changes = 3
	for i := range changes {
		command := "reload"
		if i == 1 {
			command = "upgrade"
		}
		t.Log(docker(t, "exec", lb, "/lb", "ctl", "-c", "/etc/lb/lb.yaml", command))
		mustLive(t, terminals)
	}
	tr.end(t)
	tr.mustSucceed(t, all)
	r.find(t).mustBe(t, before, "after the reloads")
	mustLive(t, terminals)
	if again := docker(t, "inspect", "--format", "{{.State.StartedAt}}", lb); again != started {
		t.Errorf("the container was started again at %s, was at %s", again, started)
	}
	log := string(logs(t, r.container(t, r.lbs[1].name)))
	for _, word := range []string{"a balancer has left", "gossip has lost a peer", "places tokens by another ring"} {
		if strings.Contains(log, word) {
			t.Errorf("the other balancer logged %q", word)
		}
	}
	hangUp(terminals)
}

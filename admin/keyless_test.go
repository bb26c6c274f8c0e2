package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// TestAPoolWithoutKeysHasSharesByWeight: how many slots of a table a host has means nothing where
// requests have no key. Its share is that of its weight, no key can move, and so no change needs
// to be confirmed because of keys.
func TestAPoolWithoutKeysHasSharesByWeight(t *testing.T) {
	api := new(fakeRegion)
	hosts := []*route.Host{fakeHost(1), fakeHost(2)}
	hosts[0].Name, hosts[1].Name = "api/a1", "api/a2"
	hosts[1].Weight = 3
	api.put(hosts, func(*route.Snapshot) {})
	s := newServer(t, newRegion(), io.Discard)
	s.deps.Pools = map[string]Pool{"api": {Name: "api", Region: api, Hash: balancer.Config{Policy: balancer.PolicyRoundRobin}, ConfirmShare: 0.1}}

	var ring ringBody
	if err := json.Unmarshal(ask(s, http.MethodGet, "/v1/ring?pool=api", "").Body.Bytes(), &ring); err != nil {
		t.Fatal(err)
	}
	if len(ring.Shares) != 2 || ring.Shares[0].Share != 0.25 || ring.Shares[1].Share != 0.75 || ring.Shares[1].Ratio != 1 {
		t.Errorf("shares are %+v", ring.Shares)
	}
	w := ask(s, http.MethodPost, "/v1/whatif", `{"pool":"api","leave":["api/a1"]}`)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "serve by the policy round-robin") {
		t.Errorf("what-if: got %d: %s", w.Code, w.Body)
	}
	if err := s.confirm(api.Snapshot(), "api/a2", balancer.Change{Leave: []string{"api/a2"}}, 0.1); err != nil {
		t.Errorf("a change is to be confirmed: %v", err)
	}
}

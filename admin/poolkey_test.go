package admin

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

func TestPoolKeySaysWhoUsesWhichSecret(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	at := netip.MustParseAddrPort
	s.deps.Secrets = func() []route.SecretUse {
		return []route.SecretUse{{
			Gossip: "pool", Secrets: []string{"0a1b2c3d", "deadbeef"}, Since: aDay, Problem: "the file is empty",
			Members: []route.SecretMember{
				{Balancer: "lb-2", Address: at("10.0.0.3:7946"), Secret: "0a1b2c3d", HeardAt: aDay},
				{Host: "ide-1", Address: at("10.0.0.11:7946"), Secret: "deadbeef", HeardAt: aDay},
				{Host: "ide-2", Address: at("10.0.0.12:7946"), Secret: "deadbeef", HeardAt: aDay, Lost: true},
				{Host: "ide-3", Address: at("10.0.0.13:7946")},
				{Address: at("10.0.0.66:7946"), Secret: "deadbeef", HeardAt: aDay},
			},
		}}
	}
	want := poolKeyBody{Gossips: []gossipBody{{
		Gossip: "pool", Since: aDay, Problem: "the file is empty",
		Secrets: []gossipKeyBody{{Digest: "0a1b2c3d", Sends: true, Heard: 1}, {Digest: "deadbeef", Heard: 1}},
		Members: []gossipMemberBody{
			{Role: "balancer", Name: "lb-2", Address: at("10.0.0.3:7946"), Secret: "0a1b2c3d", HeardAt: &aDay},
			{Role: "host", Name: "ide-1", Address: at("10.0.0.11:7946"), Secret: "deadbeef", HeardAt: &aDay},
			{Role: "host", Name: "ide-2", Address: at("10.0.0.12:7946"), Lost: true, Secret: "deadbeef", HeardAt: &aDay},
			{Role: "host", Name: "ide-3", Address: at("10.0.0.13:7946")},
			{Address: at("10.0.0.66:7946"), Secret: "deadbeef", HeardAt: &aDay},
		},
	}}}
	got := decode[poolKeyBody](t, ask(s, "GET", "/v1/pool-key", ""), http.StatusOK)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}

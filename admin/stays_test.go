package admin

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/route"
)

// TestExplainNamesSessionsAtOtherBalancersAndLastUses: the first one counts, unless there is a
// live session here.
func TestExplainNamesSessionsAtOtherBalancersAndLastUses(t *testing.T) {
	s := newServer(t, newRegion(), new(bytes.Buffer))
	s.deps.Cookie = "lb"
	s.deps.Stays = func(key balancer.Digest) []route.Stay {
		if key != s.deps.Digester.Digest([]byte("alice")) {
			return nil
		}
		return []route.Stay{
			{Host: "ide-4", Rule: route.RuleSessionAtPeer, Peer: "lb-2", Since: aDay},
			{Host: "ide-2", Rule: route.RuleLingering, Since: aDay},
		}
	}
	explain := func(token string) explainBody {
		t.Helper()
		return decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"`+token+`"}`), http.StatusOK)
	}
	got := explain("alice")
	want := []stayBody{{"ide-4", "session-at-peer", "lb-2", aDay}, {"ide-2", "lingering", "", aDay}}
	if diff := cmp.Diff(want, got.Stays); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Host != "ide-4" || got.Rule != "session-at-peer" || got.Session != nil || strings.Contains(got.Reason, "cookie") ||
		!strings.Contains(got.Reason, "through the balancer lb-2, which has told of them at 12:00:00 UTC") {
		t.Errorf("got %+v", got)
	}
	s.deps.Sessions = func(balancer.Digest) (string, int) { return "ide-1", 1 }
	if got := explain("alice"); got.Host != "ide-1" || got.Rule != "session" || len(got.Stays) != 2 {
		t.Errorf("with a live session here: got %+v", got)
	}
	if got := explain("bob"); len(got.Stays) != 0 {
		t.Errorf("another token: got %+v", got)
	}
}

// TestTerminalsThroughOtherBalancersAreShown for each host, and in all.
func TestTerminalsThroughOtherBalancersAreShown(t *testing.T) {
	s := newServer(t, newRegion(), new(bytes.Buffer))
	s.deps.AtPeers = func(host string) int { return map[string]int{"ide-1": 3, "ide-2": 4}[host] }
	if got := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-2", ""), http.StatusOK); got.AtPeers != 4 {
		t.Errorf("ide-2 has %d", got.AtPeers)
	}
	if got := decode[statusBody](t, ask(s, "GET", "/v1/status", ""), http.StatusOK); got.AtPeers != 7 {
		t.Errorf("all have %d", got.AtPeers)
	}
}

package edge

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"tokenring/admin"
)

// TestLimitsAreInForce as lb.yaml says them, and operators see who meets them.
func TestLimitsAreInForce(t *testing.T) {
	t.Parallel()
	e, err := open(parsed(t, t.TempDir(), `
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
limits: {per_source: {requests: 1/h, terminals: 7}, per_key: {requests: 1/h, burst: 2s}}
routes: [{path: /gone, respond: {status: 410}}]
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	for i, want := range []int{410, 429, 429} {
		if got := statusOf(t, "http://"+e.sockets.Clients[0].Addr().String()+"/gone"); got != want {
			t.Errorf("request %d: got %d, want %d", i+1, got, want)
		}
	}
	got := e.limits()
	if q := got.PerSource; q == nil || *q != (admin.Quota{Requests: "1/h", Terminals: 7, Burst: "1s", Known: 1}) {
		t.Errorf("of sources: got %+v", q)
	}
	if q := got.PerKey; q == nil || *q != (admin.Quota{Requests: "1/h", Burst: "2s"}) {
		t.Errorf("of keys: got %+v", q)
	}
	if len(got.Top) != 1 || got.Top[0].Source != netip.MustParsePrefix("127.0.0.1/32").String() || got.Top[0].Limit != "per_source.requests" || got.Top[0].Refused != 2 {
		t.Errorf("got %+v", got.Top)
	}
}

// statusOf asks for a page on a connection of its own. The status is 0 if the connection was closed
// without an answer.
func statusOf(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

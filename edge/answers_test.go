package edge

import (
	"io"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestTheSeriesOfPoolsExistFromTheStart: with all classes, as 0.
func TestTheSeriesOfPoolsExistFromTheStart(t *testing.T) {
	t.Parallel()
	e, err := open(parsed(t, t.TempDir(), `
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
pools: {api: {hosts: [{name: a1, address: "127.0.0.1:1"}], hash: {policy: round-robin}}}
routes: [{path_prefix: /api/, pool: api}]
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var want strings.Builder
	want.WriteString("# HELP lb_pool_answers_total Answers to requests for the pool's hosts, by class of status; 0xx got no answer, and 1xx are tunnels that were opened. 503 for want of a host is among them.\n# TYPE lb_pool_answers_total counter\n")
	for _, pool := range []string{"api", "pool"} {
		for _, class := range []string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"} {
			want.WriteString(`lb_pool_answers_total{class="` + class + `",pool="` + pool + "\"} 0\n")
		}
	}
	if err := testutil.GatherAndCompare(e.gatherer(), strings.NewReader(want.String()), "lb_pool_answers_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(e.gatherer(), "lb_pool_request_duration_seconds"); n != 2 || err != nil {
		t.Errorf("%d histograms, %v; want 2", n, err)
	}
}

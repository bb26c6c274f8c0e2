package edge

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/pool/gossips"
)

func TestMetricsSayWhichProgramServes(t *testing.T) {
	t.Parallel()
	e, err := open(parsed(t, t.TempDir(), `
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want := fmt.Sprintf(`# HELP lb_build_info Always 1; the labels say which program serves.
# TYPE lb_build_info gauge
lb_build_info{goversion=%q,version="v0"} 1
`, runtime.Version())
	if err := testutil.GatherAndCompare(e.gatherer(), strings.NewReader(want), "lb_build_info"); err != nil {
		t.Error(err)
	}
}

func TestWhatGossipRefusesIsAMetric(t *testing.T) {
	totals := func() []gossips.RefusedTotal {
		return []gossips.RefusedTotal{{Gossip: "pool", Reason: "name", Times: 3}, {Gossip: "peers", Reason: "name"}}
	}
	want := strings.NewReader(`# HELP lb_gossip_refused_total What came by gossip and was refused, by gossip (pool or peers) and reason.
# TYPE lb_gossip_refused_total counter
lb_gossip_refused_total{gossip="peers",reason="name"} 0
lb_gossip_refused_total{gossip="pool",reason="name"} 3
`)
	if err := testutil.CollectAndCompare(refusedCollector(totals), want); err != nil {
		t.Error(err)
	}
}

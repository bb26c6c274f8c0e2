package main

import (
	"testing"

	"tokenring/balancer"
	"tokenring/pool"
)

// TestABalancerWithoutARingIsntReady: until the first table is there, tokens get
// 503, whatever checks the hosts pass.
func TestABalancerWithoutARingIsntReady(t *testing.T) {
	builder, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := builder.Build([]balancer.Host{{Name: "a", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	up := pool.Host{Name: "a", Verdict: pool.Up, InRing: true}
	down, drained, other := up, up, up
	down.Verdict, drained.InRing, other.Name = pool.Down, false, "b"
	const none, notYet = "no host can serve", "the hosts that can serve aren't in a ring yet"
	for _, row := range []struct {
		name  string
		table *balancer.Table
		hosts []pool.Host
		want  string // "" for nothing wrong
	}{
		{"one serves", table, []pool.Host{up}, ""},
		{"no table", nil, []pool.Host{up}, notYet},
		{"another one serves that the table doesn't hold yet", table, []pool.Host{down, other}, notYet},
		{"one is down", table, []pool.Host{down}, none},
		{"one is drained", nil, []pool.Host{drained}, none},
		{"none", nil, nil, none},
	} {
		var hosts []*pool.Host
		for _, h := range row.hosts {
			hosts = append(hosts, &h)
		}
		got := ""
		if err := unable(pool.NewSnapshot(row.table, hosts)); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

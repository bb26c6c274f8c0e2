package edge

import (
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// TestABalancerWithoutARingIsNotReady: until the first table is built, tokens
// get 503, also if hosts pass their checks.
func TestABalancerWithoutARingIsNotReady(t *testing.T) {
	builder, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := builder.Build([]balancer.Host{{Name: "a", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	up := route.Host{Spec: route.Spec{Name: "a"}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}}
	down, drained, other := up, up, up
	down.Verdict, drained.InRing, other.Name = route.Down, false, "b"
	const none, notYet = "no host can serve", "the hosts that can serve aren't in a ring yet"
	for _, row := range []struct {
		name  string
		table *balancer.Table
		hosts []route.Host
		want  string // "" for nothing wrong
	}{
		{"one serves", table, []route.Host{up}, ""},
		{"no table", nil, []route.Host{up}, notYet},
		{"another one serves that the table doesn't hold yet", table, []route.Host{down, other}, notYet},
		{"one is down", table, []route.Host{down}, none},
		{"one is drained", nil, []route.Host{drained}, none},
		{"none", nil, nil, none},
	} {
		var hosts []*route.Host
		for _, h := range row.hosts {
			hosts = append(hosts, &h)
		}
		got := ""
		if err := unable(route.NewSnapshot(row.table, hosts)); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// TestABalancerThatReachesFarFewerHostsThanOthersIsNotReady: clients are better off elsewhere.
func TestABalancerThatReachesFarFewerHostsThanOthersIsNotReady(t *testing.T) {
	s := route.NewSnapshot(nil, []*route.Host{{Spec: route.Spec{Name: "a"}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}}})
	s.Severed = "this balancer can't reach 2 of the 3 hosts that others reach (lb-2)"
	if err := unable(s); err == nil || err.Error() != s.Severed {
		t.Errorf("got %v, want %s", err, s.Severed)
	}
}

package balancer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExplanationAgreesWithPick compares them for every policy, with hosts that
// are down.
func TestExplanationAgreesWithPick(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		hosts := mixed(6)
		table := build(t, cfg, hosts...)
		for i, key := range keys(64) { // and with each set of hosts down
			up := make([]bool, len(hosts))
			for host := range up {
				up[host] = i>>host&1 == 0
			}
			e := table.Explain(key, func(h Host) string {
				if up[h.ID-1] {
					return ""
				}
				return "down"
			})
			host, rule := table.Pick(key, up, -1)
			if e.Host != host || e.Rule != rule || e.Owner != table.Owner(key) || e.Slot != table.Slot(key) {
				t.Fatalf("%s: got %+v, want host %d by %s", key, e, host, rule)
			}
			checkCandidates(t, e, up)
		}
	})
}

// checkCandidates checks that one at most is chosen, and that those before it
// have a reason.
func checkCandidates(t *testing.T, e Explanation, up []bool) {
	t.Helper()
	chosen := -1
	for i, c := range e.Candidates {
		want := Role("fallback")
		switch i {
		case 0:
			want = "owner"
		case 1:
			want = "successor"
		}
		if c.Role != want || (c.WhyNot == "") != up[c.Host] {
			t.Errorf("candidate %d is %+v, want the role %s", i, c, want)
		}
		if c.Chosen {
			if chosen >= 0 || c.Host != e.Host {
				t.Errorf("%d is chosen, the host is %d", c.Host, e.Host)
			}
			chosen = i
		}
		if chosen < 0 && c.WhyNot == "" {
			t.Errorf("candidate %d is passed over for no reason", i)
		}
	}
	if (chosen >= 0) != (e.Host >= 0) || len(e.Candidates) != len(up) {
		t.Errorf("chosen is candidate %d of %d, the host is %d", chosen, len(e.Candidates), e.Host)
	}
}

func TestExplanationNamesThePointOnARing(t *testing.T) {
	ring := build(t, Config{Policy: PolicyHAProxy}, fleet(1)...)
	e := ring.Explain([]byte("alice"), func(Host) string { return "" })
	if e.Point == nil || e.Share <= 0 || e.Share >= 1 || e.Slots != 16 {
		t.Errorf("got %+v, want a point, and a share of the ring", e)
	}
	e = build(t, small, fleet(1)...).Explain([]byte("alice"), func(Host) string { return "" })
	if e.Point != nil || e.Share != 1.0/211 {
		t.Errorf("got %+v, want no point, and a share of 1/211", e)
	}
}

func TestExplanationWithoutHostsNamesNoHost(t *testing.T) {
	got := new(Table).Explain([]byte("alice"), func(Host) string { return "" })
	want := Explanation{Slot: -1, Owner: -1, Host: -1, Rule: RuleNone}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

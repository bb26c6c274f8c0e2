package balancer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// TestMovementIsThatOfTheKeys counts keys for pairs of tables of all kinds. The
// tolerance is five standard deviations of the count.
func TestMovementIsThatOfTheKeys(t *testing.T) {
	const n = 20_000
	rows := allPolicies()
	rows = append(rows, namedConfig{"rendezvous, more slots", Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 6144}}})
	rows = append(rows, namedConfig{"haproxy crc32", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Function: "crc32"}}})
	hosts, fewer := mixed(9), mixed(7)
	var before, after []*Table
	var was, is [][]int // the owners of the keys; a host has the same index in all tables
	for _, row := range rows {
		before, after = append(before, build(t, row.cfg, hosts...)), append(after, build(t, row.cfg, fewer...))
		was, is = append(was, owners(before[len(was)], n)), append(is, owners(after[len(is)], n))
	}
	for i, a := range rows {
		for j, b := range rows {
			moved := 0.0
			for key, host := range was[i] {
				if host != is[j][key] {
					moved++
				}
			}
			m := Compare(before[i], after[j])
			if math.Abs(moved/n-m.Moved) > 5*math.Sqrt(m.Moved*(1-m.Moved)/n) {
				t.Errorf("%s to %s: got %.4f (%s), %.4f of the keys did", a.name, b.name, m.Moved, m.Method, moved/n)
			}
			sum := 0.0
			for _, r := range m.Routes {
				sum += r.Share
			}
			if !near(sum, m.Moved) || m.Moved < m.Ideal-0.06 {
				t.Errorf("%s to %s: routes of %.4f, moved %.4f, ideal %.4f", a.name, b.name, sum, m.Moved, m.Ideal)
			}
		}
	}
}

// owners returns the host of each of n keys.
func owners(table *Table, n int) []int {
	list := make([]int, n)
	for i, key := range keys(n) {
		list[i] = table.Owner(key)
	}
	return list
}

func TestMethodIsExactWhereverTablesShareAHash(t *testing.T) {
	table := func(cfg Config) *Table { return build(t, cfg, fleet(4)...) }
	consistent, maglev := table(small), table(Config{Policy: PolicyMaglev})
	ketama, haproxy := table(Config{Policy: PolicyKetama}), table(Config{Policy: PolicyHAProxy})
	crc := table(Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Function: "crc32"}})
	for _, row := range []struct {
		name string
		a, b *Table
		want Method
	}{
		{"two policies of 64 bits", consistent, maglev, MethodExact},
		{"two rings on CRC-32", ketama, crc, MethodExact},
		{"a ring and slots", ketama, maglev, MethodIndependent},
		{"two functions", haproxy, crc, MethodIndependent},
		{"no hosts before", build(t, small), consistent, MethodExact},
		{"no hosts after", ketama, new(Table), MethodExact},
	} {
		if got := Compare(row.a, row.b).Method; got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

// TestResiduesAreThoseOfAllHashes goes through all hashes up to the least common
// multiple.
func TestResiduesAreThoseOfAllHashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	for _, lengths := range [][2]int{{12, 12}, {12, 18}, {7, 9}, {5, 20}, {1, 8}} {
		a, b := make([]uint16, lengths[0]), make([]uint16, lengths[1])
		for i := range a {
			a[i] = uint16(rng.IntN(3))
		}
		for i := range b {
			b[i] = uint16(rng.IntN(3))
		}
		all := len(a) * len(b)
		want := map[[2]int]float64{}
		for hash := range all {
			want[[2]int{int(a[hash%len(a)]), int(b[hash%len(b)])}]++
		}
		for pair := range want {
			want[pair] /= float64(all)
		}
		got := map[[2]int]float64{}
		for _, f := range residues(a, b) {
			got[[2]int{int(f.from), int(f.to)}] = f.share
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(near)); diff != "" {
			t.Errorf("%v: -want +got\n%s", lengths, diff)
		}
	}
}

func TestRoutesNameBothHosts(t *testing.T) {
	cfg := Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 600}}
	before := build(t, cfg, fleet(3)...)
	after := build(t, cfg, fleet(2)...)
	m := Compare(before, after)
	lost := before.Shares()[2]
	if len(m.Routes) != 2 || !near(m.Routes[0].Share+m.Routes[1].Share, lost) || m.Routes[0].Share < m.Routes[1].Share {
		t.Errorf("got routes %v, want two from ide-0003 that carry %.4f, the larger first", m.Routes, lost)
	}
	for _, r := range m.Routes {
		if r.From != "ide-0003" {
			t.Errorf("got a route from %s, want ide-0003 only", r.From)
		}
	}
	if !near(m.Moved, lost) || !near(m.Ideal, 1.0/3) || m.Astray != 0 {
		t.Errorf("got %+v, want %.4f moved, a third ideal, none astray", m, lost)
	}
	if same := Compare(before, before); same.Moved != 0 || same.Ideal != 0 || same.Routes != nil {
		t.Errorf("the same table: got %+v, want nothing", same)
	}
	gone := Compare(before, new(Table))
	if !near(gone.Moved, 1) || !near(gone.Ideal, 1) || len(gone.Routes) != 3 || gone.Routes[0].To != "" {
		t.Errorf("all hosts leave: got %+v, want all keys to go to no host", gone)
	}
}

func TestChangeIsAppliedToACopy(t *testing.T) {
	hosts := fleet(3)
	got, err := Change{
		Leave:   []string{"ide-0002"},
		Join:    []Host{{"new", 9, 4}},
		Weights: map[string]int{"ide-0001": 2},
	}.Apply(hosts)
	want := []Host{{"ide-0001", 1, 2}, {"ide-0003", 3, 1}, {"new", 9, 4}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got error %v, -want +got\n%s", err, diff)
	}
	if !slices.Equal(hosts, fleet(3)) {
		t.Errorf("the caller's hosts are now %v", hosts)
	}
}

func TestImpossibleChangesAreRefused(t *testing.T) {
	for want, c := range map[string]Change{
		`host "x" can't leave: it isn't in the ring`:                                   {Leave: []string{"x"}},
		`host "ide-0001" can't leave: it isn't in the ring`:                            {Leave: []string{"ide-0001", "ide-0001"}},
		`host "ide-0001" can't join: it is in the ring already`:                        {Join: []Host{{Name: "ide-0001"}}},
		`host "ide-0002" can't join: it is in the ring already`:                        {Leave: []string{"ide-0002"}, Join: []Host{{Name: "ide-0002"}}},
		`host "new" can't join: it is in the ring already`:                             {Join: []Host{{Name: "new"}, {Name: "new"}}},
		`host "x" can't get another weight: it isn't in the ring, or it leaves`:        {Weights: map[string]int{"x": 1}},
		`host "ide-0003" can't get another weight: it isn't in the ring, or it leaves`: {Leave: []string{"ide-0003"}, Weights: map[string]int{"ide-0003": 1}},
	} {
		if got, err := c.Apply(fleet(3)); got != nil || errorText(err) != want {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

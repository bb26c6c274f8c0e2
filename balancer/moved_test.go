package balancer

import "testing"

// TestMovedIsWhatCompareFinds compares the two for pairs of tables of all kinds.
func TestMovedIsWhatCompareFinds(t *testing.T) {
	var tables []*Table
	var names []string
	rows := allPolicies()
	rows = append(rows, namedConfig{"rendezvous, more slots", Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 6144}}})
	for _, row := range rows {
		for _, hosts := range [][]Host{mixed(9), mixed(7), mixed(9)[2:], nil} {
			tables, names = append(tables, build(t, row.cfg, hosts...)), append(names, row.name)
		}
	}
	for i, before := range tables {
		for j, after := range tables {
			if got, want := Moved(before, after), Compare(before, after).Moved; !near(got, want) {
				t.Errorf("%s of %d hosts to %s of %d: got %v, want %v", names[i], len(before.hosts), names[j], len(after.hosts), got, want)
			}
		}
	}
}

func BenchmarkMoved(b *testing.B) {
	for _, row := range []namedConfig{{"consistent", Config{}}, {"ketama", Config{Policy: PolicyKetama}}} {
		before, after := build(b, row.cfg, fleet(200)...), build(b, row.cfg, fleet(199)...)
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				Moved(before, after)
			}
		})
	}
}

package balancer

import (
	"fmt"
	"testing"
)

// BenchmarkPick looks up keys whose owner is up. The number of points on the
// ring plays no part in it, so the tables are built with few.
func BenchmarkPick(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			table := build(b, Config{Consistent: ConsistentConfig{Replicas: 10}}, fleet(hosts)...)
			up, keys := all(hosts), keys(1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				table.Pick(keys[i%len(keys)], up, -1)
			}
		})
	}
}

// BenchmarkPickFallback looks up keys when only the last host is up, which is the
// longest way through the ranks.
func BenchmarkPickFallback(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			table := build(b, Config{Consistent: ConsistentConfig{Replicas: 10}}, fleet(hosts)...)
			up, keys := all(hosts), keys(1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				key := keys[i%len(keys)]
				owner := table.Owner(key)
				heir := int(table.layout.heirs[table.Slot(key)])
				up[owner], up[heir] = false, false
				table.Pick(key, up, -1)
				up[owner], up[heir] = true, true
			}
		})
	}
}

// BenchmarkHeirs computes the heirs of all slots at the default parameters.
func BenchmarkHeirs(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			ring := newRingOf(b, Config{}.WithDefaults().Consistent, fleet(hosts))
			owners := ring.owners()
			for b.Loop() {
				ring.heirs(owners)
			}
		})
	}
}

// BenchmarkBuild takes one host out of a table and back in, at the default
// parameters: two tables per loop.
func BenchmarkBuild(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			builder := newBuilder(b, Config{})
			fleet := fleet(hosts)
			rebuild(b, builder, fleet...)
			for b.Loop() {
				rebuild(b, builder, fleet[1:]...)
				rebuild(b, builder, fleet...)
			}
		})
	}
}

// BenchmarkFirstBuild makes a table from nothing, at the default parameters.
func BenchmarkFirstBuild(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			fleet := fleet(hosts)
			for b.Loop() {
				rebuild(b, newBuilder(b, Config{}), fleet...)
			}
		})
	}
}

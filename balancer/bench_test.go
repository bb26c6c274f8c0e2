package balancer

import (
	"fmt"
	"testing"
)

// benchmarked are the policies at their defaults, and what weight and seed change.
var benchmarked = []struct {
	name   string
	cfg    Config
	weight int
}{
	{"consistent", Config{}, 1},
	{"consistent-seeded", Config{Seed: "a seed of sixteen or more bytes"}, 1},
	{"rendezvous", Config{Policy: PolicyRendezvous}, 1},
	{"maglev", Config{Policy: PolicyMaglev}, 1},
	{"ketama", Config{Policy: PolicyKetama}, 1},
	{"haproxy", Config{Policy: PolicyHAProxy}, 1},
	{"haproxy-weight-50", Config{Policy: PolicyHAProxy}, 50},
	{"haproxy-map", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}, 1},
}

// forAll runs a benchmark for every policy at three sizes.
func forAll(b *testing.B, run func(b *testing.B, cfg Config, hosts []Host)) {
	for _, p := range benchmarked {
		for _, n := range []int{10, 200, 1000} {
			hosts := fleet(n)
			for i := range hosts {
				hosts[i].Weight = p.weight
			}
			b.Run(fmt.Sprintf("%s/hosts=%d", p.name, n), func(b *testing.B) { run(b, p.cfg, hosts) })
		}
	}
}

// fewer returns cfg with few points on the ring of `consistent`. Their number doesn't
// matter for looking a key up.
func fewer(cfg Config) Config {
	cfg.Consistent.Replicas = 10
	return cfg
}

// BenchmarkPick looks up keys whose owner is up.
func BenchmarkPick(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		table := build(b, fewer(cfg), hosts...)
		up, keys := all(len(hosts)), keys(1024)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			table.Pick(keys[i%len(keys)], up, -1)
		}
	})
}

// BenchmarkPickFallback looks up keys when owner and successor are down: policies that
// have one successor then compare the scores of all hosts.
func BenchmarkPickFallback(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		table := build(b, fewer(cfg), hosts...)
		up, keys := all(len(hosts)), keys(64)
		first := make([][]int, len(keys))
		for i, key := range keys {
			first[i] = table.Candidates(key)[:2]
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			down := first[i%len(keys)]
			up[down[0]], up[down[1]] = false, false
			table.Pick(keys[i%len(keys)], up, -1)
			up[down[0]], up[down[1]] = true, true
		}
	})
}

// BenchmarkSuccessors computes the successors of all slots at the default parameters.
func BenchmarkSuccessors(b *testing.B) {
	for _, hosts := range []int{10, 200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			ring := newRingOf(b, Config{}.WithDefaults().Consistent, fleet(hosts))
			owners := ring.owners()
			for b.Loop() {
				ring.successors(owners)
			}
		})
	}
}

// BenchmarkBuild takes one host out of a table and back in, at the default
// parameters: two tables per iteration.
func BenchmarkBuild(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		builder := newBuilder(b, cfg)
		rebuild(b, builder, hosts...)
		for b.Loop() {
			rebuild(b, builder, hosts[1:]...)
			rebuild(b, builder, hosts...)
		}
	})
}

// BenchmarkFirstBuild makes a table from nothing, at the default parameters.
func BenchmarkFirstBuild(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		for b.Loop() {
			rebuild(b, newBuilder(b, cfg), hosts...)
		}
	})
}

// BenchmarkForecast forecasts the table without one host.
func BenchmarkForecast(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		forecaster, err := NewForecaster(cfg)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			rebuild(b, forecaster, hosts...)
		}
	})
}

// BenchmarkCompare compares tables that differ in one host.
func BenchmarkCompare(b *testing.B) {
	forAll(b, func(b *testing.B, cfg Config, hosts []Host) {
		builder := newBuilder(b, fewer(cfg))
		before, after := rebuild(b, builder, hosts...), rebuild(b, builder, hosts[1:]...)
		for b.Loop() {
			Compare(before, after)
		}
	})
}

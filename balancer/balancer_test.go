package balancer

import (
	"fmt"
	"testing"
)

// fleet returns n hosts of weight 1.
func fleet(n int) []Host {
	hosts := make([]Host, n)
	for i := range hosts {
		hosts[i] = Host{Name: fmt.Sprintf("ide-%04d", i+1), ID: uint32(i + 1), Weight: 1}
	}
	return hosts
}

// rounds returns how often a test of random cases tries: n times, or a tenth of it under the race
// detector, which has nothing to find where one goroutine computes.
func rounds(n int) int {
	if racing {
		return n / 10
	}
	return n
}

// all returns the argument up of Table.Pick for n hosts that are all up.
func all(n int) []bool {
	up := make([]bool, n)
	for i := range up {
		up[i] = true
	}
	return up
}

// keys returns n different keys of the length of a real token.
func keys(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = fmt.Appendf(nil, "7f3c9a10-token-of-user-%08d", i)
	}
	return list
}

func newBuilder(t testing.TB, cfg Config) *Builder {
	t.Helper()
	b, err := NewBuilder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rebuild(t testing.TB, b *Builder, hosts ...Host) *Table {
	t.Helper()
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// build returns the table that a new Builder makes.
func build(t testing.TB, cfg Config, hosts ...Host) *Table {
	t.Helper()
	return rebuild(t, newBuilder(t, cfg), hosts...)
}

func newRingOf(t testing.TB, cfg ConsistentConfig, hosts []Host) *consistentRing {
	t.Helper()
	r, err := newConsistentRing(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// small is a Config with which tables are built in well under a millisecond.
var small = Config{Consistent: ConsistentConfig{Partitions: 211, Replicas: 5}}

// mixed returns n hosts of the weights 1, 2, 3, 1, 2, 3 and so on.
func mixed(n int) []Host {
	hosts := fleet(n)
	for i := range hosts {
		hosts[i].Weight = 1 + i%3
	}
	return hosts
}

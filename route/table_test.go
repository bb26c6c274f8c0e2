package route

import (
	"fmt"
	"sync"
	"testing"

	"tokenring/balancer"
)

// testTables are the tables that testTable has built.
var testTables = struct {
	mu       sync.Mutex
	builders map[string]*balancer.Builder // by configuration
	tables   map[string]*balancer.Table   // by configuration and hosts
}{builders: map[string]*balancer.Builder{}, tables: map[string]*balancer.Table{}}

// testTable returns the table of hosts. It is built once for all tests: that takes long under
// the race detector, and a table never changes.
func testTable(t testing.TB, cfg balancer.Config, hosts []balancer.Host) *balancer.Table {
	t.Helper()
	testTables.mu.Lock()
	defer testTables.mu.Unlock()
	policy := fmt.Sprintf("%+v", cfg)
	key := fmt.Sprintf("%s of %+v", policy, hosts)
	if table := testTables.tables[key]; table != nil {
		return table
	}
	b := testTables.builders[policy]
	if b == nil {
		var err error
		if b, err = balancer.NewBuilder(cfg); err != nil {
			t.Fatal(err)
		}
		testTables.builders[policy] = b
	}
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	testTables.tables[key] = table
	return table
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestOperatorsAskAboutPools: the ring of a pool, where tokens go in it, and what a change would move.
func TestOperatorsAskAboutPools(t *testing.T) {
	t.Parallel()
	c := withPool(t)
	if out := c.ctl("ring", "--pool", "api"); !strings.Contains(out, "\napi/a3 ") || !strings.HasPrefix(out, "pool ") {
		t.Errorf("the ring of the pool is\n%s", out)
	}
	if out := c.ctl("ring"); strings.Contains(out, "api/") || !strings.HasPrefix(out, "policy ") {
		t.Errorf("the main pool's ring is\n%s", out)
	}
	for i, want := range c.hostsInAPI() {
		var got struct{ Pool, Host, Owner string }
		if err := json.Unmarshal([]byte(c.ctl("--format", "json", "explain", "--pool", "api", fmt.Sprintf("t%d", i))), &got); err != nil {
			t.Fatal(err)
		}
		if got.Pool != "api" || got.Host != "api/"+want || got.Owner != got.Host {
			t.Errorf("token %d is on %s, and explained by %+v", i, want, got)
		}
	}
	var moves struct {
		Pool  string
		Moved float64
		After struct{ Hosts []struct{ Host string } }
	}
	if err := json.Unmarshal([]byte(c.ctl("--format", "json", "whatif", "--pool", "api", "--leave", "api/a1")), &moves); err != nil {
		t.Fatal(err)
	}
	if moves.Pool != "api" || moves.Moved < 0.2 || moves.Moved > 0.5 || len(moves.After.Hosts) != 2 {
		t.Errorf("without a host of three it would be %+v", moves)
	}
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"ring", "--pool", "apo"}, `no pool is called "apo" beside the main one; there are: api`},
		{[]string{"explain", "--pool", "apo", "t1"}, "there are: api"},
		{[]string{"whatif", "--pool", "apo", "--leave", "api/a1"}, "there are: api"},
		{[]string{"whatif", "--pool", "api", "--leave", "ide-1"}, `no host is called "ide-1"`},
		{[]string{"ring", "--pool", "api", "--at", "02:30"}, "--pool"},
	} {
		if out, err := c.tryCtl(row.args...); err == nil || !strings.Contains(out, row.says) {
			t.Errorf("%v: %v, %q, want %q", row.args, err, out, row.says)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
		{[]string{"ring", "--pool", "apo", "--history"}, "there are: api"},
		{[]string{"ring", "--pool", "api", "--at", "2020-01-01T00:00:00Z"}, "the first that is kept"},
	} {
		if out, err := c.tryCtl(row.args...); err == nil || !strings.Contains(out, row.says) {
			t.Errorf("%v: %v, %q, want %q", row.args, err, out, row.says)
		}
	}
}

// TestPoolsHaveAHistory of their own, also when the balancer isn't asked.
func TestPoolsHaveAHistory(t *testing.T) {
	t.Parallel()
	c := withPool(t)
	now := time.Now().UTC().Add(time.Second).Format(time.RFC3339)
	on := c.hostsInAPI()
	c.wait("the moment to be of the past", func() bool { return time.Now().UTC().Format(time.RFC3339) > now })
	c.ctl("drain", "api/a3", "--yes")
	var history struct {
		Pool  string
		Rings []struct {
			Cause string
			Left  []string
		}
	}
	if err := json.Unmarshal([]byte(c.ctl("--format", "json", "ring", "--pool", "api", "--history")), &history); err != nil {
		t.Fatal(err)
	}
	if history.Pool != "api" || len(history.Rings) < 2 || !slices.Equal(history.Rings[0].Left, []string{"api/a3"}) {
		t.Errorf("%+v", history)
	}
	if out := c.ctl("ring", "--history"); strings.Contains(out, "api/") {
		t.Errorf("the main pool's history is\n%s", out)
	}
	if out := c.ctl("ring", "--pool", "api", "--at", now); !strings.Contains(out, "\napi/a3 ") {
		t.Errorf("the pool's ring was\n%s", out)
	}
	c.wait("the rings on disk", func() bool {
		return runProgram(t.Context(), t, "explain", "-c", c.config, "--path", "/api/", "--at", now, "t0").code == exitOK
	})
	for i, want := range on {
		token := fmt.Sprintf("t%d", i)
		asked := c.ctl("--format", "json", "explain", "--pool", "api", "--at", now, token)
		read := runProgram(t.Context(), t, "explain", "-c", c.config, "--format", "json", "--path", "/api/", "--at", now, token)
		for _, out := range []string{asked, read.out} {
			if !strings.Contains(out, fmt.Sprintf(`"host":"api/%s"`, want)) {
				t.Errorf("token %d was on %s: %s%s", i, want, out, read.errOut)
			}
		}
	}
	if c.metric(`lb_pool_ring_changes_total{pool="api"}`) < 2 || c.metric(`lb_pool_ring_frozen{pool="api"}`) != 0 || c.metric(`lb_pool_ring_version{pool="api"}`) < 2 {
		t.Error("the metrics of the pool's ring aren't those of its rings")
	}
}

// TestAReloadSaysWhatMovesInEachPool, and wants a yes for more than admin.confirm_share of one.
func TestAReloadSaysWhatMovesInEachPool(t *testing.T) {
	t.Parallel()
	c := withPool(t)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	host := regexp.MustCompile(`\{name: a[12], [^}]*\}, `).FindAllString(string(text), -1)
	c.edit(host[0], "")
	c.edit(host[1], "")
	if out, err := c.tryCtl("reload"); err == nil || !regexp.MustCompile(`it moves [5-7]\d\.\d % of the tokens of the pool api, more than admin.confirm_share`).MatchString(out) {
		t.Errorf("without two hosts of three: %v, %s", err, out)
	}
	c.edit("hosts: [{name: a3", "hosts: ["+host[1]+"{name: a3")
	if out := c.ctl("reload"); !regexp.MustCompile(`\b[234]\d(\.\d+)? ?% of the tokens of the pool api move; 0 of 0 terminals`).MatchString(out) {
		t.Errorf("without a host of three: %s", out)
	}
}

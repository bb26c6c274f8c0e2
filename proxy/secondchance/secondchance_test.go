package secondchance

import (
	"fmt"
	"testing"
	"time"

	"tokenring/http1"
	"tokenring/session"
)

func newChances(c Config) *Chances { return New(&c, session.New(), 0) }

func fields(names ...string) (all []http1.Field) {
	for _, name := range names {
		all = append(all, http1.Field{Name: []byte(name), Value: []byte("1")})
	}
	return all
}

func TestOnlyAMarked421GivesAway(t *testing.T) {
	for _, row := range []struct {
		status int
		names  []string
		gives  bool
		hidden int // the index of the field that the client doesn't get, -1 for none
	}{
		{421, []string{"Server", "X-Lb-Second-Chance"}, true, 1},
		{421, []string{"x-lb-second-chance"}, true, 0},
		{421, []string{"X-Lb-Second-Chances"}, false, -1},
		{421, nil, false, -1},
		{404, []string{"X-Lb-Second-Chance"}, false, 0},
		{101, []string{"X-Lb-Second-Chance"}, false, 0},
	} {
		resp := http1.Response{Status: row.status, Fields: fields(row.names...)}
		if got, fenced := newChances(Config{}).GivesAway(&resp); got != row.gives || fenced {
			t.Errorf("%d %v: gives away: %t", row.status, row.names, got)
		}
		for i := range resp.Fields {
			if resp.Fields[i].Hop != (i == row.hidden) {
				t.Errorf("%d %v: %s is hidden: %t", row.status, row.names, resp.Fields[i].Name, resp.Fields[i].Hop)
			}
		}
		var none *Chances
		if gives, _ := none.GivesAway(&resp); gives || none.Takers() != nil {
			t.Error("nil Chances give away")
		}
	}
}

func TestAFencedHostSaysSo(t *testing.T) {
	for _, row := range []struct {
		value         string
		only          bool // Config.FencedOnly
		gives, fenced bool
	}{
		{"fenced", false, true, true},
		{"fenced", true, true, true},
		{"1", false, true, false},
		{"1", true, false, false},
	} {
		resp := http1.Response{Status: 421, Fields: []http1.Field{{Name: []byte("x-lb-second-chance"), Value: []byte(row.value)}}}
		if gives, fenced := newChances(Config{FencedOnly: row.only}).GivesAway(&resp); gives != row.gives || fenced != row.fenced {
			t.Errorf("%q, only fenced ones: %t: gives away %t, fenced %t", row.value, row.only, gives, fenced)
		}
	}
}

func TestEachHostHasABudgetForASecond(t *testing.T) {
	now := time.Now()
	c := newChances(Config{PerHost: 3})
	count := func(host string) (n int) {
		for range 10 {
			if c.Allow(host, now) {
				n++
			}
		}
		return n
	}
	if a, b := count("a"), count("b"); a != 3 || b != 3 {
		t.Errorf("a gave %d away and b %d, want 3 each", a, b)
	}
	now = now.Add(time.Second / 2)
	if n := count("a"); n != 1 {
		t.Errorf("after half a second it gave %d away", n)
	}
	now = now.Add(time.Minute)
	if n := count("a"); n != 3 {
		t.Errorf("after a minute it gave %d away", n)
	}
}

func TestBudgetsOfManyHostsAreForgotten(t *testing.T) {
	now := time.Now()
	c := newChances(Config{PerHost: 1})
	for i := range manyHosts {
		c.Allow(fmt.Sprint(i), now)
	}
	now = now.Add(time.Minute)
	c.Allow("0", now)
	c.Allow("new", now)
	if n := len(c.budgets); n != 2 || c.Allow("0", now) {
		t.Errorf("%d budgets are left, and that of a host that has just given away is whole", n)
	}
}

func TestDefaults(t *testing.T) {
	if got := (Config{Tries: 2}).WithDefaults(); got != (Config{Header: "X-Lb-Second-Chance", PerHost: 10, Tries: 2}) {
		t.Errorf("got %+v", got)
	}
}

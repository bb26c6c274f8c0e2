package edge

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// startRegion starts balancers that know each other's sessions, each with a ring of its own.
func startRegion(t *testing.T, names ...string) (all []*member) {
	t.Helper()
	hosts := regionHosts(t, "a", "b")
	for _, name := range names {
		all = append(all, startMemberWith(t, fmt.Sprintf("hash: {seed: a-seed-of-its-own-for-%s}", name), name, hosts, all[:min(len(all), 1)]...))
	}
	for _, m := range all {
		m.hears(len(names) - 1)
	}
	return all
}

// TestNewTokensGoToOneHostThroughTwoBalancers at the same moment, though each balancer has
// another ring. A round doesn't count in which the machine was so busy that a peer didn't
// answer in time.
func TestNewTokensGoToOneHostThroughTwoBalancers(t *testing.T) {
	t.Parallel()
	all := startRegion(t, "lb-1", "lb-2", "lb-3")
	for round := range 10 {
		before := disturbances(all)
		split := useTwice(all, round)
		if disturbances(all) != before {
			continue
		}
		if len(split) > 0 {
			t.Errorf("%d tokens were on two hosts, such as %s", len(split), split[0])
		}
		return
	}
	t.Skip("the machine is too busy")
}

// useTwice uses 200 new tokens through two balancers each, at the same moment, and returns
// those that got two hosts.
func useTwice(all []*member, round int) (split []string) {
	const many = 200
	var got [many][2]string
	var using sync.WaitGroup
	differ := 0
	for i := range many {
		token := fmt.Sprintf("user-%d-%d", round, i)
		for n := range 2 {
			using.Go(func() { got[i][n] = all[(i+n)%3].page(token) })
		}
		if i%20 == 19 {
			using.Wait()
		}
		if all[i%3].owner(token) != all[(i+1)%3].owner(token) {
			differ++
		}
	}
	for i, hosts := range got {
		if hosts[0] != hosts[1] {
			split = append(split, fmt.Sprintf("user-%d-%d: %v", round, i, hosts))
		}
	}
	if differ < many/5 {
		all[0].t.Errorf("the rings differ for %d of %d tokens only, so nothing was shown", differ, many)
	}
	return split
}

// disturbances returns what has kept balancers from asking each other until now.
func disturbances(all []*member) (text string) {
	for _, m := range all {
		text += fmt.Sprint(m.claimed()["late"], " ")
		for _, s := range m.streamStatus() {
			text += fmt.Sprint(s.Up, s.Heard, s.Since, " ")
		}
		for _, h := range m.pool.Snapshot().Hosts {
			text += fmt.Sprint(h.Verdict, " ")
		}
	}
	return text
}

// owner returns the host that the ring of m has for a token.
func (m *member) owner(token string) string {
	s := m.pool.Snapshot()
	c, _ := s.Choose(s.Key([]byte(token)), nil)
	return c.Host.Name
}

// TestAPeerCanBeAskedAgainSoonAfterItsStreamBroke, and claims wait for that.
func TestAPeerCanBeAskedAgainSoonAfterItsStreamBroke(t *testing.T) {
	t.Parallel()
	all := startRegion(t, "lb-1", "lb-2")
	names, until := claimPeers{all[0].Edge}.Open()
	if !slices.Equal(names, []string{"lb-2"}) || !until.IsZero() {
		t.Errorf("it can ask %v, and waits until %v", names, until)
	}
	peers := all[0].pool.Snapshot().Peers
	all[0].streams.SetPeers(nil)
	all[0].usePeers(peers)
	names, until = claimPeers{all[0].Edge}.Open()
	if len(names) == 0 && !until.After(time.Now()) {
		t.Errorf("a peer that was connected to a moment ago isn't awaited: until %v", until)
	}
	all[0].hears(1)
}

// claimed returns how many claims had which result.
func (m *member) claimed() map[string]float64 {
	m.t.Helper()
	families, err := m.metrics.Gather()
	if err != nil {
		m.t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "lb_claims_total" {
			for _, one := range f.GetMetric() {
				counted[one.GetLabel()[0].GetValue()] = one.GetCounter().GetValue()
			}
		}
	}
	return counted
}

package route

import (
	"strings"
	"testing"

	"tokenring/balancer"
)

// spreadOver returns a snapshot of hosts a, b and so on, of such weights, that serve.
func spreadOver(policy string, weights ...int) *Snapshot {
	var hosts []*Host
	for i, weight := range weights {
		h := &Host{Spec: Spec{Name: string(rune('a' + i)), Weight: weight}, Gauges: new(Gauges)}
		h.InRing, h.Verdict = true, Up
		hosts = append(hosts, h)
	}
	s := NewSnapshot(nil, hosts)
	s.SpreadBy(policy)
	return s
}

// next returns the names of the next n choices.
func (s *Snapshot) next(n int, avoid *Host) string {
	var names strings.Builder
	for range n {
		c, ok := s.Choose(Key{}, avoid)
		if !ok {
			return "none"
		}
		names.WriteString(c.Host.Name)
	}
	return names.String()
}

func TestHostsOfOneWeightServeInTurn(t *testing.T) {
	if got := spreadOver(balancer.PolicyRoundRobin, 2, 2, 2).next(6, nil); got != "abcabc" {
		t.Errorf("got %s", got)
	}
}

// TestHostsServeAsOftenAsTheirWeightsSay: in any run, not only in the long one.
func TestHostsServeAsOftenAsTheirWeightsSay(t *testing.T) {
	s := spreadOver(balancer.PolicyRoundRobin, 1, 3, 6)
	for run := range 20 {
		got := s.next(100, nil)
		for name, want := range map[string]int{"a": 10, "b": 30, "c": 60} {
			if n := strings.Count(got, name); n < want-3 || n > want+3 {
				t.Errorf("run %d: %s has %d of 100, want %d", run, name, n, want)
			}
		}
	}
}

func TestAHostThatHasFailedIsAvoided(t *testing.T) {
	for _, policy := range []string{balancer.PolicyRoundRobin, balancer.PolicyLeastConnections} {
		for _, weight := range []int{1, 5} {
			s := spreadOver(policy, weight, 1)
			if got := s.next(20, s.Hosts[0]); got != strings.Repeat("b", 20) {
				t.Errorf("%s, %d: got %s", policy, weight, got)
			}
			alone := spreadOver(policy, weight)
			if got := alone.next(1, alone.Hosts[0]); got != "none" {
				t.Errorf("%s, %d: got %s", policy, weight, got)
			}
		}
		if got := spreadOver(policy).next(1, nil); got != "none" {
			t.Errorf("%s without hosts: got %s", policy, got)
		}
	}
}

func TestTheHostWithTheLeastForItsWeightServes(t *testing.T) {
	s := spreadOver(balancer.PolicyLeastConnections, 1, 2, 1)
	for _, step := range []struct {
		sessions, inFlight [3]int64
		want               string
	}{
		{[3]int64{0, 0, 0}, [3]int64{0, 0, 0}, "bb"}, // 1, 1/2, 1
		{[3]int64{0, 2, 1}, [3]int64{0, 0, 0}, "aa"}, // 1, 3/2, 2
		{[3]int64{9, 9, 0}, [3]int64{0, 0, 3}, "cc"}, // 10, 5, 4
		{[3]int64{9, 7, 0}, [3]int64{0, 1, 9}, "bb"}, // 10, 9/2, 10
	} {
		for i, h := range s.Hosts {
			h.Gauges.Sessions.Store(step.sessions[i])
			h.Gauges.InFlight.Store(step.inFlight[i])
		}
		if got := s.next(2, nil); got != step.want {
			t.Errorf("%v: got %s", step, got)
		}
	}
	if got := spreadOver(balancer.PolicyLeastConnections, 1, 1, 1).next(6, nil); got != "abcabc" {
		t.Errorf("equals: got %s", got)
	}
}

func TestAHostInSlowStartGetsItsPartOfItsWeight(t *testing.T) {
	s := spreadOver(balancer.PolicyRoundRobin, 4, 4)
	s.Hosts[0].SlowStart.Taken = 0.25
	s.SpreadBy(balancer.PolicyRoundRobin)
	if n := strings.Count(s.next(1000, nil), "a"); n < 190 || n > 210 {
		t.Errorf("got %d of 1000, want 200", n)
	}
}

func TestSpreadingCostsNoAllocation(t *testing.T) {
	for _, policy := range []string{balancer.PolicyRoundRobin, balancer.PolicyLeastConnections} {
		s := spreadOver(policy, 1, 2, 3)
		if n := testing.AllocsPerRun(100, func() { s.Choose(Key{}, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", policy, n)
		}
	}
}

package route

import (
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// TestExplanationSaysWhatChooseDoes compares the two for each set of hosts, in each
// condition in which a host can't serve.
func TestExplanationSaysWhatChooseDoes(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	conditions := map[string]func(*Host){
		"down":      func(h *Host) { h.Verdict, h.CheckError = Down, "refused" },
		"unchecked": func(h *Host) { h.Verdict = Unchecked },
		"drain":     func(h *Host) { h.State, h.InRing, h.WhyNot = Drain, false, WhyDrain },
		"maint":     func(h *Host) { h.State, h.InRing, h.WhyNot = Maint, false, WhyMaint },
		"leaving":   func(h *Host) { h.Leaving, h.InRing, h.WhyNot = true, false, WhyLeaving },
		"frozen":    func(h *Host) { h.InRing, h.WhyNot = false, WhyFrozen },
	}
	for condition, apply := range conditions {
		for set := range 1 << len(names) {
			s := testSnapshot(t, names, func(hosts map[string]*Host) {
				for i, name := range names {
					if set>>i&1 == 1 {
						apply(hosts[name])
					}
				}
			})
			for _, frozen := range []bool{false, true} {
				s.Frozen = frozen
				for _, owner := range names {
					compareWithChoose(t, s, keyOf(t, s, owner), condition)
				}
			}
		}
	}
}

// compareWithChoose fails the test unless Explain and Choose name the same host and
// rule, and each other host has a reason.
func compareWithChoose(t *testing.T, s *Snapshot, key []byte, condition string) {
	t.Helper()
	e := s.Explain(s.Key(key), Stay{}, Placement{}, time.Now())
	want, ok := s.Choose(s.Key(key), nil)
	if !ok {
		want.Host = nil
	}
	if e.Choice != want || e.Reason == "" {
		t.Errorf("%s: got %+v, Choose says %+v", condition, e, want)
	}
	if len(e.Candidates) != len(s.Hosts) {
		t.Errorf("%s: %d candidates of %d hosts", condition, len(e.Candidates), len(s.Hosts))
	}
	for _, c := range e.Candidates {
		if c.Chosen != (want.Host != nil && c.Name == want.Host.Name) || c.Chosen != (c.WhyNot == "") {
			t.Errorf("%s: candidate %+v, chosen is %+v", condition, c, want.Host)
		}
	}
}

func TestExplainGivesEachReason(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(*Host) // of the owner, a
		frozen  bool
		session string
		rule    balancer.Rule
		reason  string // part of it
		whyNot  string // the owner's; "" if it is chosen
	}{
		{"it serves", nil, false, "", balancer.RuleOwner, "a owns slot", ""},
		{"its checks fail", func(h *Host) { h.Verdict, h.CheckError = Down, "refused" }, false, "", balancer.RuleFallback, "can't serve: its checks fail: refused", "its checks fail: refused"},
		{"its checks fail without an error", func(h *Host) { h.Verdict = Down }, false, "", balancer.RuleFallback, "its checks fail.", "its checks fail"},
		{"it has moved", func(h *Host) { h.Verdict = Unchecked }, false, "", balancer.RuleFallback, "since its address changed", "not checked since its address changed"},
		{"it drains", func(h *Host) { h.InRing, h.WhyNot, h.State = false, WhyDrain, Drain }, false, "", balancer.RuleFallback, "draining", WhyDrain},
		{"it drains, with the session", func(h *Host) { h.InRing, h.WhyNot, h.State = false, WhyDrain, Drain }, false, "a", RuleSession, "a has a live session", ""},
		{"the session is elsewhere", nil, false, "b", RuleSession, "Without it, a would own", "the live session is on b"},
		{"the session is on a host that has gone", nil, false, "z", balancer.RuleOwner, "live session on z, but can't stay there: no longer known", ""},
		{"the session is on it, but it is down", func(h *Host) { h.Verdict = Down }, false, "a", balancer.RuleFallback, "live session on a, but can't stay there: its checks fail", "its checks fail"},
		{"the session is on it, but it is down while it drains", func(h *Host) { h.InRing, h.WhyNot, h.State, h.Verdict = false, WhyDrain, Drain, Down }, false, "a", balancer.RuleFallback, "live session on a, but can't stay there: its checks fail", WhyDrain},
		{"the session is on it, but it is in maintenance", func(h *Host) { h.InRing, h.WhyNot, h.State = false, WhyMaint, Maint }, false, "a", balancer.RuleFallback, "live session on a, but can't stay there: in maintenance", WhyMaint},
		{"it vanished with others", func(h *Host) { h.Verdict = Down }, true, "", RuleFrozen, "among the hosts that vanished", "its checks fail"},
	} {
		s := testSnapshot(t, []string{"a", "b", "c"}, func(hosts map[string]*Host) {
			if row.change != nil {
				row.change(hosts["a"])
			}
		})
		s.Frozen = row.frozen
		e := s.Explain(s.Key(keyOf(t, s, "a")), Stay{Host: row.session, Rule: RuleSession}, Placement{}, time.Now())
		if e.Rule != row.rule || !strings.Contains(e.Reason, row.reason) || e.Owner != "a" {
			t.Errorf("%s: got %s, owner %s, %q; want %s, %q", row.name, e.Rule, e.Owner, e.Reason, row.rule, row.reason)
		}
		if got := e.Candidates[0]; got.Name != "a" || got.WhyNot != row.whyNot {
			t.Errorf("%s: the owner is %+v, want the reason %q", row.name, got, row.whyNot)
		}
	}
}

func TestExplanationHasHostsThatAreNotInTheTable(t *testing.T) {
	whole := testSnapshot(t, []string{"a", "b"}, nil)
	fresh := &Host{Spec: Spec{Name: "c"}, AdminState: AdminState{State: Ready}, Health: Health{Verdict: Up}, Standing: Standing{InRing: true}, Gauges: new(Gauges)}
	s := NewSnapshot(whole.Table, []*Host{whole.Host("b"), fresh}) // a is forgotten, c just in
	e := s.Explain(s.Key(keyOf(t, whole, "a")), Stay{}, Placement{}, time.Now())
	if len(e.Candidates) != 3 || e.Host.Name != "b" {
		t.Fatalf("got %+v", e)
	}
	if c := e.Candidates[0]; c.Name != "a" || c.Host != nil || c.WhyNot != "no longer known" {
		t.Errorf("the forgotten owner: %+v", c)
	}
	if c := e.Candidates[2]; c.Name != "c" || c.Role != RoleOutside || !strings.Contains(c.WhyNot, "next one is being built") {
		t.Errorf("the host that the table doesn't hold yet: %+v", c)
	}
}

func TestExplanationWithoutHostsSaysThatNoneAreKnown(t *testing.T) {
	e := NewSnapshot(nil, nil).Explain(NewSnapshot(nil, nil).Key([]byte("alice")), Stay{}, Placement{}, time.Now())
	if e.Rule != balancer.RuleNone || e.Slot != -1 || e.Host != nil || e.Owner != "" || !strings.Contains(e.Reason, "No hosts are known") {
		t.Errorf("got %+v", e)
	}
}

// TestExplanationBeforeTheFirstTableSaysThatItIsMissing has hosts that serve and no ring.
func TestExplanationBeforeTheFirstTableSaysThatItIsMissing(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b"}, nil)
	first := NewSnapshot(nil, s.Hosts)
	first.Rebuilding = true
	e := first.Explain(first.Key([]byte("alice")), Stay{}, Placement{}, time.Now())
	if e.Host != nil || !strings.Contains(e.Reason, "until the next ring is built") {
		t.Errorf("got %+v", e)
	}
	for _, c := range e.Candidates {
		if !strings.Contains(c.WhyNot, "next one is being built") {
			t.Errorf("got %+v", c)
		}
	}
}

func TestExplanationSaysWhichHostIsFull(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1, 1)
	now := time.Now()
	key := keyOf(t, s, "ide-1")
	next := s.Table.Hosts()[s.Table.Candidates(key)[1]].Name
	full := func(h map[string]*Host) { h["ide-1"].Gauges.Sessions.Store(7); h["ide-1"].Gauges.Reserve(now) } // the bound is 3.75
	down := func(h map[string]*Host) { h["ide-1"].Verdict, h["ide-1"].CheckError = Down, "refused" }
	for _, tt := range []struct {
		name    string
		change  func(map[string]*Host)
		session string
		before  Placement
		rule    balancer.Rule
		reason  string // part of it
		whyNot  string // the owner's
	}{
		{"it is full", full, "", Placement{}, RuleOverflow, "but is full: 7 terminals and 1 expected, the bound is 4. " + next + " is the first", "full: 7 terminals and 1 expected, the bound is 4"},
		{"the session is elsewhere", full, next, Placement{}, RuleSession, "has a live session", "the live session is on " + next},
		{"it is full, and has the token", full, "", Placement{Host: "ide-1"}, balancer.RuleOwner, "ide-1 owns", ""},
		{"it was full", func(map[string]*Host) {}, "", Placement{Host: next, Away: true}, RulePlaced, next + ", which got it because the host that the ring has for it was full", "the token has been sent to " + next + " before, and stays"},
		{"it is down, and the next one is full", func(h map[string]*Host) { down(h); h[next].Gauges.Sessions.Store(7) }, "", Placement{}, RuleOverflow, "can't serve: its checks fail: refused. ", "its checks fail: refused"},
	} {
		e := s.again(func(h map[string]*Host) {
			for _, host := range h {
				host.Gauges = new(Gauges)
			}
			tt.change(h)
		}).Explain(s.Key(key), Stay{Host: tt.session, Rule: RuleSession}, tt.before, now)
		if e.Rule != tt.rule || !strings.Contains(e.Reason, tt.reason) || e.Candidates[0].WhyNot != tt.whyNot {
			t.Errorf("%s: got %s, %q, the owner %q; want %s, %q, %q", tt.name, e.Rule, e.Reason, e.Candidates[0].WhyNot, tt.rule, tt.reason, tt.whyNot)
		}
	}
	frozen := s.again(func(h map[string]*Host) { h["ide-2"].Verdict, h["ide-3"].Verdict = Down, Down })
	frozen.Frozen = true
	if e := frozen.Explain(frozen.Key(key), Stay{}, Placement{Host: next, Away: true}, now); e.Rule != RuleFrozen || e.Host != nil || !strings.Contains(e.Reason, next+", to which this token was sent") {
		t.Errorf("frozen: got %+v", e)
	}
	drained := s.again(func(h map[string]*Host) {
		h["ide-1"].Verdict = Down
		h[next].State, h[next].InRing, h[next].WhyNot = Drain, false, WhyDrain
	})
	drained.Frozen = true
	if e := drained.Explain(drained.Key(key), Stay{}, Placement{Host: next, Away: true}, now); e.Rule != RuleFrozen || !strings.Contains(e.Reason, "ide-1, which owns ") {
		t.Errorf("frozen, and it was sent to a host that drains: got %+v", e)
	}
}

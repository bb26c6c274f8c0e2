package route

import (
	"testing"
	"time"

	"tokenring/balancer"
)

func TestViewsSayWhoHasAHostUpAndWhoDown(t *testing.T) {
	for _, row := range []struct {
		views Views
		here  Verdict
		want  string
	}{
		{Views{}, Up, "up here"},
		{Views{}, Down, "down here"},
		{Views{}, Unchecked, ""},
		{Views{Up: "lb-2, lb-3"}, Down, "down here, up at lb-2, lb-3"},
		{Views{Up: "lb-2"}, Up, "up here, at lb-2"},
		{Views{Down: "lb-2, lb-3"}, Up, "down at lb-2, lb-3, up here"},
		{Views{Up: "lb-3", Down: "lb-2"}, Down, "down here, at lb-2, up at lb-3"},
		{Views{Up: "lb-3", Down: "lb-2"}, Unchecked, "down at lb-2, up at lb-3"},
	} {
		if got := row.views.Text(row.here); got != row.want {
			t.Errorf("%+v, %s here: got %q, want %q", row.views, row.here, got, row.want)
		}
	}
}

// heldSnapshot returns a snapshot of two hosts, of which a is held, and a key of a.
func heldSnapshot(t *testing.T, change func(a *Host)) (*Snapshot, Key) {
	t.Helper()
	builder, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := builder.Build([]balancer.Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	a := &Host{Spec: Spec{Name: "a"}, Health: Health{Verdict: Down, Held: true, Own: Down, CheckError: "timeout after 1s", Views: Views{Up: "lb-2"}}, Standing: Standing{InRing: true}, AdminState: AdminState{State: Ready}, Gauges: new(Gauges)}
	b := &Host{Spec: Spec{Name: "b"}, Health: Health{Verdict: Up}, Standing: Standing{InRing: true}, AdminState: AdminState{State: Ready}, Gauges: new(Gauges)}
	if change != nil {
		change(a)
	}
	s := NewSnapshot(table, []*Host{a, b})
	for i := range 1000 {
		key := s.Key([]byte{byte(i), byte(i >> 8)})
		if i, _ := table.PickHash(key.hash, []bool{true, true}, -1); i == 0 {
			return s, key
		}
	}
	t.Fatal("a has no key")
	return nil, Key{}
}

func TestTheKeysOfAHostThatIsHeldGetNoOtherHost(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		for _, bound := range []float64{0, 1.25} {
			s, key := heldSnapshot(t, nil)
			s.Frozen, s.BoundedLoad = frozen, bound
			if c, ok := s.Place(key, Placement{}, nil, time.Time{}); ok || c.Rule != RuleUnreachable && !frozen || c.Host == nil || c.Host.Name != "a" {
				t.Errorf("frozen %v, bound %v: got %+v, %v", frozen, bound, c, ok)
			}
			if c, ok := s.Place(Key{}, Placement{}, nil, time.Time{}); !ok || c.Host.Name != "b" {
				t.Errorf("frozen %v, bound %v: without a key, got %+v, %v", frozen, bound, c, ok)
			}
		}
	}
	s, key := heldSnapshot(t, func(a *Host) { a.InRing, a.State = false, Drain })
	if c, ok := s.Choose(key, nil); !ok || c.Host.Name != "b" {
		t.Errorf("drained: got %+v, %v", c, ok)
	}
	s, _ = heldSnapshot(t, nil)
	s.BoundedLoad = 1.25
	for i := range 200 { // a key that is away on a, because b was full
		key := s.Key([]byte{byte(i)})
		if c, ok := s.Place(key, Placement{Away: true, Host: "a"}, nil, time.Time{}); ok || c.Rule != RuleUnreachable {
			t.Errorf("away: got %+v, %v", c, ok)
		}
	}
}

func TestSessionsStayOnAHostThatIsHeld(t *testing.T) {
	for _, row := range []struct {
		h    Host
		want bool
	}{
		{Host{Health: Health{Verdict: Down, Held: true}}, true},
		{Host{Health: Health{Verdict: Down}}, false},
		{Host{Health: Health{Verdict: Down, Held: true}, AdminState: AdminState{State: Maint}}, false},
	} {
		if got := row.h.KeepsSessions(); got != row.want {
			t.Errorf("%+v: got %v", row.h, got)
		}
	}
}

func TestExplainSaysThatKeysWaitForAGate(t *testing.T) {
	s, key := heldSnapshot(t, func(a *Host) { a.AwaitsGate, a.Views = true, Views{Up: "lb-2", Down: "lb-3"} })
	e := s.Explain(key, Stay{}, Placement{}, time.Time{})
	const want = "a has this token, and most balancers say that it is down (down here, at lb-3, up at lb-2). " +
		"Its gate closes its terminals, and until that is certain no other host gets the token; requests are answered with 503."
	if e.Host != nil || e.Rule != RuleUnreachable || e.Reason != want {
		t.Errorf("got %+v, %s", e.Choice, e.Reason)
	}
}

func TestExplainSaysWhyAHostThatIsHeldServesNoKey(t *testing.T) {
	s, key := heldSnapshot(t, nil)
	e := s.Explain(key, Stay{}, Placement{}, time.Time{})
	const want = "a has this token, and can't be reached from here (timeout after 1s), but balancers don't agree that it is down (down here, up at lb-2). " +
		"No other host gets the token meanwhile; requests are answered with 503."
	if e.Host != nil || e.Rule != RuleUnreachable || e.Reason != want {
		t.Errorf("got %+v, %s", e.Choice, e.Reason)
	}
	for _, c := range e.Candidates {
		if c.Chosen || c.WhyNot == "" {
			t.Errorf("got the candidate %+v", c)
		}
	}
}

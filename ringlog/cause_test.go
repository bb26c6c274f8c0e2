package ringlog

import (
	"strings"
	"testing"

	"tokenring/route"
)

// TestCausesAreWordsOfOperators changes hosts, and reads why the log says that the ring
// changed. A row without built leaves the table as it is.
func TestCausesAreWordsOfOperators(t *testing.T) {
	out := func(why string) func(*route.Host) {
		return func(h *route.Host) { h.InRing, h.WhyNot = false, why }
	}
	in := func(h *route.Host) {
		h.InRing, h.WhyNot, h.State, h.StateOverride = true, "", route.Ready, route.Attribution{}
	}
	for _, row := range []struct {
		name   string
		before func(*route.Host) // of b, in the table before
		change func(*route.Host)
		built  bool
		want   string
	}{
		{"drain", nil, drained, true, "b drained by eva (kernel)"},
		{"drain, before the table", nil, drained, false, "b drained by eva (kernel)"},
		{"maintenance without a reason", nil, func(h *route.Host) {
			h.State, h.InRing, h.WhyNot, h.StateOverride = route.Maint, false, route.WhyMaint, route.Attribution{By: "kim"}
		}, true, "b put in maintenance by kim"},
		{"ready", drained, func(h *route.Host) { in(h); h.StateOverride.By = "eva" }, true, "b made ready by eva"},
		{"checks fail", nil, down, false, "b down: refused"},
		{"checks pass", down, up, false, "b up"},
		{"lost", nil, func(h *route.Host) { down(h); out(route.WhyLost)(h) }, true, "b lost: refused"},
		{"back after a loss", out(route.WhyLost), in, true, "b came back: before lost by gossip and checks"},
		{"leaves", nil, out(route.WhyLeaving), true, "b left"},
		{"joins", out(route.WhyUnchecked), in, true, "b joined"},
		{"no weight", nil, func(h *route.Host) { h.Weight = 0; out(route.WhyWeight)(h) }, true, "b out of the ring: weight 0"},
		{"its own weight", nil, func(h *route.Host) { h.Weight = 3 }, true, "b has the weight 3 of its own"},
		{"an operator's weight", nil, func(h *route.Host) {
			h.Weight, h.WeightOverride = 3, route.Attribution{By: "eva", Reason: "memory"}
		}, true, "b got the weight 3 by eva (memory)"},
		{"moves", nil, func(h *route.Host) { h.Moving, h.Verdict = true, route.Unchecked }, false, "b unchecked"},
		{"an error of a terminal's bytes", nil, func(h *route.Host) { down(h); h.CheckError = "a\x1b[2J\nb" }, false, "b down: a [2J b"},
	} {
		r := newRegion(t, policies["rendezvous"]).with("a", "b", "c")
		if row.before != nil {
			r.change("b", row.before)
		}
		r.built()
		r.records()
		r.change("b", row.change)
		if row.built {
			r.built()
		}
		if !r.records() {
			t.Errorf("%s: nothing was recorded", row.name)
			continue
		}
		if v := r.view(r.now); row.built && v.Ring.Cause != row.want || !row.built && v.Change.Cause != row.want {
			t.Errorf("%s: got %q, and then %q; want %q", row.name, v.Ring.Cause, v.Change.Cause, row.want)
		}
	}
}

func TestACauseNamesAllThatMattersOnce(t *testing.T) {
	r := newRegion(t, policies["rendezvous"]).with("a", "b", "c", "d", "e", "f", "g")
	r.built()
	r.records()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		r.change(name, down)
	}
	r.frozen = true
	r.records()
	if got := r.view(r.now).Change.Cause; got != "the ring froze; a, b, c, d and 1 more down: refused" {
		t.Errorf("got %q", got)
	}
	r.frozen = false
	r.starts["f"] = SlowStart{Since: r.now}
	r.records()
	if got := r.view(r.now).Change.Cause; got != "the ring thawed; f begins its slow start" {
		t.Errorf("got %q", got)
	}
	r.hosts = r.hosts[:6]
	r.built()
	r.records()
	if got := r.view(r.now).Ring; got.Cause != "g removed" || len(got.Left) != 1 || got.Hosts != 6 {
		t.Errorf("got %+v", got)
	}
}

// TestAnErrorThatChangesWhileAHostIsDownIsNoChange: it may be another one with each check.
func TestAnErrorThatChangesWhileAHostIsDownIsNoChange(t *testing.T) {
	r := newRegion(t, policies["rendezvous"]).with("a", "b")
	r.built()
	r.records()
	r.change("b", down)
	r.records()
	r.change("b", func(h *route.Host) { h.CheckError = "timeout" })
	if r.records() {
		t.Errorf("recorded: %q", r.view(r.now).Change.Cause)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	if got := cut(strings.Repeat("ä", maxError), maxError); len(got) > maxError || !strings.HasSuffix(got, "ä…") {
		t.Errorf("got %q", got)
	}
}

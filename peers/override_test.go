package peers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// at returns a moment that many milliseconds into the tests' time.
func at(ms int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func override(host string, state route.State, ms int) Override {
	return Override{Override: route.Override{Host: host, State: state, Reason: "because", By: "ops"}, At: at(ms), Origin: "lb-1"}
}

func weighing(host string, weight, ms int) Override {
	o := override(host, "", ms)
	o.Weight = &weight
	return o
}

// must returns the registers of overrides.
func must(t testing.TB, all ...Override) (registers []Register) {
	t.Helper()
	for _, o := range all {
		of, err := o.Registers()
		if err != nil {
			t.Fatal(err)
		}
		registers = append(registers, of...)
	}
	return registers
}

// merge takes registers into s, at a time at which no tombstone has expired, and reports
// whether any of them was news.
func merge(s *Set, registers ...Register) (news bool) {
	for _, r := range registers {
		news = s.Merge(r, at(0)) || news
	}
	return news
}

func merged(lists ...[]Register) *Set {
	s := NewSet(nil)
	for _, list := range lists {
		merge(s, list...)
	}
	return s
}

// text returns what a Set holds, in one form for one content.
func text(s *Set) string { return string(EncodeMessage(s.All()...)) }

// someOverrides returns overrides of few hosts at few moments, so that they often
// clash.
func someOverrides(t testing.TB, r *rand.Rand) []Register {
	var all []Override
	for range r.IntN(8) {
		o := Override{
			Override: route.Override{Host: fmt.Sprintf("ide-%d", r.IntN(3)), Reason: []string{"", "x"}[r.IntN(2)]},
			Epoch:    uint32(r.IntN(4) / 3),
			At:       at(r.IntN(3)),
			Origin:   []string{"lb-1", "lb-2"}[r.IntN(2)],
			Unknown:  []string{"", `{"rate":1}`, `{"rate":2}`}[r.IntN(3)],
		}
		about := r.IntN(3)
		if about != 1 {
			o.State = []route.State{route.Ready, route.Drain, route.Maint}[r.IntN(3)]
		}
		if about != 0 {
			o.Weight = new([]int{route.OwnWeight, 0, 1, 256}[r.IntN(4)])
		}
		all = append(all, o)
	}
	return must(t, all...)
}

func TestLastOverrideWins(t *testing.T) {
	s := NewSet(nil)
	if !merge(s, must(t, override("a", route.Maint, 5))...) {
		t.Error("the first override changed nothing")
	}
	if merge(s, must(t, override("a", route.Ready, 4))...) {
		t.Error("an older override changed something")
	}
	if merge(s, must(t, override("a", route.Maint, 5))...) {
		t.Error("the same override changed something")
	}
	if !merge(s, must(t, override("a", route.Drain, 6))...) || s.State("a").State != route.Drain {
		t.Errorf("a later override was ignored: %s", text(s))
	}
}

func TestAnOverrideOfTheStateLeavesTheWeightAsItIs(t *testing.T) {
	both := weighing("a", 5, 1)
	both.State = route.Drain
	s := merged(must(t, both, override("a", route.Ready, 3), weighing("a", 7, 2)))
	if got := s.State("a"); got.State != route.Ready || got.Weight != nil || !got.At.Equal(at(3)) {
		t.Errorf("state: got %+v, want ready", got)
	}
	if got, ok := s.Weight("a"); !ok || *got.Weight != 7 || got.State != "" || !got.At.Equal(at(2)) {
		t.Errorf("weight: got %+v, want 7", got)
	}
	if merge(s, must(t, weighing("a", 9, 1))...) {
		t.Error("an older weight changed something")
	}
	if !merge(s, must(t, weighing("a", route.OwnWeight, 4))...) {
		t.Error("a later weight was ignored")
	}
	if got, ok := s.Weight("a"); ok {
		t.Errorf("the host's own weight: got %+v", got)
	}
	if !merge(s, must(t, weighing("a", 0, 5))...) {
		t.Error("weight 0 was ignored")
	}
	if got, ok := s.Weight("a"); !ok || *got.Weight != 0 {
		t.Errorf("weight 0 isn't a weight: %+v", got)
	}
}

func TestSoftwareThatKnowsNoWeightsReadsTheStates(t *testing.T) {
	b := EncodeMessage(must(t, weighing("a", 5, 1), override("a", route.Maint, 2), weighing("b", route.OwnWeight, 3))...)
	var old struct {
		Version   int
		Decisions []struct {
			Host, Origin string
			State        route.State
			At           time.Time
		}
	}
	if err := json.Unmarshal(b, &old); err != nil {
		t.Fatal(err)
	}
	if old.Version != 1 || len(old.Decisions) != 1 || old.Decisions[0].State != route.Maint || old.Decisions[0].Host != "a" {
		t.Errorf("got %+v, want the one override of a state", old)
	}
}

func TestOverridesThatMakeNoSenseAreRefused(t *testing.T) {
	for what, change := range map[string]func(*Override){
		"no host":           func(o *Override) { o.Host = "" },
		"bad host":          func(o *Override) { o.Host = "a/b/c" },
		"nothing set":       func(o *Override) { o.State = "" },
		"weight too large":  func(o *Override) { o.Weight = new(257) },
		"weight too small":  func(o *Override) { o.Weight = new(-2) },
		"unknown state":     func(o *Override) { o.State = "gone" },
		"no origin":         func(o *Override) { o.Origin = "" },
		"long reason":       func(o *Override) { o.Reason = strings.Repeat("r", 201) },
		"long name":         func(o *Override) { o.By = strings.Repeat("b", 65) },
		"broken UTF-8":      func(o *Override) { o.Reason = "\xff" },
		"control character": func(o *Override) { o.By = "a\x00" },
		"other direction":   func(o *Override) { o.Reason = "a\u202eb" },
		"another line":      func(o *Override) { o.Reason = "a\u2028b" },
		"end of time":       func(o *Override) { o.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		o := override("a", route.Maint, 0)
		change(&o)
		if registers, err := o.Registers(); o.Check() == nil || err == nil || len(registers) > 0 {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestLongestOverrideFitsAGossipPacket(t *testing.T) {
	o := Override{
		Override: route.Override{
			Host: strings.Repeat("h", route.MaxName), Reason: strings.Repeat(`"`, route.MaxReason), By: strings.Repeat("<", route.MaxBy),
			State: route.Drain, Weight: new(256),
		},
		Origin: strings.Repeat("o", route.MaxName), At: at(1).Add(1),
	}
	for _, r := range must(t, o) {
		if b := EncodeMessage(r); len(b) > 1200 {
			t.Errorf("%s: %d bytes; want at most 1200", r.Topic.Kind, len(b))
		}
	}
}

package pool

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func decision(host string, state State, ms int) Decision {
	return Decision{Host: host, State: state, Reason: "because", By: "ops", At: at(ms), Origin: "lb-1"}
}

// someDecisions returns decisions about few hosts at few moments, so that they
// often clash.
func someDecisions(r *rand.Rand) []Decision {
	var all []Decision
	for range r.IntN(8) {
		d := Decision{
			Host:   fmt.Sprintf("ide-%d", r.IntN(3)),
			Reason: []string{"", "x"}[r.IntN(2)],
			Epoch:  uint32(r.IntN(4) / 3),
			At:     at(r.IntN(3)),
			Origin: []string{"lb-1", "lb-2"}[r.IntN(2)],
		}
		about := r.IntN(3)
		if about != 1 {
			d.State = []State{Ready, Drain, Maint}[r.IntN(3)]
		}
		if about != 0 {
			d.Weight = new([]int{OwnWeight, 0, 1, 256}[r.IntN(4)])
		}
		all = append(all, d)
	}
	return all
}

func merged(lists ...[]Decision) registers {
	r := registers{}
	for _, list := range lists {
		for _, d := range list {
			r.merge(d)
		}
	}
	return r
}

func TestMergeIsCommutativeAssociativeIdempotent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b, c := someDecisions(r), someDecisions(r), someDecisions(r)
		want := merged(a, b, c)
		for law, got := range map[string]registers{
			"commutative": merged(c, b, a),
			"associative": merged(a, merged(b, c).list()),
			"idempotent":  merged(a, b, c, b, a, want.list()),
		} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("merge isn't %s for\n%v\n%v\n%v\n(-want +got):\n%s", law, a, b, c, diff)
			}
		}
	}
}

func TestLastDecisionWins(t *testing.T) {
	r := registers{}
	if !r.merge(decision("a", Maint, 5)) {
		t.Error("the first decision changed nothing")
	}
	if r.merge(decision("a", Ready, 4)) {
		t.Error("an older decision changed something")
	}
	if r.merge(decision("a", Maint, 5)) {
		t.Error("the same decision changed something")
	}
	if !r.merge(decision("a", Drain, 6)) || r.state("a").State != Drain {
		t.Errorf("a later decision was ignored: %+v", r)
	}
}

func weighing(host string, weight, ms int) Decision {
	d := decision(host, "", ms)
	d.Weight = &weight
	return d
}

func TestAWordAboutTheStateLeavesTheWeightAsItIs(t *testing.T) {
	both := weighing("a", 5, 1)
	both.State = Drain
	r := merged([]Decision{both, decision("a", Ready, 3), weighing("a", 7, 2)})
	if got := r.state("a"); got.State != Ready || got.Weight != nil || !got.At.Equal(at(3)) {
		t.Errorf("state: got %+v, want ready", got)
	}
	if got, ok := r.weight("a"); !ok || *got.Weight != 7 || got.State != "" || !got.At.Equal(at(2)) {
		t.Errorf("weight: got %+v, want 7", got)
	}
	if r.merge(weighing("a", 9, 1)) {
		t.Error("an older weight changed something")
	}
	if !r.merge(weighing("a", OwnWeight, 4)) {
		t.Error("a later weight was ignored")
	}
	if got, ok := r.weight("a"); ok || len(r.weights()) != 0 {
		t.Errorf("the host's own weight: got %+v and %v", got, r.weights())
	}
	if !r.merge(weighing("a", 0, 5)) || r.weights()["a"] != 0 || len(r.weights()) != 1 {
		t.Errorf("weight 0 isn't a weight: %v", r.weights())
	}
}

func TestSoftwareThatKnowsNoWeightsReadsTheStates(t *testing.T) {
	b, err := encodeMemory([]Decision{weighing("a", 5, 1), decision("a", Maint, 2), weighing("b", OwnWeight, 3)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		Version   int
		Decisions []struct {
			Host, Origin string
			State        State
			At           time.Time
		}
	}
	if err := json.Unmarshal(b, &old); err != nil {
		t.Fatal(err)
	}
	if old.Version != 1 || len(old.Decisions) != 1 || old.Decisions[0].State != Maint || old.Decisions[0].Host != "a" {
		t.Errorf("got %+v, want the one decision about a state", old)
	}
}

func TestDecisionsThatMakeNoSenseAreRefused(t *testing.T) {
	for what, change := range map[string]func(*Decision){
		"no host":           func(d *Decision) { d.Host = "" },
		"bad host":          func(d *Decision) { d.Host = "a/b" },
		"nothing decided":   func(d *Decision) { d.State = "" },
		"weight too large":  func(d *Decision) { d.Weight = new(257) },
		"weight too small":  func(d *Decision) { d.Weight = new(-2) },
		"unknown state":     func(d *Decision) { d.State = "gone" },
		"no origin":         func(d *Decision) { d.Origin = "" },
		"long reason":       func(d *Decision) { d.Reason = strings.Repeat("r", 201) },
		"long name":         func(d *Decision) { d.By = strings.Repeat("b", 65) },
		"broken UTF-8":      func(d *Decision) { d.Reason = "\xff" },
		"control character": func(d *Decision) { d.By = "a\x00" },
		"other direction":   func(d *Decision) { d.Reason = "a\u202eb" },
		"another line":      func(d *Decision) { d.Reason = "a\u2028b" },
		"end of time":       func(d *Decision) { d.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		d := decision("a", Maint, 0)
		change(&d)
		if d.check() == nil || (registers{}).merge(d) {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestPruneDropsTheOldestStrangers(t *testing.T) {
	r := merged([]Decision{decision("old", Maint, 0), decision("known", Maint, 1), decision("new", Maint, 2)})
	if n := r.prune(2, func(host string) bool { return host == "known" }); n != 1 {
		t.Error("nothing was dropped")
	}
	if _, ok := r[topic{"old", aboutState}]; ok || len(r) != 2 {
		t.Errorf("got %v, want known and new", r)
	}
	if r.prune(0, func(string) bool { return true }) > 0 {
		t.Error("a known host's decision was dropped")
	}
}

func TestLongestDecisionFitsAGossipPacket(t *testing.T) {
	d := Decision{
		Host: strings.Repeat("h", maxName), Origin: strings.Repeat("o", maxName),
		Reason: strings.Repeat(`"`, maxReason), By: strings.Repeat("<", maxBy),
		State: Drain, Weight: new(256), At: at(1).Add(1),
	}
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	for _, part := range d.parts() {
		b, err := encodeMemory([]Decision{part}, nil)
		if err != nil || len(b) > 1200 {
			t.Errorf("%s: %d bytes, %v; want at most 1200", part.topic().what, len(b), err)
		}
	}
}

// weights returns the weights that aren't the hosts' own.
func (r registers) weights() map[string]int {
	all := map[string]int{}
	for topic, d := range r {
		if weight := d.weight(); weight != OwnWeight {
			all[topic.host] = weight
		}
	}
	return all
}

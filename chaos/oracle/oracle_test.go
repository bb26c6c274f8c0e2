package oracle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/chaos/record"
)

const s = time.Second

// terminal is a terminal of the token t.
func terminal(host string, from, to time.Duration) record.Serving {
	return record.Serving{Host: host, Token: "t", Terminal: true, From: from, To: to}
}

func rules(all []Violation) string {
	var names []string
	for _, v := range all {
		names = append(names, v.Rule)
	}
	return strings.Join(names, " ")
}

func TestOverlapsAreViolationsUnlessAFaultAllowsThem(t *testing.T) {
	both := []record.Serving{terminal("a", 100*s, 120*s), terminal("b", 110*s, 130*s)} // 10 s
	for _, row := range []struct {
		what     string
		servings []record.Serving
		faults   []Fault
		want     string
	}{
		{"nothing is wrong", both, nil, "overlap"},
		{"one after the other", []record.Serving{terminal("a", 100*s, 110*s), terminal("b", 110*s, 130*s)}, nil, ""},
		{"the end is written down a little late", []record.Serving{terminal("a", 100*s, 110*s+slack), terminal("b", 110*s, 130*s)}, nil, ""},
		{"one host", []record.Serving{terminal("a", 100*s, 120*s), terminal("a", 110*s, 130*s)}, nil, ""},
		{"a short request between two terminals", []record.Serving{terminal("a", 100*s, 130*s), {Host: "a", Token: "t", From: 105 * s, To: 106 * s}, terminal("b", 110*s, 130*s)}, nil, "overlap"},
		{"other tokens", []record.Serving{terminal("a", 100*s, 120*s), {Host: "b", Token: "u", From: 110 * s, To: 130 * s}}, nil, ""},
		{"most balancers can't reach a", both, []Fault{{Kind: CutMost, Hosts: []string{"a"}, From: 105 * s, To: 115 * s}}, ""},
		{"they couldn't reach it long before", both, []Fault{{Kind: CutMost, Hosts: []string{"a"}, From: 80 * s, To: 90 * s}}, "overlap"},
		{"they can't reach another host", both, []Fault{{Kind: CutMost, Hosts: []string{"c"}, From: 105 * s, To: 115 * s}}, "overlap"},
		{"one balancer can't reach a", both, []Fault{{Kind: CutOne, Hosts: []string{"a"}, Balancers: []string{"lb-1"}, From: 105 * s, To: 115 * s}}, "overlap"},
		{"balancers are cut off from one another", both, []Fault{{Kind: Partition, Balancers: []string{"lb-1"}, From: 100 * s, To: 130 * s}}, "overlap"},
		{"they are, and a fails", both, []Fault{
			{Kind: Partition, Balancers: []string{"lb-1"}, From: 100 * s, To: 130 * s}, {Kind: Freeze, Hosts: []string{"a"}, From: 101 * s, To: 102 * s},
		}, ""},
		{"they are, and c fails: the token was used before", both, []Fault{
			{Kind: Partition, Balancers: []string{"lb-1"}, From: 101 * s, To: 130 * s}, {Kind: Freeze, Hosts: []string{"c"}, From: 101 * s, To: 102 * s},
		}, "overlap"},
		{"they are, and c fails: the token is new", both, []Fault{
			{Kind: Partition, Balancers: []string{"lb-1"}, From: 99 * s, To: 130 * s}, {Kind: Freeze, Hosts: []string{"c"}, From: 101 * s, To: 102 * s},
		}, ""},
		{"they were, and c failed: the token is new", both, []Fault{
			{Kind: Partition, Balancers: []string{"lb-1"}, From: 80 * s, To: 95 * s}, {Kind: Freeze, Hosts: []string{"c"}, From: 81 * s, To: 82 * s},
		}, "overlap"},
		{"a joins, drains, has another weight", both, []Fault{
			{Kind: Join, Hosts: []string{"a"}, From: 100 * s, To: 130 * s},
			{Kind: Deadline, Hosts: []string{"a"}, From: 100 * s, To: 130 * s},
			{Kind: Weight, Hosts: []string{"a"}, From: 100 * s, To: 130 * s},
		}, "overlap"},
		{"a is stopped", both, []Fault{{Kind: Freeze, Hosts: []string{"a"}, From: 109 * s, To: 120 * s}}, ""},
		{"a is stopped and goes on, and the split ends soon", both, []Fault{{Kind: Freeze, Hosts: []string{"a"}, From: 109 * s, To: 115 * s}}, ""},
		{
			"it doesn't end",
			[]record.Serving{terminal("a", 100*s, 150*s), terminal("b", 110*s, 150*s)},
			[]Fault{{Kind: Freeze, Hosts: []string{"a"}, From: 109 * s, To: 115 * s}},
			"overlap",
		},
		{"a crashes, and is there again", both, []Fault{{Kind: Crash, Hosts: []string{"a"}, From: 109 * s, To: 110 * s}}, "overlap"},
		{"packets are lost, with an end", []record.Serving{terminal("a", 100*s, 112*s), terminal("b", 110*s, 130*s)}, []Fault{{Kind: Loss, From: 109 * s, To: 112 * s}}, ""},
	} {
		if got := rules(Overlaps(Without(row.servings, row.faults), row.faults)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.what, got, row.want)
		}
	}
}

func TestMovesAreViolationsUnlessAFaultAllowsThem(t *testing.T) {
	const linger = 30 * s
	moved := []record.Serving{terminal("a", 100*s, 110*s), terminal("b", 120*s, 130*s)}
	for _, row := range []struct {
		what     string
		servings []record.Serving
		faults   []Fault
		count    int
		want     string
	}{
		{"nothing is wrong", moved, nil, 1, "move"},
		{"the same host", []record.Serving{terminal("a", 100*s, 110*s), terminal("a", 120*s, 130*s)}, nil, 0, ""},
		{"after linger", []record.Serving{terminal("a", 100*s, 110*s), terminal("b", 145*s, 150*s)}, nil, 1, ""},
		{"a crashed", moved, []Fault{{Kind: Crash, Hosts: []string{"a"}, From: 110 * s, To: 115 * s}}, 1, ""},
		{"a crashed after that", moved, []Fault{{Kind: Crash, Hosts: []string{"a"}, From: 121 * s, To: 125 * s}}, 1, "move"},
		{"b crashed", moved, []Fault{{Kind: Crash, Hosts: []string{"b"}, From: 110 * s, To: 115 * s}}, 1, "move"},
		{
			"b gets a request that a cut had withheld",
			[]record.Serving{terminal("a", 100*s, 110*s), {Host: "b", Token: "t", From: 120 * s, To: 121 * s}},
			[]Fault{{Kind: CutMost, Hosts: []string{"b"}, From: 105 * s, To: 119 * s}},
			0, "",
		},
		{
			"b gets a request long after a cut",
			[]record.Serving{terminal("a", 100*s, 110*s), {Host: "b", Token: "t", From: 120 * s, To: 121 * s}},
			[]Fault{{Kind: CutMost, Hosts: []string{"b"}, From: 105 * s, To: 115 * s}},
			1, "move",
		},
		{"a drains", moved, []Fault{{Kind: Drain, Hosts: []string{"a"}, From: 100 * s, To: 125 * s}}, 1, "move"},
		{"a is past the deadline of its drain", moved, []Fault{{Kind: Deadline, Hosts: []string{"a"}, From: 110 * s, To: 125 * s}}, 1, ""},
		{"a balancer crashed", moved, []Fault{{Kind: BalancerCrash, Balancers: []string{"lb-1"}, From: 105 * s, To: 125 * s}}, 1, "move"},
		{
			"b has lost a terminal before, whose end was noticed late",
			[]record.Serving{terminal("b", 90*s, 95*s), terminal("a", 100*s, 110*s), terminal("b", 120*s, 130*s)},
			[]Fault{{Kind: Power, Hosts: []string{"b"}, From: 95 * s, To: 99 * s}},
			2, "",
		},
		{
			"c has lost a terminal, whose end was noticed late",
			[]record.Serving{terminal("c", 90*s, 95*s), terminal("a", 100*s, 110*s), terminal("b", 120*s, 130*s)},
			[]Fault{{Kind: Power, Hosts: []string{"c"}, From: 95 * s, To: 99 * s}},
			2, "",
		},
		{
			"c has crashed, which is noticed at once",
			[]record.Serving{terminal("c", 90*s, 95*s), terminal("a", 100*s, 110*s), terminal("b", 120*s, 130*s)},
			[]Fault{{Kind: Crash, Hosts: []string{"c"}, From: 95 * s, To: 99 * s}},
			2, "move",
		},
		{
			"b was without power before, and had lost none",
			[]record.Serving{terminal("b", 85*s, 90*s), terminal("a", 100*s, 110*s), terminal("b", 120*s, 130*s)},
			[]Fault{{Kind: Power, Hosts: []string{"b"}, From: 95 * s, To: 99 * s}},
			2, "move",
		},
		{
			"a has a terminal all along",
			[]record.Serving{terminal("a", 100*s, 130*s), terminal("b", 115*s, 116*s), terminal("a", 117*s, 120*s)},
			[]Fault{{Kind: CutMost, Hosts: []string{"a"}, From: 105 * s, To: 116 * s}},
			1, "",
		},
		{
			"a serves what was sent while it was stopped",
			[]record.Serving{terminal("a", 100*s, 110*s), terminal("b", 115*s, 116*s), terminal("a", 117*s, 117*s+1), terminal("b", 118*s, 119*s)},
			[]Fault{{Kind: Freeze, Hosts: []string{"a"}, From: 110 * s, To: 117*s - 1}},
			1, "",
		},
	} {
		count, all := Moves(row.servings, row.faults, linger)
		if got := rules(all); got != row.want || count != row.count {
			t.Errorf("%s: got %d moves, %q; want %d, %q", row.what, count, got, row.count, row.want)
		}
	}
}

func TestWhatUsersSeeNeedsACause(t *testing.T) {
	served := []record.Serving{terminal("a", 100*s, 110*s)}
	event := func(what string) Event {
		return Event{Token: "t", What: what, Began: 109 * s, At: 110 * s, Balancer: "lb-1", Host: "a"}
	}
	for _, row := range []struct {
		what   string
		event  Event
		faults []Fault
		want   string
	}{
		{"an end without a cause", event(Ended), nil, Ended},
		{"the user closes", event(Closed), nil, ""},
		{"an answer", event(Answered), nil, ""},
		{"another host answers", event(Strange), []Fault{{Kind: Crash, Hosts: []string{"a"}, From: 109 * s, To: 120 * s}}, Strange},
		{"the host crashes", event(Ended), []Fault{{Kind: Crash, Hosts: []string{"a"}, From: 109 * s, To: 120 * s}}, ""},
		{"another host crashes", event(Ended), []Fault{{Kind: Crash, Hosts: []string{"b"}, From: 109 * s, To: 120 * s}}, Ended},
		{"the token goes to another host, which has failed", Event{Token: "t", What: Ended, Began: 109 * s, At: 110 * s, Balancer: "lb-1", Host: "b", Text: "at another host"}, []Fault{{Kind: Power, Hosts: []string{"a"}, From: 105 * s, To: 109 * s}}, ""},
		{"it does for no reason", Event{Token: "t", What: Ended, Began: 109 * s, At: 110 * s, Balancer: "lb-1", Host: "b", Text: "at another host"}, nil, Ended},
		{"the balancer crashes", event(Ended), []Fault{{Kind: BalancerCrash, Balancers: []string{"lb-1"}, From: 109 * s, To: 120 * s}}, ""},
		{"another balancer crashes", event(Ended), []Fault{{Kind: BalancerCrash, Balancers: []string{"lb-2"}, From: 109 * s, To: 120 * s}}, Ended},
		{"the balancer reloads", event(Ended), []Fault{{Kind: Reload, Balancers: []string{"lb-1"}, From: 109 * s, To: 120 * s}}, Ended},
		{"a drain before its deadline", event(Ended), []Fault{{Kind: Drain, Hosts: []string{"a"}, From: 109 * s, To: 120 * s}}, Ended},
		{"the balancer can't reach the host", event(Hung), []Fault{{Kind: CutOne, Hosts: []string{"a"}, Balancers: []string{"lb-1"}, From: 100 * s, To: 120 * s}}, ""},
		{"another balancer can't reach it", event(Hung), []Fault{{Kind: CutOne, Hosts: []string{"a"}, Balancers: []string{"lb-2"}, From: 100 * s, To: 120 * s}}, Hung},
		{"no answer without a cause", event(Failed), nil, Failed},
		{"no answer from a host that most can't reach", event(Failed), []Fault{{Kind: CutMost, Hosts: []string{"a"}, From: 100 * s, To: 120 * s}}, ""},
		{"no answer to a new token, whose host was given up", Event{Token: "t", What: Failed, Began: 98 * s, At: 101 * s, Balancer: "lb-1"}, []Fault{{Kind: CutMost, Hosts: []string{"b"}, From: 97 * s, To: 120 * s}}, ""},
		{"no answer from a host that has never served it", Event{Token: "t", What: Failed, Began: 98 * s, At: 101 * s, Balancer: "lb-1", Host: "b"}, []Fault{{Kind: CutMost, Hosts: []string{"b"}, From: 97 * s, To: 120 * s}}, ""},
		{"no answer, and only an agent is dead", event(Failed), []Fault{{Kind: Agent, Hosts: []string{"a"}, From: 100 * s, To: 120 * s}}, Failed},
	} {
		if got := rules(Users([]Event{row.event}, served, row.faults, 20*s)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.what, got, row.want)
		}
	}
}

func TestNobodyGetsNothingForLong(t *testing.T) {
	crash := []Fault{{Kind: CutMost, Hosts: []string{"a"}, From: 90 * s, To: 200 * s}}
	events := []Event{
		{Token: "t", What: Failed, Began: 100 * s, At: 101 * s},
		{Token: "t", What: Failed, Began: 110 * s, At: 111 * s},
		{Token: "t", What: Failed, Began: 125 * s, At: 126 * s},
		{Token: "t", What: Opened, Began: 127 * s, At: 128 * s},
	}
	served := []record.Serving{terminal("a", 80*s, 90*s)}
	if got := rules(Users(events, served, crash, 20*s)); got != "outage" {
		t.Errorf("after 26 s: got %q", got)
	}
	if got := rules(Users(events, served, crash, 30*s)); got != "" {
		t.Errorf("with more patience: got %q", got)
	}
	answered := []Event{events[0], events[3], events[2]}
	if got := rules(Users(answered, served, crash, 20*s)); got != "" {
		t.Errorf("with an answer between: got %q", got)
	}
	late := slices.Clone(events)
	late[2].Began, late[2].At = 140*s, 141*s
	if got := rules(Users(late, served, crash, 20*s)); got != "" {
		t.Errorf("who hasn't asked for long: got %q", got)
	}
	stall := append(slices.Clone(crash), Fault{Kind: Stall, From: 110 * s, To: 120 * s})
	if got := rules(Users(events, served, stall, 20*s)); got != "" {
		t.Errorf("the machine stood still for ten of these: got %q", got)
	}
}

// TestEachKindHasABound: a kind that is missing would allow nothing, or anything.
func TestEachKindHasABound(t *testing.T) {
	for kind, b := range bounds {
		if b.why == "" || b.overlap == 0 || b.move == 0 || b.cut == 0 || b.fail == 0 {
			t.Errorf("%s: %+v leaves something open", kind, b)
		}
	}
}

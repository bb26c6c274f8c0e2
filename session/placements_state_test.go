package session

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// handedOver returns s as it comes out of JSON.
func handedOver(t testing.TB, s PlacementsState) (got PlacementsState) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPlacementsGoToAnotherProcess(t *testing.T) {
	before := remember(t, 4)
	order := before.candidates("k")
	before.load(order[0], 100)
	before.wants("k", order[1], route.RuleOverflow)
	before.load(order[0], 0)
	home := before.candidates("l")[0]
	before.now = before.now.Add(time.Hour)
	before.wants("l", home, balancer.RuleOwner)

	after := remember(t, 4)
	after.wants("gone", after.candidates("gone")[0], balancer.RuleOwner)
	state := handedOver(t, before.State(before.now))
	after.Restore(handedOver(t, before.State(before.now)))
	after.Restore(state) // the last one counts
	after.now = before.now
	after.remembers(1, 1)
	if got := after.Placement(digest("gone"), after.now); got != (route.Placement{}) {
		t.Errorf("a placement from before is kept: %+v", got)
	}
	if got := after.Placement(digest("k"), after.now); got != (route.Placement{Host: order[1], Away: true}) {
		t.Errorf("the placement of the key that is away: %+v", got)
	}
	if got := after.Placement(digest("l"), after.now); got != (route.Placement{Host: home}) {
		t.Errorf("the placement of the key at home: %+v", got)
	}
	after.wants("k", order[1], route.RulePlaced)
	after.Refused(digest("l"), after.s.Host(home), after.now)
	after.now = before.now.Add(rememberFor - time.Minute)
	if got := after.Placement(digest("l"), after.now); got.Host != home {
		t.Error("the key that was used an hour later is forgotten")
	}
	after.now = after.now.Add(2 * time.Minute)
	if got := after.Placement(digest("l"), after.now); got.Host != "" {
		t.Error("it isn't forgotten after a day")
	}
}

func TestTheOldestPlacementsAreLeftOutIfThereAreTooMany(t *testing.T) {
	const capacity = maxPlacements / shards
	state := PlacementsState{At: time.Now(), Hosts: []string{"a"}}
	key := func(i int) (key balancer.Digest) { // all are of one shard
		binary.BigEndian.PutUint64(key[8:], uint64(i))
		return key
	}
	for i := range capacity + 10 {
		state.Keys = appendEntry(state.Keys, placed{key: key(i)}, 0, time.Minute)
	}
	m := remember(t, 2)
	m.Restore(state)
	m.remembers(capacity, 0)
	if m.Placement(key(9), m.now).Host != "" || m.Placement(key(10), m.now).Host != "a" {
		t.Error("it isn't the oldest ones that are left out")
	}
}

func TestEntriesThatMakeNoSenseAreIgnored(t *testing.T) {
	good := appendEntry(nil, placed{key: digest("k")}, 0, 0)
	for what, s := range map[string]PlacementsState{ // after a good entry
		"a host that isn't there": {Hosts: []string{"a"}, Keys: appendEntry(nil, placed{key: digest("l")}, 1, 0)},
		"half an entry":           {Hosts: []string{"a"}, Keys: good[:entrySize-1]},
		"nothing":                 {},
	} {
		t.Log(what)
		m := remember(t, 2)
		s.Keys = append(good[:entrySize:entrySize], s.Keys...)
		m.Restore(s)
		m.remembers(min(1, len(s.Hosts)), 0)
	}
}

// BenchmarkPlacementsState hands all placements over that there can be.
func BenchmarkPlacementsState(b *testing.B) {
	m := remember(b, 4)
	home := route.Choice{Host: m.s.Host("a"), Rule: balancer.RuleOwner}
	for i := range maxPlacements {
		key := digest(fmt.Sprint(i))
		m.Placements.shards[shardOf(key)].assign(m.s, key, home, m.now)
	}
	var size int
	for b.Loop() {
		s := handedOver(b, m.State(m.now))
		m.Restore(s)
		size = len(s.Keys)
	}
	b.ReportMetric(float64(size), "bytes")
}

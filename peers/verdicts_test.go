package peers

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"tokenring/pool/votes"
	"tokenring/route"
)

// verdictsOfAll are verdicts of every kind.
func verdictsOfAll() []votes.Entry {
	return []votes.Entry{
		{By: "lb-2", Boot: 1 << 62, Number: 17, Vote: votes.Vote{Verdict: route.Up}, Hosts: []string{"ide-1", "ide-2"}},
		{By: "lb-2", Boot: 1 << 62, Number: 17, Vote: votes.Vote{Verdict: route.Down, Since: at(0), Refused: true}, Hosts: []string{"ide-3"}},
		{By: "lb-2", Boot: 1 << 62, Number: 17, Vote: votes.Vote{Verdict: route.Down, Since: at(0), Traffic: true}, Hosts: []string{"ide-5"}},
		{By: "lb-2", Boot: 1 << 62, Number: 17, Vote: votes.Vote{Verdict: route.Down, Since: at(0), Returning: true}, Hosts: []string{"ide-7"}},
		{By: "lb-2", Boot: 1 << 62, Number: 17, Vote: votes.Vote{Verdict: route.Up, Traffic: true}, Hosts: []string{"ide-6"}},
		{By: "lb-2", Boot: 1 << 62, Number: 17, Hosts: []string{"ide-4"}},
		{By: "lb-3", Boot: 5, Number: 1},
	}
}

func TestVerdictsSurviveTheWayToAPeer(t *testing.T) {
	want := verdictsOfAll()
	broadcast, exchanged := NewExchange(zerolog.Nop()), NewExchange(zerolog.Nop())
	for _, message := range EncodeVerdicts(want...) {
		broadcast.Receive(message)
	}
	sender := NewExchange(zerolog.Nop())
	sender.Say(want)
	sender.Hold(must(t, Override{Override: route.Override{Host: "a", State: route.Drain}, At: at(0), Origin: "lb-2"})...)
	state := sender.State(1 << 20)
	exchanged.Receive(state)
	for what, e := range map[string]*Exchange{"broadcasts": broadcast, "an exchange of state": exchanged} {
		select {
		case <-e.Voted:
		default:
			t.Errorf("%s: there is no note", what)
		}
		if got := e.TakeVerdicts(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
		if got := e.TakeVerdicts(); len(got) > 0 {
			t.Errorf("%s: %+v are taken twice", what, got)
		}
	}
	if len(exchanged.Take()) != 1 {
		t.Error("the register beside the verdicts doesn't come")
	}
	if got := DecodeVerdicts(EncodeAllVerdicts(want)); !reflect.DeepEqual(got, want) {
		t.Errorf("in one message: got %+v, want %+v", got, want)
	}
}

// TestVerdictsOnManyHostsAreToldInPackets: memberlist drops what doesn't fit into one.
func TestVerdictsOnManyHostsAreToldInPackets(t *testing.T) {
	e := votes.Entry{By: strings.Repeat("b", route.MaxName), Boot: 1 << 62, Number: 1 << 62, Vote: votes.Vote{Verdict: route.Down, Since: at(0)}}
	for i := range 500 {
		e.Hosts = append(e.Hosts, fmt.Sprintf("%s-%d", strings.Repeat("h", 1+i%50), i))
	}
	got := NewExchange(zerolog.Nop())
	for _, m := range EncodeVerdicts(e) {
		if len(m) > 1300 {
			t.Errorf("a message has %d bytes", len(m))
		}
		got.Receive(m)
	}
	hosts := 0
	for _, part := range got.TakeVerdicts() {
		hosts += len(part.Hosts)
	}
	if hosts != len(e.Hosts) {
		t.Errorf("%d of %d hosts come", hosts, len(e.Hosts))
	}
}

// TestVerdictsOfLaterVersionsAreReadAsFarAsTheyAreUnderstood: what can't be read keeps nothing
// else out.
func TestVerdictsOfLaterVersionsAreReadAsFarAsTheyAreUnderstood(t *testing.T) {
	m, err := DecodeMessage([]byte(`{"version":9,"kind":"registers","decisions":[],"verdicts":[
		{"by":"lb-2","boot":1,"number":2,"verdict":"sick","hosts":["a"],"since":"2026-01-02T03:04:05Z","later":[1]},
		{"by":"lb-2","boot":1,"number":2,"verdict":"down","hosts":["a\nb"]},
		{"by":"","boot":1,"number":2,"verdict":"down","hosts":["a"]},
		{"by":"lb-2","boot":1,"number":2,"verdict":"down","hosts":["a"],"since":"0001-01-02T03:04:05Z"},
		{"by":"lb-2","boot":-1},
		17]}`), nil)
	want := []votes.Entry{{By: "lb-2", Boot: 1, Number: 2, Hosts: []string{"a"}}}
	if err != nil || !reflect.DeepEqual(m.Verdicts, want) || len(m.Refused) != 5 {
		t.Errorf("got %+v, %d refused, %v; want %+v and 5 refused", m.Verdicts, len(m.Refused), err, want)
	}
}

func TestVerdictsThatNobodyTakesAreBounded(t *testing.T) {
	e := NewExchange(zerolog.Nop())
	for range 2 * maxVerdicts {
		e.admitVerdicts(verdictsOfAll()[:1])
	}
	if got := len(e.TakeVerdicts()); got != maxVerdicts {
		t.Errorf("%d wait, want %d", got, maxVerdicts)
	}
}

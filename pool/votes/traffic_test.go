package votes

import (
	"testing"
	"time"

	"tokenring/route"
)

func TestWhichHostsStillServeTerminals(t *testing.T) {
	at := func(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }
	down, up := Vote{Verdict: route.Down}, Vote{Verdict: route.Up}
	working := Terminals{Open: true, LastByte: at(12), Failing: at(10)}
	for name, row := range map[string]struct {
		own       Vote
		views     route.Views
		terminals Terminals
		now       int
		want      bool
		next      int // when it may change; 0: when something happens
	}{
		"a byte has come since checks fail": {own: down, terminals: working, now: 20, want: true, next: 27},
		"just before it was too long ago":   {own: down, terminals: working, now: 26, want: true, next: 27},
		"it was too long ago":               {own: down, terminals: working, now: 27, next: 28},
		"it came before checks began to fail": {
			own: down, terminals: Terminals{Open: true, LastByte: at(9), Failing: at(10)}, now: 11, next: 12,
		},
		"no byte has ever come":           {own: down, terminals: Terminals{Open: true}, now: 11, next: 12},
		"no terminal is left":             {own: down, terminals: Terminals{LastByte: at(12), Failing: at(10)}, now: 13},
		"its machine refuses connections": {own: Vote{Verdict: route.Down, Refused: true}, terminals: working, now: 13},
		"its checks pass everywhere":      {own: up, terminals: working, now: 13},
		"its checks fail elsewhere":       {own: up, views: route.Views{Down: "lb-2"}, terminals: working, now: 13, want: true, next: 27},
		"it isn't checked":                {views: route.Views{Down: "lb-2"}, terminals: working, now: 13},
	} {
		b, own := Ballot{Views: row.views, Traffic: true}, row.own
		next := b.NoteTraffic(&own, row.terminals, at(row.now))
		if b.Traffic != row.want || own.Traffic != row.want {
			t.Errorf("%s: got %t, and the vote says %t", name, b.Traffic, own.Traffic)
		}
		if row.next == 0 && !next.IsZero() || row.next > 0 && !next.Equal(at(row.next)) {
			t.Errorf("%s: next at %v, want %d", name, next, row.next)
		}
	}
}

func TestWhoSaysThatTerminalsWork(t *testing.T) {
	box, roll := pollOf("-+-x?")
	for i, name := range []string{"a", "b", "d"} {
		v := Vote{Verdict: route.Down, Traffic: true}
		if name == "b" {
			v.Verdict = route.Up
		}
		box.Take(Entry{By: name, Boot: 1, Number: uint64(2 + i), Vote: v, Hosts: []string{"ide-1"}})
	}
	c := Council{Box: box, Roll: roll}
	var b Ballot
	c.Count(&b, "ide-1", Vote{Verdict: route.Up}, t0)
	if want := (route.Views{Up: "b", Down: "a, c", Traffic: "a, b"}); b.Views != want {
		t.Errorf("got %+v, want %+v", b.Views, want)
	}
}

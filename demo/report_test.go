package demo

import (
	"slices"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// users returns a state from words like "alice@ide-1>ide-2": a terminal on ide-1, and
// ide-2 by the ring; without '@' there is no terminal, and "!why" is a refusal.
func users(words ...string) state {
	var s state
	for _, word := range words {
		rest, ring, _ := strings.Cut(word, ">")
		token, terminal, _ := strings.Cut(rest, "@")
		u := user{token: token, terminal: terminal, ring: ring}
		if why, refused := strings.CutPrefix(ring, "!"); refused {
			u.ring, u.why = "", why
		}
		s.users = append(s.users, u)
	}
	return s
}

func TestTheDemoTellsWhereUsersAre(t *testing.T) {
	alarmed := func(s state, frozen bool, alarm string) state {
		s.frozen, s.alarm = frozen, alarm
		return s
	}
	for name, row := range map[string]struct {
		before, now state
		want        []string
	}{
		"nothing":             {users("a>1", "b@2>2"), users("a>1", "b@2>2"), nil},
		"a terminal opens":    {users("a>1"), users("a@1>1"), []string{"a has opened a terminal on 1."}},
		"a terminal ends":     {users("a@1>1"), users("a>2"), []string{"The terminal of a on 1 has ended. Now a → 2."}},
		"it ends, frozen":     {users("a@1>1"), users("a>!503"), []string{"The terminal of a on 1 has ended. Now a → 503."}},
		"it is elsewhere now": {users("a@1>1"), users("a@2>2"), []string{"a has a terminal on 2 now, and none on 1 any more."}},
		"the ring changes": {
			users("a>1", "b@2>2", "c>3", "d>2"), users("a>1", "b@2>3", "c>1", "d>!503"),
			[]string{"Terminals stay where they are: b on 2 (when it has ended: 3).", "Users without a terminal who have another host now: c 3 → 1; d 2 → 503."},
		},
		"some move alike": {users("a>1", "b>2", "c>1"), users("a>2", "b>3", "c>2"), []string{"Users without a terminal who have another host now: a, c 1 → 2; b 2 → 3."}},
		"all stay":        {users("b@2>2"), users("b@2>3"), []string{"Terminals stay where they are: b on 2 (when it has ended: 3)."}},
		"all move":        {users("b>2"), users("b>3"), []string{"Users without a terminal who have another host now: b 2 → 3."}},
		"an alarm":        {users("a>1"), alarmed(users("a>1"), true, "look"), []string{"ALARM: look."}},
		"another":         {alarmed(users("a>1"), true, "x"), alarmed(users("a>1"), true, "y"), []string{"ALARM: y."}},
		"a thaw":          {alarmed(users("a>1"), true, "x"), users("a>1"), []string{"The ring isn't frozen any more."}},
		"its end":         {alarmed(users("a>1"), true, "x"), alarmed(users("a>1"), false, "y"), []string{"The ring isn't frozen any more.", "ALARM: y."}},
		"all clear":       {alarmed(users("a>1"), false, "x"), users("a>1"), []string{"The alarm is over."}},
	} {
		if got := row.now.since(row.before); !slices.Equal(got, row.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, row.want)
		}
	}
	const want = "Terminals are open: b on 2.\nUsers without a terminal yet: a → 1; c → 503."
	if got := users("a>1", "b@2>3", "c>!503").placement(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheDemoTellsWhyNobodyServes(t *testing.T) {
	build, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := build.Build([]balancer.Host{{Name: "ide-1", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		verdict route.Verdict
		frozen  bool
		want    string
	}{
		{route.Up, false, "ide-1"},
		{route.Down, false, "503 (no host serves)"},
		{route.Down, true, "503 (the ring is frozen and waits for ide-1)"},
	} {
		s := route.NewSnapshot(table, []*route.Host{{Spec: route.Spec{Name: "ide-1"}, Standing: route.Standing{InRing: true}, Health: route.Health{Verdict: row.verdict}, Gauges: new(route.Gauges)}})
		s.Frozen = row.frozen
		if got := stateOf(s, func([]byte) string { return "" }).users[0].next(); got != row.want {
			t.Errorf("%v, frozen %t: %q, want %q", row.verdict, row.frozen, got, row.want)
		}
	}
}

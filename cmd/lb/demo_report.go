package main

import (
	"fmt"
	"strings"

	"tokenring/pool"
)

// demoTokens are the users of the demo. They are no secrets: the demo prints
// them and links to them.
var demoTokens = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// A demoUser is where one user of the demo is, and where the ring has that user.
type demoUser struct {
	token    string
	terminal string // the host of the live terminals; "" if there are none
	ring     string // the host that gets the user if no terminal is open; "" for none
	why      string // there is none
}

// A demoState is what the demo tells of one moment.
type demoState struct {
	users  []demoUser
	frozen bool
	alarm  string
}

// demoStateOf returns what there is to tell of a snapshot. terminals returns the host
// of a token's live terminals, "" if it has none.
func demoStateOf(s *pool.Snapshot, terminals func(token string) string) demoState {
	state := demoState{frozen: s.Frozen, alarm: s.Alarm}
	for _, token := range demoTokens {
		u := demoUser{token: token, terminal: terminals(token)}
		switch choice, ok := s.Choose([]byte(token), nil); {
		case ok:
			u.ring = choice.Host.Name
		case choice.Rule == pool.RuleFrozen:
			u.why = fmt.Sprintf("503 (the ring is frozen and waits for %s)", choice.Host.Name)
		default:
			u.why = "503 (no host serves)"
		}
		state.users = append(state.users, u)
	}
	return state
}

// next says where the user goes if no terminal is open.
func (u demoUser) next() string {
	if u.ring == "" {
		return u.why
	}
	return u.ring
}

// placement says where everybody is, or would go.
func (s demoState) placement() string {
	var open []string
	var first destinations
	for _, u := range s.users {
		if u.terminal != "" {
			open = append(open, u.token+" on "+u.terminal)
		} else {
			first = append(first, destination{u.token, "→ " + u.next()})
		}
	}
	var lines []string
	if len(open) > 0 {
		lines = append(lines, "Terminals are open: "+strings.Join(open, ", ")+".")
	}
	if len(first) > 0 {
		lines = append(lines, "Without a terminal yet: "+first.String()+".")
	}
	return strings.Join(lines, "\n")
}

// since says what has changed since before, a line for each kind of change.
func (s demoState) since(before demoState) (lines []string) {
	var moves destinations
	var stays []string
	for i, now := range s.users {
		was := before.users[i]
		switch elsewhere := was.next() != now.next(); {
		case now.terminal != was.terminal:
			lines = append(lines, now.sinceTerminal(was.terminal))
		case now.terminal != "" && elsewhere:
			stays = append(stays, fmt.Sprintf("%s on %s (when it has ended: %s)", now.token, now.terminal, now.next()))
		case elsewhere:
			moves = append(moves, destination{now.token, was.next() + " → " + now.next()})
		}
	}
	if len(stays) > 0 {
		lines = append(lines, "Terminals stay where they are: "+strings.Join(stays, ", ")+".")
	}
	if len(moves) > 0 {
		lines = append(lines, "Without a terminal, and elsewhere now: "+moves.String()+".")
	}
	return append(lines, s.sinceAlarm(before)...)
}

// sinceTerminal says what became of a user's terminals, which were on another host.
func (u demoUser) sinceTerminal(was string) string {
	switch {
	case was == "":
		return fmt.Sprintf("%s has opened a terminal on %s.", u.token, u.terminal)
	case u.terminal == "":
		return fmt.Sprintf("The terminal of %s on %s has ended. Now %s → %s.", u.token, was, u.token, u.next())
	}
	return fmt.Sprintf("%s has a terminal on %s now, and none on %s any more.", u.token, u.terminal, was)
}

func (s demoState) sinceAlarm(before demoState) (lines []string) {
	if before.frozen && !s.frozen {
		lines = append(lines, "The ring isn't frozen any more.")
	}
	switch {
	case s.alarm == before.alarm:
	case s.alarm != "":
		lines = append(lines, "ALARM: "+s.alarm+".")
	case !before.frozen:
		lines = append(lines, "The alarm is over.")
	}
	return lines
}

// A destination is where a user goes, in words.
type destination struct{ token, what string }

// destinations are written with the users together who share one.
type destinations []destination

func (all destinations) String() string {
	var kinds []string
	tokens := map[string][]string{}
	for _, d := range all {
		if tokens[d.what] == nil {
			kinds = append(kinds, d.what)
		}
		tokens[d.what] = append(tokens[d.what], d.token)
	}
	for i, what := range kinds {
		kinds[i] = strings.Join(tokens[what], ", ") + " " + what
	}
	return strings.Join(kinds, "; ")
}

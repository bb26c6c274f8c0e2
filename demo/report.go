package demo

import (
	"fmt"
	"strings"

	"tokenring/route"
)

// tokens are the users of the demo. They aren't secrets: the demo prints them and links to
// them.
var tokens = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// A user is one user of the demo: the host of the terminals, and the host that the ring
// has for the token.
type user struct {
	token    string
	terminal string // the host of the live terminals; "" if there are none
	ring     string // the host that gets the user if no terminal is open; "" for none
	why      string // why there is no such host
}

// A state is the state of all users at one moment.
type state struct {
	users  []user
	frozen bool
	alarm  string
}

// stateOf returns the state of all users in a snapshot. sessionHost returns the host of a
// token's live terminals, "" if it has none.
func stateOf(s *route.Snapshot, sessionHost func(key []byte) string) state {
	state := state{frozen: s.Frozen, alarm: s.Alarm}
	for _, token := range tokens {
		u := user{token: token, terminal: sessionHost([]byte(token))}
		switch choice, ok := s.Choose(s.Key([]byte(token)), nil); {
		case ok:
			u.ring = choice.Host.Name
		case choice.Rule == route.RuleFrozen:
			u.why = fmt.Sprintf("503 (the ring is frozen and waits for %s)", choice.Host.Name)
		default:
			u.why = "503 (no host serves)"
		}
		state.users = append(state.users, u)
	}
	return state
}

// next returns the host that the user gets if no terminal is open, or why there is none.
func (u user) next() string {
	if u.ring == "" {
		return u.why
	}
	return u.ring
}

// placement describes where all users are, or would go.
func (s state) placement() string {
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
		lines = append(lines, "Users without a terminal yet: "+first.String()+".")
	}
	return strings.Join(lines, "\n")
}

// since describes what has changed between before and s, a line for each kind of change.
func (s state) since(before state) (lines []string) {
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
		lines = append(lines, "Users without a terminal who have another host now: "+moves.String()+".")
	}
	return append(lines, s.sinceAlarm(before)...)
}

// sinceTerminal describes a change of a user's terminals. was is their host before.
func (u user) sinceTerminal(was string) string {
	switch {
	case was == "":
		return fmt.Sprintf("%s has opened a terminal on %s.", u.token, u.terminal)
	case u.terminal == "":
		return fmt.Sprintf("The terminal of %s on %s has ended. Now %s → %s.", u.token, was, u.token, u.next())
	}
	return fmt.Sprintf("%s has a terminal on %s now, and none on %s any more.", u.token, u.terminal, was)
}

func (s state) sinceAlarm(before state) (lines []string) {
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

// A destination describes where a user goes.
type destination struct{ token, what string }

// destinations are written in groups of users with the same destination.
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

package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tokenring/chaos/record"
)

// A Violation is a promise that wasn't kept.
type Violation struct {
	Rule  string
	Token string // its digest; "" if it is about no token
	At    time.Duration
	Text  string
}

// Without takes the times at which a host was stopped out of its servings: it serves nobody then.
func Without(servings []record.Serving, faults []Fault) []record.Serving {
	var all []record.Serving
	for _, s := range servings {
		pieces := []record.Serving{s}
		for _, f := range faults {
			if f.Kind == Freeze && slices.Contains(f.Hosts, s.Host) {
				pieces = without(pieces, f.From, f.To)
			}
		}
		all = append(all, pieces...)
	}
	return all
}

func without(servings []record.Serving, from, to time.Duration) (all []record.Serving) {
	for _, s := range servings {
		before, after := s, s
		before.To, after.From = min(s.To, from), max(s.From, to)
		if before.From < before.To {
			all = append(all, before)
		}
		if after.From < after.To {
			all = append(all, after)
		}
	}
	return all
}

// Overlaps returns where a token was served by two hosts at once for longer than the faults allow.
func Overlaps(servings []record.Serving, faults []Fault) (all []Violation) {
	for _, token := range byToken(servings) {
		for i, a := range token {
			for _, b := range token[i+1:] {
				if b.From >= a.To {
					break // those that follow begin later still
				}
				if a.Host != b.Host && !apart(token[0], b, faults) {
					all = append(all, overlap(a, b, faults)...)
				}
			}
		}
	}
	return all
}

// overlap compares two servings of one token, of which a began first.
func overlap(a, b record.Serving, faults []Fault) []Violation {
	const unknown = "" // through which balancers they were
	left := []record.Serving{{From: b.From, To: min(a.To, b.To)}}
	hosts := []string{a.Host, b.Host}
	for _, f := range faults {
		if after := f.bound(faults, hosts).overlap; after != Never && f.concerns(hosts, unknown) {
			left = without(left, f.From, later(f.To, after))
		}
	}
	for _, piece := range left {
		least := slack
		if slices.ContainsFunc(faults, func(f Fault) bool { return f.Kind == Loss && f.between(piece.From, piece.To, moment) }) {
			least = lossSlack
		}
		if long := piece.To - piece.From; long > least {
			return []Violation{{
				Rule: "overlap", Token: a.Token, At: piece.From,
				Text: fmt.Sprintf("%s and %s served it at once for %v (%s, %s)", a.Host, b.Host, round(long), what(a), what(b)),
			}}
		}
	}
	return nil
}

func what(s record.Serving) string {
	if s.Terminal {
		return "terminal"
	}
	return "request"
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// byToken returns the servings of each token in the order of their beginnings.
func byToken(servings []record.Serving) map[string][]record.Serving {
	all := map[string][]record.Serving{}
	for _, s := range servings {
		all[s.Token] = append(all[s.Token], s)
	}
	for _, token := range all {
		slices.SortFunc(token, func(a, b record.Serving) int { return cmp.Compare(a.From, b.From) })
	}
	return all
}

// Moves counts how often a token went to another host than the one that it used last, and returns
// those moves that no fault allows: within linger after its last use, the host that had it was
// neither down nor gone nor past the deadline of its drain.
func Moves(servings []record.Serving, faults []Fault, linger time.Duration) (count int, all []Violation) {
	for _, token := range byToken(servings) {
		used := map[string]time.Duration{} // by host, until when it served the token
		for _, s := range token {
			if thawed(s, faults) {
				continue
			}
			if from := latest(used, s.From); from != "" && from != s.Host && used[s.Host] < s.From {
				count++
				if v, bad := move(s, from, used[from], faults, linger); bad && !returns(s, token, faults, linger) && !apart(token[0], s, faults) {
					all = append(all, v)
				}
			}
			used[s.Host] = max(used[s.Host], s.To)
		}
	}
	return count, all
}

// apart reports whether a token was used for the first time while balancers couldn't ask each other,
// and a host came, went or failed: two of them may send it to two hosts then, and until that is found
// out (docs/guarantees.md). first is the token's first serving.
func apart(first, s record.Serving, faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		differ := slices.ContainsFunc(faults, func(o Fault) bool { return len(o.Hosts) > 0 && o.between(f.From, f.To, back) })
		return f.Kind == Partition && differ && f.between(first.From, first.From, resent) && s.From <= later(f.To, back)
	})
}

// returns reports whether a token has lost a terminal, by a fault of the host to which it goes, or by
// one after which its end is noticed late on any: the balancers then count the end as a use that
// is later than those on other hosts.
func returns(s record.Serving, token []record.Serving, faults []Fault, linger time.Duration) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		hangs := f.Kind == Power || f.Kind == Freeze || f.Kind == CutMost
		lost := func(before record.Serving) bool {
			at := slices.Contains(f.Hosts, before.Host) && (hangs || before.Host == s.Host)
			return at && before.Terminal && before.From <= f.From && f.From <= before.To
		}
		return bounds[f.Kind].cut != Never && f.between(s.From, s.From, linger) && slices.ContainsFunc(token, lost)
	})
}

// latest returns the host that a token used last, as of now.
func latest(used map[string]time.Duration, now time.Duration) (host string) {
	for _, h := range slices.Sorted(maps.Keys(used)) {
		if host == "" || min(used[h], now) > min(used[host], now) {
			host = h
		}
	}
	return host
}

// thawed reports whether a host served what had been sent to it while it was stopped, or a request
// that the network had withheld: TCP sends it again, though nobody waits for the answer any more.
func thawed(s record.Serving, faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		switch {
		case !slices.Contains(f.Hosts, s.Host) || s.From <= f.From:
			return false
		case f.Kind == Freeze:
			return s.From < later(f.To, slack)
		}
		cut := f.Kind == CutMost || f.Kind == CutOne || f.Kind == OneWay
		return cut && !s.Terminal && s.From >= f.To && s.From < later(f.To, resent)
	})
}

// move judges one move, to a serving from a host that had the token until a time.
func move(s record.Serving, from string, until time.Duration, faults []Fault, linger time.Duration) (Violation, bool) {
	since := min(until, s.From)
	if s.From-since > linger || allowed(faults, since-moment, s.From, []string{from}, "", func(b bound) time.Duration { return b.move }) {
		return Violation{}, false
	}
	return Violation{
		Rule: "move", Token: s.Token, At: s.From,
		Text: fmt.Sprintf("it went from %s to %s, %v after its last use there, and %s could serve it all the time", from, s.Host, round(s.From-since), from),
	}, true
}

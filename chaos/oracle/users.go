package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/chaos/record"
)

// What users see.
const (
	Opened   = "opened"   // a terminal
	Second   = "second"   // a terminal beside one that is open
	Closed   = "closed"   // a terminal, by the user
	Ended    = "ended"    // a terminal, by something else
	Hung     = "hung"     // a terminal that answers nothing
	Strange  = "strange"  // a terminal that another host answers
	Answered = "answered" // a request
	Failed   = "failed"   // a request, or the opening of a terminal
)

// An Event is what a user has seen.
type Event struct {
	Token    string // its digest
	What     string
	Began    time.Duration // of a request, or when the answer was due
	At       time.Duration
	Balancer string
	Host     string // "" if it isn't known
	Text     string
}

// Users returns what users have seen that no fault allows. A user who gets nothing but failures
// for longer than patience, whatever the faults, is a violation, too.
func Users(events []Event, servings []record.Serving, faults []Fault, patience time.Duration) (all []Violation) {
	served := byToken(servings)
	for _, e := range events {
		if v, bad := judge(e, served[e.Token], faults); bad {
			all = append(all, v)
		}
	}
	return append(all, outages(events, faults, patience)...)
}

// elsewhere is part of what a balancer says to a terminal that it ends because the token has a
// terminal on another host: the fault may be that one's.
const elsewhere = "at another host"

// judge says whether an event is a violation.
func judge(e Event, served []record.Serving, faults []Fault) (Violation, bool) {
	v := Violation{Rule: e.What, Token: e.Token, At: e.At, Text: fmt.Sprintf("through %s on %s: %s", e.Balancer, cmp.Or(e.Host, "an unknown host"), e.Text)}
	part := func(b bound) time.Duration { return b.fail }
	hosts := []string{e.Host}
	switch e.What {
	case Strange:
		return v, true
	case Ended, Hung:
		if strings.Contains(e.Text, elsewhere) {
			hosts = append(around(served, e.Began, e.At), e.Host)
		}
		part = func(b bound) time.Duration { return max(b.cut, b.overlap) }
	case Failed:
		hosts = around(served, e.Began, e.At)
		if e.Host != "" { // which none has served: its balancer had chosen it
			hosts = append(hosts, e.Host)
		}
	default:
		return v, false
	}
	if through(faults, e, hosts, part) {
		return v, false
	}
	return v, true
}

// through reports whether a fault of the hosts, or of the balancer, allows an event.
func through(faults []Fault, e Event, hosts []string, part func(bound) time.Duration) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		// Who fails a user may be the host that he had, or the one that he gets.
		concerns := f.concerns(hosts, e.Balancer) || len(hosts) == 0 && (len(f.Balancers) == 0 || slices.Contains(f.Balancers, e.Balancer))
		return concerns && f.between(e.Began, e.At, part(f.bound(faults, hosts)))
	})
}

// around returns the hosts of a token about a time: the last before, those meanwhile, and the
// next. It returns none if no host has served the token by then: any may have failed it.
func around(served []record.Serving, from, to time.Duration) (hosts []string) {
	var before, after string
	known := false
	for _, s := range served {
		known = known || s.From <= from
		switch {
		case s.To < from:
			before = s.Host
		case s.From <= to:
			hosts = append(hosts, s.Host)
		case after == "":
			after = s.Host
		}
	}
	if !known {
		return nil
	}
	for _, h := range []string{before, after} {
		if h != "" {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// outages returns the users who have got nothing but failures for longer than patience. While the
// machine stalls, time stands still; and who hasn't asked for so long begins anew.
func outages(events []Event, faults []Fault, patience time.Duration) (all []Violation) {
	since, last, reported := map[string]Event{}, map[string]time.Duration{}, map[string]bool{}
	for _, e := range events {
		switch e.What {
		case Opened, Second, Answered:
			delete(since, e.Token)
			delete(reported, e.Token)
		case Failed:
			first, known := since[e.Token]
			if known && e.Began-last[e.Token] > patience {
				known = false
			}
			if last[e.Token] = e.At; !known {
				since[e.Token] = e
			}
			if known && !reported[e.Token] && e.At-first.Began-stalled(faults, first.Began, e.At) > patience {
				reported[e.Token] = true
				all = append(all, Violation{
					Rule: "outage", Token: e.Token, At: first.Began,
					Text: fmt.Sprintf("its user got nothing for %v, whichever balancer he asked; at first: %s", round(e.At-first.Began), first.Text),
				})
			}
		}
	}
	return all
}

func stalled(faults []Fault, from, to time.Duration) (sum time.Duration) {
	for _, f := range faults {
		if f.Kind == Stall {
			sum += max(0, min(f.To, to)-max(f.From, from))
		}
	}
	return sum
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// around is how much of a token's time is shown before a violation, and after it.
const (
	before = 40 * time.Second
	after  = 15 * time.Second
)

// A line is one moment of a timeline.
type line struct {
	at   time.Duration
	text string
}

// timeline prints what happened to a token around a violation: what hosts have recorded, what its
// user saw, what balancers have logged, and all faults.
func (r *result) timeline(out io.Writer, v oracle.Violation) {
	lines := append(r.served(v.Token), r.seen(v.Token)...)
	lines = append(lines, r.logged(v.Token)...)
	for _, f := range r.faults {
		lines = append(lines, line{f.From, "fault  " + f.String()}, line{f.To, "over   " + f.String()})
	}
	lines = slices.DeleteFunc(lines, func(l line) bool { return l.at < v.At-before || l.at > v.At+after })
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range lines {
		fmt.Fprintf(out, "    %8.3f %s\n", (l.at - r.began).Seconds(), l.text)
	}
}

func (r *result) served(token string) (lines []line) {
	for _, s := range r.servings {
		if s.Token != token {
			continue
		}
		kind := "request"
		if s.Terminal {
			kind = "terminal"
		}
		lines = append(lines, line{s.From, fmt.Sprintf("host   %s begins a %s", s.Host, kind)})
		if s.To != record.Open {
			lines = append(lines, line{s.To, fmt.Sprintf("host   %s: the %s of %.3f has ended", s.Host, kind, (s.From - r.began).Seconds())})
		}
	}
	return lines
}

func (r *result) seen(token string) (lines []line) {
	for _, e := range r.events {
		if e.Token == token {
			text := fmt.Sprintf("user   %s through %s %s %s (since %.3f)", e.What, e.Balancer, e.Host, e.Text, (e.Began - r.began).Seconds())
			lines = append(lines, line{e.At, text})
		}
	}
	return lines
}

package main

import (
	"fmt"
	"time"
)

// measurements returns all measurements there are, in the order of their letters.
func (s *stage) measurements() []measurement {
	w := window{ides: s.ides, warmUp: s.warmUp, length: s.window}
	small := wrk{window: w, path: smallPath, connections: 64, tokens: 4096}
	large := wrk{window: w, path: largePath, connections: 16, tokens: 4096}
	all := []measurement{
		costs("a", "small answers, 64 keep-alive connections, plain", "request", false, small, goal{1.1, 0.9}),
		costs("a", "small answers, 64 keep-alive connections, TLS", "request", true, small, goal{1.0, 0.8}),
		costs("b", "answers of 1 MiB, 16 keep-alive connections, plain", "answer", false, large, goal{1.1, 1.0}),
		costs("b", "answers of 1 MiB, 16 keep-alive connections, TLS", "answer", true, large, goal{1.0, 0.9}),
		costs("c", "new TLS 1.3 connections with one request, not resumed", "connection", true, visits{w}, goal{1.0, 0.8}),
	}
	for _, n := range s.idle {
		all = append(all, keeps(n, false, goal{0.6, 0.33}), keeps(n, true, goal{0.6, 0.4}))
	}
	all = append(all, s.talks(false), s.talks(true))
	return append(all, s.waves(), stays(s.idle[0], false), stays(s.idle[0], true))
}

// chosen returns the measurements with one of the letters; all, if there are
// none.
func chosen(all []measurement, letters []string) ([]measurement, error) {
	if len(letters) == 0 {
		return all, nil
	}
	var some []measurement
	wanted := map[string]bool{}
	for _, l := range letters {
		wanted[l] = false
	}
	for _, m := range all {
		if _, ok := wanted[m.letter]; ok {
			wanted[m.letter] = true
			some = append(some, m)
		}
	}
	for l, found := range wanted {
		if !found {
			return nil, fmt.Errorf("there is no measurement %q: want letters from a to g, such as --only d,e", l)
		}
	}
	return some, nil
}

// costs asks for the CPU time of each unit of a load that keeps the proxy busy.
func costs(letter, title, unit string, tls bool, l load, g goal) measurement {
	return measurement{letter: letter, title: title, tls: tls, saturating: true, trial: inTurn{sample: costOf(l)}, figures: []figure{
		{name: "CPU per " + unit, unit: "µs", digits: 1, goal: g},
	}}
}

// keeps asks for the memory of each of n idle terminals.
func keeps(n int, tls bool, g goal) measurement {
	title := fmt.Sprintf("%d idle terminals, %s", n, clearOrTLS(tls))
	t := memory{clients: n, come: "open", then: []order{{Do: "greet", Rate: greetRate}}}
	return measurement{letter: "d", title: title, tls: tls, trial: t, seldom: true, figures: []figure{
		{name: "each, before any message", unit: "KB", digits: 1, goal: g, against: "haproxy", signed: true},
		{name: "in all", unit: "MB", digits: 1, against: "haproxy"},
		{name: "each, after a message", unit: "KB", digits: 1, goal: g, against: "haproxy", signed: true},
		{name: "in all then", unit: "MB", digits: 1, against: "haproxy"},
	}}
}

// stays asks for the memory of each of n connections that are kept alive after a
// request.
func stays(n int, tls bool) measurement {
	title := fmt.Sprintf("%d connections kept alive, %s", n, clearOrTLS(tls))
	t := memory{clients: n, come: "stay"}
	return measurement{letter: "g", title: title, tls: tls, trial: t, seldom: true, figures: []figure{
		{name: "each, after a request", unit: "KB", digits: 1, against: "haproxy", signed: true},
		{name: "in all", unit: "MB", digits: 1, against: "haproxy"},
	}}
}

// talks asks what the messages of many terminals cost, and how long they take.
func (s *stage) talks(tls bool) measurement {
	title := fmt.Sprintf("%d terminals, a message every %v each, %s", s.talking, s.every, clearOrTLS(tls))
	g := goal{1.1, 0.9}
	return measurement{letter: "e", title: title, tls: tls, trial: inTurn{ownHosts: true, sample: s.talk}, figures: []figure{
		{name: "CPU per echo", unit: "µs", digits: 1, goal: g},
		{name: "round trip, median", unit: "µs"},
		{name: "round trip, 99th percentile", unit: "µs", goal: g},
	}}
}

// waves asks what those who stay notice of many who come at once.
func (s *stage) waves() measurement {
	title := fmt.Sprintf("%d terminals that talk while %d more open at once, TLS", s.talking, s.wave)
	g := goal{1.1, 0.9}
	return measurement{letter: "f", title: title, tls: true, trial: inTurn{ownHosts: true, sample: s.flood}, figures: []figure{
		{name: "median before", unit: "ms", digits: 2},
		{name: "99th percentile before", unit: "ms", digits: 2},
		{name: "longest before", unit: "ms", digits: 2},
		{name: "median during", unit: "ms", digits: 2, goal: g},
		{name: "99th percentile during", unit: "ms", digits: 2, goal: g},
		{name: "longest during", unit: "ms", digits: 2},
		{name: "the wave", unit: "ms", goal: g},
	}}
}

func clearOrTLS(tls bool) string {
	if tls {
		return "TLS"
	}
	return "plain"
}

func in(unit, d time.Duration) float64 { return float64(d) / float64(unit) }

package route

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// TestWeightsPageIsCurrent computes the tables of docs/weights.md again.
func TestWeightsPageIsCurrent(t *testing.T) {
	if racing {
		t.Skip("only one goroutine computes, and with the race detector it takes ten times as long")
	}
	wantPage(t, "../docs/weights.md", map[string]string{"steps": stepsTable(), "policies": policiesTable(t)})
}

func stepsTable() string {
	table := "| `slow_start` | a step | takes | first after | all after |\n|---|---|---|---|---|\n"
	for _, lasts := range []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour} {
		r := NewSlowStart(t0, lasts)
		part := "all"
		if r.parts > 1 {
			part = fmt.Sprintf("1/%d", r.parts)
		}
		table += fmt.Sprintf("| %s | %s | %s | %s to %s | %s to %s |\n",
			short(lasts), short(r.step), part, short(r.step), short(2*r.step), short(lasts-r.step), short(lasts))
	}
	return table
}

// short returns 1m instead of 1m0s.
func short(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

func policiesTable(t *testing.T) string {
	table := "| policy | one joins: at once | at half time | twice | five join: moves each | elsewhere for a while |\n|---|---|---|---|---|---|\n"
	for _, p := range pagePolicies {
		one, many := joinOne(t, p.cfg), joinFive(t, p.cfg)
		table += fmt.Sprintf("| %s | %s | %.2f | %s | %.2f | %s |\n", p.name,
			percent(one.atOnce, len(one.first)), one.half, percent(one.twice, len(one.first)),
			float64(many.moves)/float64(many.needed), percent(many.astray, len(many.first)))
	}
	return table
}

func percent(n, of int) string {
	if n == 0 {
		return "0"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", 100*float64(n)/float64(of)), ".00") + " %"
}

// A history counts how tokens moved while hosts joined.
type history struct {
	first  places
	count  []int // moves, by token
	atOnce int   // elsewhere when the host came
	half   float64
	twice  int // that moved more than once
	moves  int // of tokens that are elsewhere in the end
	needed int // tokens that are
	astray int // tokens that aren't, and were meanwhile
}

func crowd(t *testing.T, cfg balancer.Config) *sim {
	t.Helper()
	s := newSim(t, cfg, 10)
	for len(s.keys) < 5_000 {
		s.keys = append(s.keys, fmt.Appendf(nil, "more-%d", len(s.keys)))
	}
	return s
}

// sum counts the tokens that have moved since the first places.
func (h *history) sum(last places) {
	for key, n := range h.count {
		switch {
		case n > 1 && last[key] == h.first[key]:
			h.astray++
			h.twice++
		case n > 1:
			h.twice++
		}
		if last[key] != h.first[key] {
			h.needed++
			h.moves += n
		}
	}
}

func joinOne(t *testing.T, cfg balancer.Config) history {
	t.Helper()
	s := crowd(t, cfg)
	h := history{first: s.look(), count: make([]int, len(s.keys))}
	s.comes("new")
	at := s.look()
	moved := h.first.to(at)
	h.atOnce = len(moved)
	for _, m := range moved {
		h.count[m.key]++
	}
	all := s.owners().count("new")
	began := s.now
	s.finish(func(moves []move) {
		for _, m := range moves {
			h.count[m.key]++
		}
		if s.now.Sub(began) <= s.lasts/2 {
			h.half = float64(s.look().count("new")) / float64(all)
		}
	})
	h.sum(s.look())
	return h
}

func joinFive(t *testing.T, cfg balancer.Config) history {
	t.Helper()
	s := crowd(t, cfg)
	h := history{first: s.look(), count: make([]int, len(s.keys))}
	at := h.first
	note := func(moves []move) {
		for _, m := range moves {
			h.count[m.key]++
		}
	}
	for i := range 5 {
		s.comes(fmt.Sprintf("new-%d", i))
		next := s.look()
		note(at.to(next))
		s.pass(s.lasts / 20)
		at = s.look()
		note(next.to(at))
	}
	s.finish(note)
	h.sum(s.look())
	return h
}

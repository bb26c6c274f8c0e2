package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// pageFactors are the bounds of the page's table.
var pageFactors = []float64{1.1, 1.25, 1.5, 2}

const pageUsers = 1000

// TestBoundedLoadPageIsCurrent computes the table of docs/bounded-load.md again: ten
// hosts, each policy with its defaults. With -update it writes the table.
func TestBoundedLoadPageIsCurrent(t *testing.T) {
	if racing {
		t.Skip("only one goroutine computes, and with the race detector it takes ten times as long")
	}
	wantPage(t, "../docs/bounded-load.md", map[string]string{"spread": spreadTable(t)})
}

func spreadTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| policy | overflow of one host: shares of the other nine | fullest host without a bound |")
	for _, factor := range pageFactors {
		fmt.Fprintf(&b, " away at %v |", factor)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(pageFactors)) + "\n")
	for _, p := range pagePolicies {
		s := boundedSnapshot(t, p.cfg, 0, slices.Repeat([]int{1}, 10)...)
		least, most := overflowShares(s)
		fmt.Fprintf(&b, "| `%s` | %.0f–%.0f %% | %.2f |", p.name, 100*least, 100*most, fullest(s))
		for _, factor := range pageFactors {
			fmt.Fprintf(&b, " %.1f %% |", 100*float64(fill(s, factor))/pageUsers)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// overflowShares fills one host after the other, and returns the least and the
// greatest share of a full host's keys that one of the others gets.
func overflowShares(s *Snapshot) (least, most float64) {
	least = 1
	tokens := make([][][]byte, len(s.hosts)) // by owner
	for _, token := range pageTokens(50_000) {
		owner := s.Table.Owner(token)
		tokens[owner] = append(tokens[owner], token)
	}
	for i, full := range s.hosts {
		empty(s, 1.25)
		full.Gauges.Sessions.Store(1000)
		count := map[string]int{}
		for _, token := range tokens[i] {
			c, _ := s.Place(s.Key(token), Placement{}, nil, time.Now())
			count[c.Host.Name]++
		}
		for _, h := range s.hosts {
			if h != full {
				share := float64(count[h.Name]) / float64(len(tokens[i]))
				least, most = min(least, share), max(most, share)
			}
		}
	}
	return least, most
}

// fullest returns how many times its share the fullest host has, when pageUsers have a
// terminal each and there is no bound.
func fullest(s *Snapshot) float64 {
	fill(s, 0)
	most := int64(0)
	for _, h := range s.hosts {
		most = max(most, h.Gauges.Sessions.Load())
	}
	return float64(most) / pageUsers * 10
}

// fill opens a terminal for each token, and returns how many tokens are away.
func fill(s *Snapshot, factor float64) (away int) {
	empty(s, factor)
	for _, token := range pageTokens(pageUsers) {
		c, _ := s.Place(s.Key(token), Placement{}, nil, time.Now())
		c.Host.Gauges.Sessions.Add(1)
		if c.Placement().Away {
			away++
		}
	}
	return away
}

// empty ends all terminals, and sets another bound.
func empty(s *Snapshot, factor float64) {
	s.BoundedLoad = factor
	for _, h := range s.hosts {
		h.Gauges.Sessions.Store(0)
	}
}

// pageTokens returns n tokens as sites make them, the same each time.
func pageTokens(n int) [][]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	tokens := make([][]byte, n)
	for i := range tokens {
		tokens[i] = fmt.Appendf(nil, "%016x%016x", rng.Uint64(), rng.Uint64())
	}
	return tokens
}

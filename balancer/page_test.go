package balancer

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables and the plot of docs/hashing.md")

const (
	pageFile = "../docs/hashing.md"
	plotFile = "../docs/hashing.svg"
)

// paged are the policies of the page, at their defaults.
var paged = []struct {
	name   string
	cfg    Config
	weight int // of every host
}{
	{"consistent", Config{}, 1},
	{"rendezvous", Config{Policy: PolicyRendezvous}, 1},
	{"maglev", Config{Policy: PolicyMaglev}, 1},
	{"ketama", Config{Policy: PolicyKetama}, 1},
	{"haproxy, weight 1", Config{Policy: PolicyHAProxy}, 1},
	{"haproxy, weight 100", Config{Policy: PolicyHAProxy}, 100},
	{"haproxy, map-based", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}, 1},
}

// pageSizes are the numbers of hosts of the page.
var pageSizes = []int{3, 10, 50, 200}

// A trial is what one policy does with one number of hosts.
type trial struct {
	name                 string
	hosts                int
	least, most          float64 // share, in fair shares
	leave, join, heavier Movement
	successors           int     // hosts that get keys of the host that leaves
	greatest             float64 // part of them that goes to one successor
}

// try forecasts the tables of a policy, as other tests compare with the library's. The host
// in the middle of the list leaves, or gets twice its weight.
func try(t *testing.T, name string, cfg Config, n, weight int) trial {
	t.Helper()
	hosts := fleet(n)
	for i := range hosts {
		hosts[i].Weight = weight
	}
	forecaster, err := NewForecaster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := rebuild(t, forecaster, hosts...)
	middle := hosts[n/2].Name
	after := func(c Change) Movement {
		changed, err := c.Apply(hosts)
		if err != nil {
			t.Fatal(err)
		}
		return Compare(before, rebuild(t, forecaster, changed...))
	}
	made := trial{
		name:    name,
		hosts:   n,
		least:   slices.Min(before.Shares()) * float64(n),
		most:    slices.Max(before.Shares()) * float64(n),
		leave:   after(Change{Leave: []string{middle}}),
		join:    after(Change{Join: []Host{{Name: "ide-9999", ID: 9999, Weight: weight}}}),
		heavier: after(Change{Weights: map[string]int{middle: 2 * weight}}),
	}
	own := 0.0
	for _, r := range made.leave.Routes {
		if r.From == middle {
			made.successors++
			own += r.Share
			made.greatest = max(made.greatest, r.Share)
		}
	}
	made.greatest /= own
	return made
}

// row writes a trial as a row of the page's table.
func (m trial) row() string {
	moved := func(m Movement) string {
		return fmt.Sprintf("%.2f | %s", m.Moved/m.Ideal, percent(m.Astray))
	}
	return fmt.Sprintf("| %s | %.2f–%.2f | %s | %d, %.0f %% | %s | %s |",
		m.name, m.least, m.most, moved(m.leave), m.successors, 100*m.greatest, moved(m.join), moved(m.heavier))
}

// percent writes zero as 0, and a share that would be rounded to zero as less than the
// least that is shown.
func percent(share float64) string {
	switch {
	case share == 0:
		return "0"
	case share < 0.00005:
		return "< 0.01 %"
	}
	return fmt.Sprintf("%.2f %%", 100*share)
}

// trials makes those of one number of hosts.
func trials(t *testing.T, n int) []trial {
	t.Helper()
	var made []trial
	for _, p := range paged {
		made = append(made, try(t, p.name, p.cfg, n, p.weight))
	}
	return made
}

// sizeTable writes the trials of one number of hosts.
func sizeTable(made []trial) string {
	var b strings.Builder
	b.WriteString("| policy | shares | leave: moved | astray | successors | join: moved | astray | weight × 2: moved | astray |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range made {
		b.WriteString(m.row() + "\n")
	}
	return b.String()
}

// TestHashingPageIsCurrent computes the page's tables and its plot again. With
// -update it writes them. Under the race detector only the smallest is computed.
func TestHashingPageIsCurrent(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	var made []trial
	for _, n := range pageSizes {
		if racing && n > 3 && !*update {
			continue
		}
		group := trials(t, n)
		made = append(made, group...)
		page = block(t, page, fmt.Sprintf("%d hosts", n), sizeTable(group))
	}
	page = block(t, page, "golden", pins(t))
	if made := plot(made); !racing {
		current(t, plotFile, []byte(made))
	}
	current(t, pageFile, page)
}

// pins writes where known keys go, for each policy.
func pins(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| policy | digest | `alice` | `bob` |\n|---|---|---|---|\n")
	for _, p := range paged {
		hosts := fleet(10)
		for i := range hosts {
			hosts[i].Weight = p.weight
		}
		table := build(t, p.cfg, hosts...)
		owner := func(key string) string { return table.Hosts()[table.Owner([]byte(key))].Name }
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", p.name, table.Digest(), owner("alice"), owner("bob"))
	}
	return b.String()
}

// block returns page with text between the marks of that name.
func block(t *testing.T, page []byte, name, text string) []byte {
	t.Helper()
	begin, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- end -->")
	i := bytes.Index(page, begin)
	if i < 0 {
		t.Fatalf("%s has no block %q", pageFile, name)
	}
	i += len(begin)
	length := bytes.Index(page[i:], end)
	if length < 0 {
		t.Fatalf("the block %q of %s has no end", name, pageFile)
	}
	return slices.Concat(page[:i], []byte(text), page[i+length:])
}

// current compares a file with what it should hold, or writes it.
func current(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	was, is := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Fatalf("%s, line %d is\n%s\nbut should be\n%s\nrun go test ./balancer -run HashingPage -update", file, i+1, was[i], is[i])
		}
	}
	t.Fatalf("%s has %d lines but should have %d: run go test ./balancer -run HashingPage -update", file, len(was), len(is))
}

// TestHashingPageNamesEveryParameter keeps the page complete.
func TestHashingPageNamesEveryParameter(t *testing.T) {
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	words := append(slices.Clone(policies), "seed", "partitions", "replicas", "load", "slots", "points", "type", "avalanche", "hash_key", HAProxyMapBased, HAProxyHashKey30)
	for _, word := range append(words, slices.Sorted(maps.Keys(haproxyFunctions))...) {
		if !bytes.Contains(page, []byte("`"+word+"`")) {
			t.Errorf("%s doesn't explain `%s`", pageFile, word)
		}
	}
}

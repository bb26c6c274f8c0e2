package waits

import (
	"fmt"
	"strings"
	"testing"

	"tokenring/balancer"
)

// placeOf returns the place of a text: out, away, or the weight in the ring, with * if the keys
// are with other hosts.
func placeOf(name, text string) Place {
	p := Place{Host: balancer.Host{Name: name, Weight: 1}, InRing: true}
	switch {
	case text == "out":
		return Place{}
	case strings.HasSuffix(text, "*"):
		p.Away = true
	}
	fmt.Sscan(strings.TrimSuffix(text, "*"), &p.Host.Weight)
	return p
}

func (p Place) text() string {
	switch {
	case !p.InRing:
		return "out"
	case p.Away:
		return fmt.Sprintf("%d*", p.Host.Weight)
	}
	return fmt.Sprint(p.Host.Weight)
}

// hostOf returns the host of a text: its name, its place in the ring in force and after it, and
// what else there is: new, atonce.
func hostOf(text string) Host {
	words := strings.Fields(text)
	h := Host{Before: placeOf(words[0], words[1]), After: placeOf(words[0], words[2]), WhyOut: "draining"}
	h.Up, h.Known = !h.After.Away, !strings.Contains(text, " new")
	h.AtOnce = strings.Contains(text, " atonce")
	if !h.After.InRing {
		h.After.Host.Name = words[0]
	}
	return h
}

func TestWhatWaits(t *testing.T) {
	for _, row := range []struct{ hosts, want, changes string }{
		{"a 1 1", "1", ""},
		{"a 1 1, b out 1 new", "1 out", "b joins"},
		{"a 1 1, b out 1", "1 out", "b returns"},
		{"a 1 1, b 1* 1", "1 1*", "b returns"},
		{"a 1 1, b 1* 1 atonce", "1 1", ""},
		{"a 1 1, b 1 1*", "1 1*", ""},          // it fails
		{"a 1 1, b 1 out atonce", "1 out", ""}, // it leaves
		{"a 1 1, b 1 out", "1 1", "b leaves the ring: draining"},
		{"a 1 1, b 1* out", "1 1*", "b leaves the ring: draining"},
		{"a 1 1, b out out", "1 out", ""},
		{"a 10 20, b 1 1", "10 1", "a: weight 10 → 20"},
		{"a 10 20*, b 1 1", "10* 1", "a: weight 10 → 20"},
		{"a 1 1, b out 1*", "1 out", "b returns"}, // it was drained, and fails its checks
		// An outage is worse than a token on two hosts.
		{"a 1* 1, b 1* 1*", "1 1*", ""},
		{"a 1 out atonce, b out 1 new", "out 1", ""},
		{"a 1 1, b 1* 1, c out 1", "1 1 1", ""},
		{"a 1 1, b 1* 1, c out 1 new", "1 1* out", "b returns, c joins"},
		{"a 1 1, b 1* 1, c out 1, d out 1 new", "1 1 1 out", "d joins"},
		{"a 1 1, b out 1 new, c out 1 new", "1 out out", "b joins, c joins"},
		{"a 1 1, b 1 1, c 1* 1, d out 1", "1 1 1* out", "c returns, d returns"},
	} {
		var hosts []Host
		for text := range strings.SplitSeq(row.hosts, ",") {
			hosts = append(hosts, hostOf(strings.TrimSpace(text)))
		}
		places, changes := Hold(hosts)
		var got []string
		for _, p := range places {
			got = append(got, p.text())
		}
		if strings.Join(got, " ") != row.want || strings.Join(changes, ", ") != row.changes {
			t.Errorf("%s: got %v, %q; want %s, %q", row.hosts, got, changes, row.want, row.changes)
		}
	}
}

func TestAnotherIDWaits(t *testing.T) {
	h := hostOf("a 1 1")
	h.After.Host.ID = 7
	places, changes := Hold([]Host{h, hostOf("b 1 1")})
	if places[0] != h.Before || len(changes) != 1 || changes[0] != "a: id 0 → 7" {
		t.Errorf("got %+v, %q", places[0], changes)
	}
}

package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

var epochOfList = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// openFor opens a terminal of a key on a host that has been idle for some minutes.
func openFor(s *Sessions, key Key, host string, idle int) *fakeTunnel {
	terminal, tunnel := open(s)
	tunnel.detail = &Detail{Opened: epochOfList, Idle: time.Duration(idle) * time.Minute, Client: "192.0.2.0/24"}
	s.Add(key, &route.Endpoint{Name: host}, terminal, keepsNothing)
	return tunnel
}

func keepsNothing(string) bool { return false }

// numbered returns a key whose digest begins with n.
func numbered(n byte) Key { return Key{Digest: balancer.Digest{n}} }

// listed writes a page as "key@host idle" in one line.
func listed(p Page) string {
	var all []string
	for _, t := range p.Terminals {
		all = append(all, fmt.Sprintf("%d@%s %v", t.Digest[0], t.Host, t.Idle))
	}
	return fmt.Sprintf("%s of %d", strings.Join(all, ", "), p.Total)
}

func TestAPageHasTheTerminalsThatWereIdleTheLongest(t *testing.T) {
	s := New()
	for i := range 4 {
		openFor(s, numbered(byte(i+1)), []string{"a", "b"}[i%2], i)
	}
	openFor(s, numbered(4), "b", 9)                                           // the second of its key
	s.Add(numbered(5), &route.Endpoint{Name: "a"}, mustOpen(s), keepsNothing) // isn't open yet
	openFor(s, numbered(6), "a", 7).End("left")                               // has ended
	four := balancer.Digest{4}
	text, _ := four.MarshalText()
	for _, row := range []struct {
		what string
		sel  Selection
		want string
	}{
		{"all", Selection{Limit: 10}, "4@b 9m0s, 4@b 3m0s, 3@a 2m0s, 2@b 1m0s, 1@a 0s of 5"},
		{"a limit", Selection{Limit: 2}, "4@b 9m0s, 4@b 3m0s of 5"},
		{"a host", Selection{Limit: 10, Host: "a"}, "3@a 2m0s, 1@a 0s of 2"},
		{"no such host", Selection{Limit: 10, Host: "c"}, " of 0"},
		{"idle", Selection{Limit: 10, Idle: 2 * time.Minute}, "4@b 9m0s, 4@b 3m0s, 3@a 2m0s of 3"},
		{"a key", Selection{Limit: 10, Keys: []string{four.String()}}, "4@b 9m0s, 4@b 3m0s of 2"},
		{"the whole digest", Selection{Limit: 10, Keys: []string{string(text)}}, "4@b 9m0s, 4@b 3m0s of 2"},
		{"another digest that begins so", Selection{Limit: 10, Keys: []string{four.String() + "1"}}, " of 0"},
	} {
		if got := listed(s.Page(row.sel)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
	}
	if got := listed(Merge(2, s.Page(Selection{Limit: 10, Host: "a"}), s.Page(Selection{Limit: 10, Host: "b"}))); got != "4@b 9m0s, 4@b 3m0s of 5" {
		t.Errorf("merged: %s", got)
	}
}

func mustOpen(s *Sessions) *Terminal {
	terminal, _ := open(s)
	return terminal
}

func TestKeysAreBeginningsOfDigests(t *testing.T) {
	for _, k := range []string{"0123456789ab", strings.Repeat("0f", 16)} {
		if err := (Selection{Keys: []string{k}}).CheckKeys(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	for _, k := range []string{"", "0123456789a", "0123456789aB", "0123456789ag", strings.Repeat("0f", 17)} {
		if err := (Selection{Keys: []string{k}}).CheckKeys(); err == nil {
			t.Errorf("%q was taken", k)
		}
	}
}

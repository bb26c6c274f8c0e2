package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// A listedSession is a line of lb ctl sessions.
type listedSession struct {
	Key, Host, Balancer, Client string
	Generation                  int
	Idle                        float64 `json:"idle_seconds"`
	In                          int64   `json:"bytes_in"`
	Out                         int64   `json:"bytes_out"`
}

// sessions returns what lb ctl sessions lists.
func (c *child) sessions(flags ...string) []listedSession {
	c.t.Helper()
	var list struct{ Sessions []listedSession }
	if err := json.Unmarshal([]byte(c.ctl(append([]string{"sessions", "--format", "json"}, flags...)...)), &list); err != nil {
		c.t.Fatal(err)
	}
	return list.Sessions
}

// TestSessionsOfAllGenerationsAreSeenAndEnded, each by its own process.
func TestSessionsOfAllGenerationsAreSeenAndEnded(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	first := c.terminalOf("alice", c.tls)
	c.ctl("reload")
	second := c.terminalOf("bob", c.plain)
	for _, ws := range []*websocket.Conn{first, second} {
		if err := c.echoes(ws); err != nil {
			t.Fatal(err)
		}
	}
	all := c.sessions()
	if len(all) != 2 {
		t.Fatalf("listed %+v, want two", all)
	}
	found := map[int]listedSession{}
	for _, s := range all {
		found[s.Generation] = s
		if s.Host != "ide-1" || s.Balancer != "lb-1" || len(s.Key) != 12 || s.Client != "127.0.0.0/24" || s.In == 0 || s.Out == 0 || s.Idle > 60 {
			t.Errorf("listed %+v", s)
		}
	}
	if len(found) != 2 || found[1].Key == found[2].Key {
		t.Fatalf("listed %+v, want one of each generation", all)
	}
	if got := c.sessions("--idle", "1h"); len(got) != 0 {
		t.Errorf("idle for an hour: %+v", got)
	}
	if got := c.sessions("--host", "ide-2"); len(got) != 0 {
		t.Errorf("on another host: %+v", got)
	}
	if table := c.ctl("sessions"); !strings.HasPrefix(table, "KEY ") || strings.Count(table, "\n") != 3 {
		t.Errorf("the table is %q", table)
	}
	if out, err := c.tryCtl("sessions", "end", "--host", "ide-1"); err == nil || !strings.Contains(out, "2 terminals") {
		t.Errorf("without --yes: %v, %q", err, out)
	}
	if out := c.ctl("sessions", "end", found[1].Key, "--reason", "a test"); out != "1 terminal ended, 0 left\n" {
		t.Errorf("got %q", out)
	}
	if _, _, err := first.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the terminal in the older generation ended with %v", err)
	}
	if err := c.echoes(second); err != nil {
		t.Errorf("the other terminal: %v", err)
	}
	if out := c.ctl("sessions", "end", "--host", "ide-1", "--yes"); out != "1 terminal ended, 0 left\n" {
		t.Errorf("got %q", out)
	}
	if got := c.sessions(); len(got) != 0 {
		t.Errorf("after their end: %+v", got)
	}
}

// TestATokensSessionIsFound, and the token isn't shown.
func TestATokensSessionIsFound(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.terminalOf("alice", c.tls)
	if out := c.ctl("sessions", "find", "nobody"); !strings.Contains(out, " has no terminal; its requests go to ide-1 (owner)") || strings.Contains(out, "nobody") {
		t.Errorf("got %q", out)
	}
	if out := c.ctl("sessions", "find", "alice"); !strings.Contains(out, " has 1 terminal since ") || !strings.Contains(out, "go to ide-1 (session)") || strings.Contains(out, "alice") {
		t.Errorf("got %q", out)
	}
}

// TestATokenHasOneDigestInAllGenerations, though the secret of the digests has changed: with
// two, the token could be on two hosts.
func TestATokenHasOneDigestInAllGenerations(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.terminalOf("alice", c.plain)
	secret := filepath.Join(filepath.Dir(c.config), "state", "digest.key")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0f", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.ctl("reload")
	}
	c.terminalOf("alice", c.plain)
	all := c.sessions()
	if len(all) != 2 || all[0].Key != all[1].Key || all[0].Generation == all[1].Generation {
		t.Errorf("listed %+v, want two terminals of one key", all)
	}
}

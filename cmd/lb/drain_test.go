package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/testlog"
)

// TestADrainClosesTheTerminalsThatWereIdleTheLongest, at its rate, in all generations, and only
// after its deadline.
func TestADrainClosesTheTerminalsThatWereIdleTheLongest(t *testing.T) {
	t.Parallel()
	c := newChild(t, "")
	c.edit("log: {access: false}", "log: {access: true}")
	c.run(0)
	const many, rate = 9, 3
	var all []*websocket.Conn
	for i := range many {
		if i == many/2 {
			c.ctl("reload")
		}
		all = append(all, c.terminalOf(fmt.Sprint("user-", i), c.plain))
	}
	var want []string    // keys
	for i := range all { // so that each is idle longer than the next, through whichever generation
		ws := all[many-1-i]
		if err := c.echoes(ws); err != nil {
			t.Fatal(err)
		}
		want = append(want, c.sessions("--limit", "4000")[many-1].Key)
		pause := 20 * time.Millisecond
		if many-1-i == many/2 { // the next one is in the other process, whose clock of idle times is another one
			pause = 1500 * time.Millisecond
		}
		time.Sleep(pause)
	}
	began := time.Now()
	out := c.ctl("drain", "ide-1", "--deadline", "2s", "--rate", fmt.Sprint(rate), "--wait", "--yes")
	if !strings.Contains(out, "9 terminals left; empty at ") || !strings.HasSuffix(out, "ide-1  [####################]  empty\n") {
		t.Errorf("lb ctl says %q", out)
	}
	var closed []string
	var times []time.Time
	c.wait("nine lines in the access log", func() bool { closed, times = c.drained(); return len(closed) == many })
	for i, key := range closed { // those of one tick are logged by two processes, in any order
		if at := slices.Index(want, key); at < 0 || at <= i-rate || at >= i+rate {
			t.Errorf("closed in the order\n%q, want those first that were idle the longest,\n%q", closed, want)
			break
		}
	}
	if early := began.Add(time.Second); times[0].Before(early) { // deadlines are whole seconds
		t.Errorf("the first was closed %v after the command", times[0].Sub(began))
	}
	for i := range times[:many-2*rate] { // two ticks may be close together on a busy machine, three aren't
		if took := times[i+2*rate].Sub(times[i]); took < 900*time.Millisecond {
			t.Errorf("%d terminals were closed within %v", 2*rate+1, took)
		}
	}
	for _, ws := range all {
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("a terminal ended with %v", err)
		}
	}
}

// drained returns the keys whose terminals a drain has closed, as the access log has them, and
// when.
func (c *child) drained() (keys []string, times []time.Time) {
	for line := range strings.Lines(c.out.String()) {
		var entry struct {
			Time time.Time
			Key  string
			End  string
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.End == "drain" {
			keys, times = append(keys, entry.Key), append(times, entry.Time)
		}
	}
	return keys, times
}

// TestADrainWithoutADeadlineClosesNothing, and ends at any time.
func TestADrainWithoutADeadlineClosesNothing(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	ws := c.terminal(c.plain)
	var out testlog.Buffer
	waiting := exec.Command("lb", "ctl", "-c", c.config, "--address", c.admin, "--token-file", filepath.Join(filepath.Dir(c.config), "admin.token"), "drain", "ide-1", "--wait", "--yes")
	waiting.Stdout, waiting.Stderr = &out, &out
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	c.wait("the drain", func() bool { return strings.Contains(out.String(), "1 terminal left; they stay until they end") })
	if err := c.echoes(ws); err != nil {
		t.Error(err)
	}
	c.ctl("ready", "ide-1", "--yes")
	if err := waiting.Wait(); err == nil || !strings.Contains(out.String(), "somebody has made it ready") {
		t.Errorf("lb ctl ends with %v and says %q", err, out.String())
	}
	if err := c.echoes(ws); err != nil {
		t.Error(err)
	}
	for args, want := range map[string]string{
		"drain":                                  "name the hosts, or give --zone",
		"drain ide-1 --zone b":                   "name the hosts, or give --zone",
		"drain ide-1 --rate 3":                   "--rate needs --deadline",
		"drain ide-1 --deadline 721h":            "--deadline",
		"drain --zone b":                         `no ready host is in the zone "b"`,
		"drain ide-1 --deadline 1h --one-by-one": "this would move 100.0 % of the tokens",
	} {
		if out, err := c.tryCtl(strings.Fields(args)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: got %v, %q, want %q", args, err, out, want)
		}
	}
}

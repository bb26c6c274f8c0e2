package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// messages returns the messages of a JSON log, in order.
func messages(log string) (all []string) {
	for line := range strings.Lines(log) {
		var e struct{ Message string }
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e.Message)
		}
	}
	return all
}

// TestTheLogSaysWhatRunsAndWhatItWaitsFor: an operator who reads only the
// log learns what runs, from which file, where it listens, when it was ready, and when it
// ended.
func TestTheLogSaysWhatRunsAndWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "shutdown: {grace: 300ms}")
	c.terminal(c.plain)
	c.terminal(c.tls)
	c.waitMetric(`lb_host_sessions{host="ide-1"}`, 2)
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	want := []string{
		"starting", "admin endpoint listening", "waiting until hosts are found and checked, 10 s at most",
		"listening", "listening", "ready", "stopping; a second signal ends it at once", "stopped",
	}
	all := messages(c.errOut.String())
	got := slices.DeleteFunc(slices.Clone(all), func(m string) bool { return !slices.Contains(want, m) })
	if !slices.Equal(got, want) {
		t.Errorf("it logged %q, want %q among them", all, want)
	}
	for message, want := range map[string]map[string]any{
		"starting":                 {"version": version(), "file": c.config, "name": "lb-1"},
		"admin endpoint listening": {"address": c.admin},
		"waiting until hosts":      {"listed_hosts": 1.0},
		"ready":                    {"serving": 1.0},
		"stopping":                 {"terminals": 2.0, "delay": "0s", "grace": "300ms"},
	} {
		for key, value := range want {
			if line := c.logged(message)[0]; line[key] != value {
				t.Errorf("%q has %s %v, want %v", message, key, line[key], value)
			}
		}
	}
}

func TestASecondSignalEndsARunAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			c := startChild(t, 0, "shutdown: {grace: 60s}")
			c.terminal(c.plain)
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
			c.wait("the first signal to be heard", func() bool { return len(c.logged("stopping")) == 1 })
			begin := time.Now()
			if got := signalOf(c.end(second)); got != second {
				t.Errorf("ended by %v, want %v", got, second)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(c.logged("a second signal")) != 1 {
				t.Error("it didn't say why")
			}
		})
	}
}

// TestAStopIsToldBeforeListenersClose: whatever asks /readyz has shutdown.delay to send
// new clients elsewhere. Those that come nevertheless are served.
func TestAStopIsToldBeforeListenersClose(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "shutdown: {delay: 60s}")
	old := c.terminal(c.plain)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	c.wait("503", func() bool {
		resp, err := http.Get("http://" + c.admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	if err := c.echoes(c.terminal(c.tls)); err != nil {
		t.Errorf("a new terminal: %v", err)
	}
	if err := c.echoes(old); err != nil {
		t.Errorf("an old terminal: %v", err)
	}
	if got := signalOf(c.end(syscall.SIGTERM)); got != syscall.SIGTERM {
		t.Errorf("ended by %v, want the second signal", got)
	}
}

// TestAStopTellsTerminalsToConnectAgain also holds that a delay ends.
func TestAStopTellsTerminalsToConnectAgain(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "shutdown: {delay: 100ms, grace: 300ms}")
	open := []*websocket.Conn{c.terminal(c.plain), c.terminal(c.tls)}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	for _, ws := range open {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("got %v, want the code 1012", err)
		}
		cancel()
	}
	if err := c.end(0); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestASecondSignalEndsAProcessThatStartedWithItIgnored: shell
// scripts start background processes so, and lb handles the signal nevertheless.
func TestASecondSignalEndsAProcessThatStartedWithItIgnored(t *testing.T) {
	t.Parallel()
	c := newChild(t, "shutdown: {grace: 60s}")
	c.before = "trap '' INT; "
	c.run(0)
	c.terminal(c.plain)
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	c.wait("the first signal to be heard", func() bool { return len(c.logged("stopping")) == 1 })
	if err := c.end(syscall.SIGINT); err == nil || err.Error() != "exit status 130" {
		t.Errorf("ended with %v, want exit status 130", err)
	}
}

// TestTheLogSaysWhenNoClientCanBeServed: that is a change of state.
func TestTheLogSaysWhenNoClientCanBeServed(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.host.Close()
	c.wait("not ready", func() bool { return len(c.logged("not ready")) == 1 })
	if why := c.logged("not ready")[0]["why"]; why != "no host can serve" {
		t.Errorf("why: %v", why)
	}
}

package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// TestClientsOfHTTP2LeaveConnectionsForOthers has many clients that open many
// streams and take nothing of the answers.
func TestClientsOfHTTP2LeaveConnectionsForOthers(t *testing.T) {
	const connections, clients = 64, 20
	for _, tt := range []struct {
		name  string
		trust []netip.Prefix
		most  int64 // requests with hosts at once
	}{
		{"of one source", nil, clients + connections/4/4},
		{"of sources without a limit", loopback, clients + connections/4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, func(l *lab) {
				speaksH2(t)(l)
				l.cfg.TrustedNetworks = tt.trust
				l.cfg.Limits.Connections = connections
			}, newHost(t, "a").on("/big", download(8<<20)))
			for range clients {
				w := l.dialH2(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 0})
				for range 100 {
					w.get("/big")
				}
				w.send(atOnce)
				drain(w)
			}
			inFlight := &l.hosts[0].Gauges.InFlight
			eventuallyIn(t, 20*time.Second, "all that they may have", func() bool { return inFlight.Load() == tt.most })
			for i := range 5 {
				l.dialTLS().send(get(fmt.Sprintf("/plain/%d?token=%s", i, mark))).want(200)
				l.dialH2().wantGet("/stream")
			}
			eventually(t, "no more than that, once the others' requests have ended", func() bool { return inFlight.Load() == tt.most })
			if gaugeValue(l, "lb_http2_streams_refused_total") == 0 || gaugeValue(l, "lb_http2_further_streams") != float64(tt.most-clients) {
				t.Error("the metrics don't tell of it")
			}
		})
	}
}

// TestStreamWaitsForAPlace when there is no place, and isn't made to wait for long.
func TestStreamWaitsForAPlace(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Limits = Limits{Connections: 100, Streams: 1}
		l.cfg.Timeouts.Connect = 500 * time.Millisecond
	}, newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dialH2()
	var held []uint32
	for range 2 {
		held = append(held, w.get("/hold"))
		w.send(atOnce)
		<-asked
	}
	late := w.get("/late")
	w.send(atOnce)
	if r := w.reply(late); r.status() != "503" || !slices.ContainsFunc(r.final.fields, func(f string) bool { return strings.HasPrefix(f, "retry-after: ") }) {
		t.Errorf("got %s", r)
	}
	next := w.get("/next")
	w.send(atOnce)
	eventually(t, "a stream that waits", func() bool { _, waiting := l.p.streams.Usage(); return waiting == 1 })
	letGo <- true
	letGo <- true
	if got := w.statuses(append(held, next)); got["200"] != 3 {
		t.Errorf("got %v", got)
	}
}

// TestStreamThatIsCancelledWhileItWaitsForAPlace isn't one that was refused.
func TestStreamThatIsCancelledWhileItWaitsForAPlace(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	defer close(letGo)
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Limits = Limits{Connections: 100, Streams: 1}
		l.cfg.Timeouts.Connect = 20 * time.Second
	}, newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dialH2()
	for range 2 {
		w.get("/hold")
		w.send(atOnce)
		<-asked
	}
	left := w.get("/left")
	w.send(atOnce)
	eventually(t, "a stream that waits", func() bool { _, waiting := l.p.streams.Usage(); return waiting == 1 })
	w.check(w.WriteRSTStream(left, h2.ErrCodeCancel))
	w.send(atOnce)
	if e := l.logged("/left"); e["end"] != endClientGone || e["status"] != 0.0 {
		t.Errorf("the log says %v", e)
	}
}

// TestIdleConnectionsToHostsLeaveFiles: they are closed before there is no file for
// one that is needed.
func TestIdleConnectionsToHostsLeaveFiles(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Limits.Connections = 2 }, newHost(t, "a"), newHost(t, "b"))
	idle := func(want int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d idle connections", want), func() bool { return l.p.idle.Count() == want })
	}
	first := l.dial()
	for _, name := range []string{"a", "b", "a"} {
		first.send(get("/?token=" + l.token(name))).want(200)
		idle(1) // with the client's, that is one file less than two clients and their hosts need
	}
	second := l.dial().send(get("/?token=" + l.token("b")))
	second.want(200)
	idle(0)
	first.send(get("/?token=" + l.token("a"))).want(200)
	idle(0)
}

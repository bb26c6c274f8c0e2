package proxy

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"tokenring/proxy/metrics"
)

// A slowness is a way in which an HTTP/2 client keeps its connection without
// going on.
type slowness struct {
	name  string
	does  func(w *h2wire) // what it does at all, behind the handshake
	phase string          // of lb_client_timeouts_total, which tells of it; "" for an idle connection's orderly end
}

var slownesses = []slowness{
	{"it says nothing", func(*h2wire) {}, metrics.PhaseStart},
	{"it stops within the preface", func(w *h2wire) { _, _ = io.WriteString(w.nc, h2.ClientPreface[:10]) }, metrics.PhaseStart},
	{"it says no more than hello", func(w *h2wire) { w.send(atOnce) }, ""},
	{"it stops within a frame", func(w *h2wire) {
		w.out.WriteString("\x00\x00\x10\x01\x05")
		w.send(atOnce)
	}, ""},
	{"it stops within a head", func(w *h2wire) {
		w.check(w.WriteHeaders(h2.HeadersFrameParam{StreamID: w.next(), BlockFragment: []byte{0x82}}))
		w.send(atOnce)
	}, ""},
	{"it stops within a body", func(w *h2wire) {
		w.check(w.WriteData(open(w, "/up"), false, []byte("hello")))
		w.send(atOnce)
	}, metrics.PhaseUpload},
	{"it takes nothing of an answer", func(w *h2wire) {
		w.check(w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize}))
		w.get("/down")
		w.send(atOnce)
	}, metrics.PhaseAnswer},
}

// TestHTTP2SlowClientsTimeOut: no connection is kept beyond its time,
// whatever its client leaves unsaid.
func TestHTTP2SlowClientsTimeOut(t *testing.T) {
	t.Parallel()
	for _, s := range slownesses {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, func(l *lab) {
				speaksH2(t)(l)
				l.cfg.Timeouts.Head = time.Second
				l.cfg.Timeouts.Body = 200 * time.Millisecond
				l.cfg.Timeouts.Idle = 500 * time.Millisecond
			}, newHost(t, "a").on("/down", says("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000), true)))
			w := l.dialH2()
			s.does(w)
			_ = w.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, w.nc); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("its connection doesn't end")
			}
			eventually(t, "no connection is counted", func() bool { return gaugeValue(l, "lb_connections") == 0 })
			for _, phase := range []string{metrics.PhaseStart, metrics.PhaseHead, metrics.PhaseUpload, metrics.PhaseAnswer} {
				want := 0.0
				if phase == s.phase {
					want = 1
				}
				if got := l.countTimeout(phase); got != want {
					t.Errorf("%v clients are counted as slow at %q, want %v", got, phase, want)
				}
			}
			if n := l.suspects.Load(); n != 0 {
				t.Errorf("the host was blamed %d times", n)
			}
		})
	}
}

// TestHTTP2ShortAnswerThatIsNotTakenIsReset: its request is over by then, and its
// connection goes on.
func TestHTTP2ShortAnswerThatIsNotTakenIsReset(t *testing.T) {
	t.Parallel()
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Body = 100 * time.Millisecond
	}, newHost(t, "a"))
	w := l.dialH2(h2.Setting{ID: h2.SettingInitialWindowSize})
	id := w.get("/short")
	w.send(atOnce)
	if r := w.reply(id); r.status() != "200" || !strings.Contains(r.end, h2.ErrCodeInternal.String()) {
		t.Errorf("got %s", r)
	}
	w.check(w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1000}))
	w.wantGet("/next")
}

// TestHTTP2DeadlineOfThePrefaceEndsWithIt: a connection may live for longer than
// its beginning may take.
func TestHTTP2DeadlineOfThePrefaceEndsWithIt(t *testing.T) {
	t.Parallel()
	const head = 500 * time.Millisecond
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Head = head
	}, newHost(t, "a"))
	w := l.dialH2()
	w.wantGet("/first")
	<-time.After(head + head/4 + 100*time.Millisecond) // a deadline may be a quarter late
	w.wantGet("/second")
	if n := l.countTimeout(metrics.PhaseStart); n != 0 {
		t.Errorf("%v clients are counted as slow", n)
	}
}

// countTimeout returns how many clients are counted as slow at that.
func (l *lab) countTimeout(phase string) float64 {
	families, _ := l.reg.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "lb_client_timeouts_total" && m.GetLabel()[0].GetValue() == phase {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

package proxy

import (
	"net/http"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

// TestHTTP2ConnectionServesNothingAfterGoAway: a request that comes behind the
// GOAWAY is one that its client sends again elsewhere.
func TestHTTP2ConnectionServesNothingAfterGoAway(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a")
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Idle = 300 * time.Millisecond
	}, h)
	w := l.dialH2()
	w.wantGet("/first")
	last := w.last
	for {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*h2.GoAwayFrame); ok {
			if f.LastStreamID != last || f.ErrCode != h2.ErrCodeNo {
				t.Errorf("got %v, want one for the stream %d", f, last)
			}
			break
		}
	}
	w.get("/late")
	w.send(atOnce)
	if f, ok := w.read(); ok {
		t.Errorf("got %v behind GOAWAY", f)
	}
	for _, e := range l.entries() {
		if e["path"] == "/late" {
			t.Errorf("a late request was served: %v", e)
		}
	}
}

// TestHTTP2ConnectionWithAStreamIsNotIdle, however long that takes.
func TestHTTP2ConnectionWithAStreamIsNotIdle(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Idle = 200 * time.Millisecond
	}, newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dialH2()
	id := w.get("/hold")
	w.send(atOnce)
	<-asked
	time.Sleep(600 * time.Millisecond)
	close(letGo)
	if r := w.reply(id); r.status() != "200" || r.end != "" {
		t.Errorf("got %s", r)
	}
}

// TestHTTP2FloodsLeaveNothingBehind has clients come again and again that are ended
// for their floods.
func TestHTTP2FloodsLeaveNothingBehind(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.TrustedNetworks = loopback // a source would be known for it soon
	}, newHost(t, "a").on("/hold", func(w *wire, _ *http.Request) bool { sink(w); return false }))
	flood := func() {
		w := l.dialH2()
		ended := drain(w)
		for range 400 {
			w.check(w.WriteRSTStream(w.get("/hold"), h2.ErrCodeCancel))
		}
		w.send(atOnce)
		eventuallyIn(t, 20*time.Second, "the connection's end", ended.Load)
		_ = w.nc.NetConn().Close()
	}
	flood()
	before := live()
	const floods, bound = 20, 8 << 20 // for the host of the test keeps something; a flood left most of a megabyte
	for range floods {
		flood()
	}
	eventuallyIn(t, 20*time.Second, "the end of what they had", func() bool { return live() < before+bound })
}

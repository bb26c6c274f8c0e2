package proxy

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

func TestStopLetsHTTP2StreamsFinish(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, speaksH2(t), newHost(t, "a").on("/hold", hold(asked, letGo)))
	idle := l.dialH2()
	idle.wantGet("/before")
	w := l.dialH2()
	id := w.get("/hold")
	w.send(atOnce)
	<-asked
	l.cancel()
	if got := idle.readEnd(); got != h2.ErrCodeNo {
		t.Errorf("the idle connection got GOAWAY with %v", got)
	}
	select {
	case <-l.served:
		t.Fatal("Serve returned with a stream under way")
	default:
	}
	close(letGo)
	if r := w.reply(id); r.status() != "200" || r.end != "" || r.final.body != "done" {
		t.Errorf("got %s", r)
	}
	if got := w.readEnd(); got != h2.ErrCodeNo {
		t.Errorf("the connection got GOAWAY with %v", got)
	}
}

// readEnd reads to the end of the connection, which has to be announced. It
// returns what the latest GOAWAY frame said.
func (w *h2wire) readEnd() (code h2.ErrCode) {
	w.t.Helper()
	for {
		if _, ok := w.read(); !ok {
			break
		}
	}
	if w.goneAway == nil {
		w.t.Errorf("no GOAWAY before %s", w.ended)
		return h2.ErrCodeInternal
	}
	return *w.goneAway
}

func TestStopClosesHTTP2StreamsAfterTheTimeout(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	defer close(letGo)
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.ShutdownGrace = 100 * time.Millisecond
	}, newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dialH2()
	id := w.get("/hold")
	w.send(atOnce)
	<-asked
	l.cancel()
	if r := w.reply(id); r.end == "" && r.status() < "400" {
		t.Errorf("got %s", r)
	}
	l.stop()
	if got := l.logged("/hold")["end"]; got != endClientGone && got != endShutdown {
		t.Errorf("ended by %v", got)
	}
}

func TestHTTP2AndHTTP1ShareAListener(t *testing.T) {
	for _, tt := range []struct {
		name   string
		h2     bool
		offers []string
		want   string
	}{
		{"both sides speak it", true, []string{"h2", "http/1.1"}, "h2"},
		{"an order of the client's own", true, []string{"http/1.1", "h2"}, "h2"},
		{"a client that doesn't", true, []string{"http/1.1"}, "http/1.1"},
		{"a client without ALPN", true, nil, ""},
		{"a listener that doesn't", false, []string{"h2", "http/1.1"}, "http/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := start(t, func(l *lab) {
				speaksH2(t)(l)
				l.listener.HTTP2 = tt.h2
				l.listener.TLS.NextProtos = []string{"http/1.1"}
			}, newHost(t, "a").on("/ws", accept(echo)))
			nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: tt.offers})
			if err != nil {
				t.Fatal(err)
			}
			defer nc.NetConn().Close()
			if got := nc.ConnectionState().NegotiatedProtocol; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want != "h2" {
				w := newWire(t, nc).send(get("/plain"))
				w.want(200)
				w.open("/ws", mark).ping()
			}
		})
	}
}

func TestHTTP2ConnectionThatIsIdleEnds(t *testing.T) {
	t.Parallel()
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Idle = 300 * time.Millisecond
	}, newHost(t, "a"))
	w := l.dialH2()
	w.wantGet("/once")
	if got := w.readEnd(); got != h2.ErrCodeNo {
		t.Errorf("got GOAWAY with %v", got)
	}
	eventually(t, "no connection is counted", func() bool { return gaugeValue(l, "lb_connections") == 0 })
}

func TestHTTP2StreamsShareAConnectionFairly(t *testing.T) {
	asked, letGo := make(chan bool, 50), make(chan bool)
	l := start(t, speaksH2(t), newHost(t, "a").on("/hold", hold(asked, letGo)))
	c := l.h2client()
	l.do(c, "GET", "/first", nil) // or the client opens several connections at once
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	held := make(chan answer, 50)
	for range 50 {
		go func() {
			held <- l.do(c, "GET", "/hold", nil, func(r *http.Request) { *r = *r.WithContext(ctx) })
		}()
	}
	for range 50 {
		<-asked
	}
	if a := l.do(c, "GET", "/between", nil); a.StatusCode != 200 {
		t.Errorf("behind fifty that wait: got %d, %v", a.StatusCode, a.err)
	}
	close(letGo)
	for range 50 {
		if a := <-held; a.StatusCode != 200 || a.body != "done" || a.err != nil {
			t.Errorf("got %d %q, %v", a.StatusCode, a.body, a.err)
		}
	}
	if got := gaugeValue(l, "lb_connections"); got != 1 {
		t.Errorf("%v connections are counted, want 1", got)
	}
}

package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/proxy/metrics"
)

// hold is a script that answers when it is let go.
func hold(asked, letGo chan bool) script {
	return func(w *wire, r *http.Request) bool {
		asked <- true
		<-letGo
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
		return true
	}
}

func TestStopEndsIdleConnectionsAndLetsRequestsFinish(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, nil, newHost(t, "a").on("/hold", hold(asked, letGo)))
	idle, fresh, busy := l.dial(), l.dial(), l.dial()
	idle.send(get("/")).want(200)
	eventually(t, "the fresh connection", func() bool { return gaugeValue(l, "lb_connections") == 3 })
	busy.send(get("/hold"))
	<-asked
	l.cancel()
	idle.expectEnd()
	fresh.expectEnd()
	select {
	case <-l.served:
		t.Fatal("Serve returned with a request under way")
	default:
	}
	close(letGo)
	if a := busy.want(200); a.body != "done" {
		t.Errorf("got %q", a.body)
	}
	busy.expectEnd()
	if err := <-l.served; err != nil {
		t.Error(err)
	}
	l.served <- nil // for the lab's own end
	if nc, err := net.Dial("tcp", l.addr); err == nil {
		nc.Close()
		t.Error("the listener is still open")
	}
}

func TestStopClosesConnectionsAfterTheTimeout(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	defer close(letGo)
	h := newHost(t, "a").on("/hold", hold(asked, letGo)).on("/ws", accept(echo)).on("/opening", hold(asked, letGo)).
		on("/body", func(w *wire, r *http.Request) bool {
			w.send("HTTP/1.1 200 OK\r\n\r\nabc")
			asked <- true
			<-letGo
			return false
		})
	l := start(t, func(l *lab) { l.cfg.ShutdownGrace = 50 * time.Millisecond }, h)
	tunnel := l.dial().open("/ws", mark)
	tunnel.ping()
	busy := l.dial().send(get("/hold"))
	<-asked
	upload := l.dial().send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	<-asked
	opening := l.dial().send(upgrade("/opening", mark))
	<-asked
	body := l.dial().send("GET /body HTTP/1.0\r\n\r\n")
	<-asked
	l.cancel()
	begin := time.Now()
	if err := <-l.served; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Serve took %v to return", took)
	}
	l.served <- nil
	for _, w := range []*wire{tunnel, busy, upload, opening} {
		w.expectEnd()
	}
	if a := body.answer("GET"); a.err == nil {
		t.Errorf("got %q, which looks whole", a.body)
	}
	found := false
	for _, e := range l.entries() {
		found = found || e["end"] == "shutdown" && e["status"] == 101.0
	}
	if !found {
		t.Errorf("no tunnel in the log that ended by shutdown:\n%s", l.log)
	}
}

func TestTheEndOfAListenerKeepsTunnelsOfOthers(t *testing.T) {
	t.Parallel()
	l := start(t, func(l *lab) { l.cfg.ShutdownGrace = time.Millisecond }, newHost(t, "a").on("/ws", accept(echo)))
	w := l.dial().open("/ws", mark)
	w.ping()
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- l.p.Serve(context.Background(), ln, Listener{}) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	other := newWire(t, nc).open("/ws", mark+"2")
	ln.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want the listener's error", err)
	}
	other.expectClose(1012)
	w.ping()
}

// flaky is a listener that fails a few times.
type flaky struct {
	net.Listener
	fails int
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	p := New(Config{}, Options{Metrics: metrics.New(prometheus.NewRegistry())})
	ln := &flaky{listen(t), 2}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ln, Listener{}) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	newWire(t, nc).send(get("/")).want(503) // nobody has said Use
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Timeouts.Idle = 30 * time.Millisecond }, newHost(t, "a"))
	w := l.dial()
	w.send(get("/")).want(200)
	w.expectEnd()
	eventually(t, "the end of the connection", func() bool { return gaugeValue(l, "lb_connections") == 0 })
}

func gaugeValue(l *lab, name string) float64 {
	families, _ := l.reg.Gather()
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return -1
}

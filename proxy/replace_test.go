package proxy

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/elder"
)

// through returns v after it has been JSON, as between processes.
func through[T any](t testing.TB, v T) (out T) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Error(err)
	}
	return out
}

// A replacement replaces one lab, the older process, by another one, as edge does with
// processes: the newer one accepts from the same listening socket.
type replacement struct {
	old, young *lab
	begun      chan struct{} // closed when the newer process may take connections
	elder      *elder.Elder
	orders     func(elder.End) // called before the older process carries an order out; may be nil
	links      sync.WaitGroup
}

// retire has l retire. The newer process begins in begin.
func (l *lab) retire() *replacement {
	l.t.Helper()
	r := &replacement{old: l, begun: make(chan struct{})}
	l.successor.Store(r)
	again, err := l.ln.(*net.TCPListener).File()
	if err != nil {
		l.t.Fatal(err)
	}
	defer again.Close()
	l.listener.Address = "front"
	l.p.PrepareRetire()
	l.p.Retire(l.t.Context(), r.pass)
	if l.ln, err = net.FileListener(again); err != nil {
		l.t.Fatal(err)
	}
	return r
}

// pass passes a connection on to the newest process, in a message beside which the file is
// sent.
func (r *replacement) pass(x Passed) error {
	<-r.begun
	if next := r.young.successor.Load(); next != nil {
		return next.pass(x)
	}
	y := through(r.old.t, x)
	y.File = x.File
	return r.young.p.Take(y)
}

// begin starts the newer process. It serves hosts.
func (r *replacement) begin(change func(*lab), hosts ...*host) *lab {
	r.old.t.Helper()
	r.young = start(r.old.t, func(l *lab) {
		l.cfg, l.listener, l.ln = r.old.cfg, r.old.listener, r.old.ln
		if change != nil {
			change(l)
		}
	}, hosts...)
	r.elder = r.young.link(r, r.old)
	close(r.begun)
	return r.young
}

// link makes another lab an older process of l, until it has ended.
func (l *lab) link(r *replacement, old *lab) *elder.Elder {
	e := l.p.NewElder(func(o elder.End) error {
		if r.orders != nil {
			r.orders(o)
		}
		old.p.End(through(l.t, o))
		return nil
	})
	w := old.p.Watch()
	ctx, cancel := context.WithCancel(context.Background())
	update := func() error {
		reports, err := w.Next(ctx)
		if err == nil {
			e.Update(through(l.t, reports))
		}
		return err
	}
	r.links.Go(func() {
		for update() == nil {
		}
	})
	if err := w.CaughtUp(ctx); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		old.stop()
		cancel()
		r.links.Wait()
		w.Close()
		e.Close()
	})
	return e
}

// outlived wants l to end by itself.
func (l *lab) outlived() {
	l.t.Helper()
	select {
	case err := <-l.served:
		l.served <- err
	case <-time.After(10 * time.Second):
		l.t.Error("the older process hasn't ended with its last connection")
	}
}

// lingersShortly registers quiet connections with the pollers at once.
func lingersShortly(l *lab) { l.cfg.lingering = time.Millisecond }

// all makes one change of several.
func all(changes ...func(*lab)) func(*lab) {
	return func(l *lab) {
		for _, change := range changes {
			change(l)
		}
	}
}

// plainAndTLS runs a test with clients that speak plain text, and with TLS.
func plainAndTLS(t *testing.T, test func(t *testing.T, kind func(*lab), dial func(*lab) *wire)) {
	t.Run("plain", func(t *testing.T) { test(t, func(*lab) {}, (*lab).dial) })
	t.Run("tls", func(t *testing.T) { test(t, withTLS(t, nil), (*lab).dialTLS) })
}

// fronts gives the listener the address by which connections are passed on.
func fronts(l *lab) { l.listener.Address = "front" }

// sessionsOf counts the terminals of a host in a lab's gauges.
func (l *lab) sessionsOf(name string) int64 {
	for _, h := range l.hosts {
		if h.Name == name {
			return h.Gauges.Sessions.Load()
		}
	}
	l.t.Fatalf("no host %s", name)
	return 0
}

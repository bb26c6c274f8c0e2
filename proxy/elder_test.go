package proxy

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/elder"
	"tokenring/proxy/tunnel"
	"tokenring/route"
	"tokenring/session"
)

// TestATokenKeepsItsHostAcrossProcesses though the ring of the newest process has it
// elsewhere: its page and its second terminal are on the host of the first one.
func TestATokenKeepsItsHostAcrossProcesses(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	first := start(t, fronts, a)
	old := first.dial().open("/ws", mark)
	old.ping()
	notInRing := func(l *lab) {
		for _, h := range l.hosts {
			h.InRing = h.Name == "b"
		}
		l.use()
	}
	second := first.retire().begin(nil, a, b)
	notInRing(second)
	more := second.dial().open("/ws", mark)
	more.ping()
	if got := second.ask(get("/page?token="+mark), 200).body; got != "a GET /page" {
		t.Errorf("a page of the session got %q", got)
	}
	third := second.retire().begin(nil, a, b)
	third.link(new(replacement), first)
	notInRing(third)
	if host, n := third.p.Session(third.digest(mark)); host != "a" || n != 2 || third.sessionsOf("a") != 2 || len(third.p.Live()) != 1 {
		t.Errorf("%d terminals on %q, %d on a, %d sessions", n, host, third.sessionsOf("a"), len(third.p.Live()))
	}
	last := third.dial().open("/ws", mark)
	last.ping()
	if got := third.ask(get("/page?token=x"+mark), 200).body; got != "b GET /page" {
		t.Errorf("another token got %q", got)
	}
	old.Close()
	eventually(t, "the end of the first", func() bool { return third.sessionsOf("a") == 2 })
	more.Close()
	last.Close()
	eventually(t, "the end of all", func() bool { return third.sessionsOf("a") == 0 && len(third.p.Live()) == 0 })
	if got := third.ask(get("/page?token="+mark), 200).body; got != "b GET /page" {
		t.Errorf("after its last terminal the token got %q", got)
	}
	if b.dials.Load() == 0 || strings.Contains(b.received(), "/ws") {
		t.Error("a terminal was on two hosts")
	}
}

// TestTerminalsOfAnOlderProcessEndByOrdersOfTheNewest when their host is in maint, and when
// it has another address, before that is used.
func TestTerminalsOfAnOlderProcessEndByOrdersOfTheNewest(t *testing.T) {
	for _, why := range []tunnel.Reason{tunnel.ByMaint, tunnel.ByMove} {
		t.Run(string(why), func(t *testing.T) {
			a, fresh := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "a")
			l := start(t, fronts, a)
			w := l.dial().open("/ws", mark)
			w.ping()
			young := l.retire().begin(nil, a)
			switch why {
			case tunnel.ByMaint:
				young.hosts[0].State = route.Maint
				young.use()
			default:
				young.moveTo(fresh)
			}
			if n := len(l.p.Live()); n != 0 {
				t.Errorf("%d sessions are left in the older process after Use", n)
			}
			w.expectEnd()
			if e := l.logged("/ws"); e["end"] != string(why) {
				t.Errorf("the older process logs %v", e)
			}
			eventually(t, "the end in the newest process", func() bool { return young.sessionsOf("a") == 0 && len(young.p.Live()) == 0 })
			l.outlived()
		})
	}
}

// TestRequestsOfAnOlderProcessToAnOldAddressEnd, as this process's own do.
func TestRequestsOfAnOlderProcessToAnOldAddressEnd(t *testing.T) {
	asked := make(chan bool)
	ended := make(chan bool, 1)
	a, fresh := newHost(t, "a"), newHost(t, "a")
	a.on("/page", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
		asked <- true
		_, err := w.in.ReadByte()
		ended <- err != nil
		return false
	})
	l := start(t, fronts, a)
	w := l.dial().send(get("/page?token=" + mark))
	<-asked
	for n := 1; ; n++ { // the answer has begun: it can't be asked for again
		if b, err := w.in.Peek(n); err != nil || strings.HasSuffix(string(b), "some") {
			break
		}
	}
	young := l.retire().begin(nil, a)
	young.moveTo(fresh)
	if !<-ended {
		t.Error("the old address got more")
	}
	if got := w.answer("GET"); got.body != "some" || got.err == nil {
		t.Errorf("got %q, %v", got.body, got.err)
	}
	l.outlived()
}

// TestADisplacedTerminalOfAnOlderProcessEndsFirst: its host is down, so the next terminal is
// on another one. That gets nothing before the old terminal has ended.
func TestADisplacedTerminalOfAnOlderProcessEndsFirst(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b")
	l := start(t, fronts, a, b)
	token := l.token("a")
	var mu sync.Mutex
	var order []string
	note := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
	b.on("/ws", func(w *wire, r *http.Request) bool {
		note("begun with " + strings.Repeat("|", len(l.p.Live())))
		return accept(echo)(w, r)
	})
	l.dial().open("/ws", token).ping()
	r := l.retire()
	r.orders = func(o elder.End) { note("ordered by " + o.Why) }
	young := r.begin(nil, a, b)
	young.hosts[0].Verdict = route.Down
	young.use()
	young.dial().open("/ws", token).ping()
	if got := strings.Join(order, ", "); got != "ordered by "+elder.WhyDown+", ordered by "+session.Moved+", begun with " {
		t.Errorf("got %s", got)
	}
	if host, n := young.p.Session(young.digest(token)); host != "b" || n != 1 {
		t.Errorf("%d terminals on %q, want one on b", n, host)
	}
	l.outlived()
}

// TestTerminalsOfAnUnknownHostCountOnceItIsKnown: the newest process may learn of it late.
func TestTerminalsOfAnUnknownHostCountOnceItIsKnown(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b")
	l := start(t, fronts, a)
	w := l.dial().open("/ws", mark)
	w.ping()
	young := l.retire().begin(nil, b)
	w.ping()
	young.hosts = append(young.hosts, a.entry())
	young.use()
	if n := young.sessionsOf("a"); n != 1 {
		t.Errorf("%d terminals are counted, want 1", n)
	}
	w.Close()
	eventually(t, "the end of the terminal", func() bool { return young.sessionsOf("a") == 0 })
}

// TestBytesForTerminalsOfAnOlderProcessAreNoted by the newest, once it knows the host.
func TestBytesForTerminalsOfAnOlderProcessAreNoted(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b")
	l := start(t, fronts, a, b)
	w := l.dial().open("/ws", l.token("a"))
	w.ping()
	r := l.retire()
	young := r.begin(nil, b)
	sent := through(t, l.p.LastBytes(time.Minute))
	if ago, ok := sent["a"]; len(sent) != 1 || !ok || ago > time.Minute {
		t.Errorf("got %v", sent)
	}
	if late := l.p.LastBytes(0); len(late) != 0 {
		t.Errorf("got %v of those who have sent nothing lately", late)
	}
	r.elder.Sent(sent)
	young.hosts = append(young.hosts, a.entry())
	young.use()
	last := func() time.Time { return young.hosts[1].Gauges.LastByte.At() }
	if since := time.Since(last()); last().IsZero() || since > time.Minute {
		t.Errorf("the last byte came at %v", last())
	}
	before := last()
	eventually(t, "another byte", func() bool {
		w.ping()
		r.elder.Sent(l.p.LastBytes(time.Minute))
		return last().After(before)
	})
	w.Close()
	l.outlived()
}

// TestATerminalThatWorksIsNotDisplacedByAnOlderProcess: the newest one decides.
func TestATerminalThatWorksIsNotDisplacedByAnOlderProcess(t *testing.T) {
	l := start(t, nil, newHost(t, "a"), newHost(t, "b"))
	l.change("a", sends(true, ""))
	leave := l.enter(mark, "a")
	defer leave()
	ended := make(chan elder.End, 1)
	e := l.p.NewElder(func(o elder.End) error { ended <- o; return nil })
	e.Update([]session.Report{{Digest: l.digest(mark), Host: "b", Terminals: 1}})
	if o := <-ended; o.Why != session.Moved || len(o.Keys) != 1 {
		t.Errorf("got the order %+v", o)
	}
	if host, _ := l.p.Session(l.digest(mark)); host != "a" {
		t.Errorf("the token is on %s", host)
	}
	e.Close()
}

// TestCrashOfAnOlderProcess takes its terminals out.
func TestCrashOfAnOlderProcess(t *testing.T) {
	a := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, fronts, a)
	w := l.dial().open("/ws", mark)
	w.ping()
	r := l.retire()
	young := r.begin(nil, a)
	if n := young.sessionsOf("a"); n != 1 {
		t.Errorf("%d terminals are counted, want 1", n)
	}
	r.elder.Close()
	if n := young.sessionsOf("a"); n != 0 || len(young.p.Live()) != 0 {
		t.Errorf("%d terminals are counted of a process that has ended", n)
	}
	w.Close()
	l.outlived()
}

package proxy

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// What becomes of those who wait for a host that is found down.

// found makes the checks' verdict about a host, in the snapshots from now on.
func (l *lab) found(name string, v route.Verdict, change ...func(*route.Snapshot)) {
	for _, h := range l.hosts {
		if h.Name == name {
			h.Verdict = v
		}
	}
	l.use(change...)
}

// hangs is a script that answers nothing.
func hangs(asked chan<- bool) script { return silent("", asked, make(chan bool, 10)) }

// shortly is for how long requests that can't be repeated wait for a host that is
// down.
func shortly(l *lab) { l.cfg.DownGrace = 300 * time.Millisecond }

func TestRequestIsSentToAnotherHostIfItsHostIsFoundDown(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{0, 2 * firstWait} {
		asked := make(chan bool, 1)
		l := start(t, nil, newHost(t, "a").on("/x", hangs(asked)), newHost(t, "b"))
		token := l.token("a")
		w := l.dial().send(get("/x?token=" + token))
		<-asked
		time.Sleep(wait)
		begin := time.Now()
		l.found("a", route.Down)
		if a := w.want(200); a.body != "b GET /x" {
			t.Errorf("got %q, want the answer of the successor", a.body)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if e := l.logged("/x"); e["host"] != "b" || e["why"] != "fallback" || e["retried"] != true || e["end"] != "done" {
			t.Errorf("the log says %v", e)
		}
	}
}

// TestARequestOfAnOlderProcessIsPassedOnIfItsHostIsFoundDown by the newest process: the older one
// has no checks of its own.
func TestARequestOfAnOlderProcessIsPassedOnIfItsHostIsFoundDown(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	a, b := newHost(t, "a").on("/x", hangs(asked)), newHost(t, "b")
	l := start(t, fronts, a, b)
	w := l.dial().send(get("/x?token=" + l.token("a")))
	<-asked
	young := l.retire().begin(nil, a, b)
	young.found("a", route.Down)
	if got := w.want(200); got.body != "b GET /x" {
		t.Errorf("got %q, want the answer of the successor", got.body)
	}
}

// TestAnOlderProcessGivesUpWhatItCannotPassOn if its host is found down, and waits again for hosts
// that are up.
func TestAnOlderProcessGivesUpWhatItCannotPassOn(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	a, b := newHost(t, "a").on("/x", hangs(asked)), newHost(t, "b")
	l := start(t, shortly, a, b)
	w := l.dial().send("POST /x?token=" + l.token("a") + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
	<-asked
	young := l.retire().begin(nil, a, b)
	young.found("a", route.Down)
	if got := w.want(503); !strings.Contains(got.body, "may have done what was asked") {
		t.Errorf("got %q", got.body)
	}
	young.found("a", route.Up)
	if l.p.verdicts.Down("a", true) {
		t.Error("it doesn't know that the host is back")
	}
}

func TestStreamIsSentToAnotherHostIfItsHostIsFoundDown(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, speaksH2(t), newHost(t, "a").on("/x", hangs(asked)), newHost(t, "b"))
	token := l.token("a")
	go func() {
		<-asked
		l.found("a", route.Down)
	}()
	if a := l.do(l.h2client(), "GET", "/x?token="+token, nil); a.body != "b GET /x" {
		t.Errorf("got %q, want the answer of the successor", a.body)
	}
}

func TestHandshakeIsSentToAnotherHostIfItsHostIsFoundDown(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	a := newHost(t, "a").on("/hang", hangs(asked)).on("/ws", accept(echo))
	l := start(t, nil, a, newHost(t, "b").on("/hang", accept(echo)))
	token := l.token("a")
	neighbour := l.dial().open("/ws", "")
	w := l.dial().send(upgrade("/hang", token))
	<-asked
	l.found("a", route.Down)
	w.opened()
	w.ping()
	if host, n := l.p.Session(l.digest(token)); host != "b" || n != 1 {
		t.Errorf("%d terminals are on %q, want one on b", n, host)
	}
	neighbour.ping() // a live terminal is never cut for a failing check
}

func TestHandshakeWithAHostInMaintEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, nil, newHost(t, "a").on("/hang", hangs(asked)))
	w := l.dial().send(upgrade("/hang", mark))
	<-asked
	l.hosts[0].State, l.hosts[0].InRing = route.Maint, false
	l.use()
	if a := w.want(503); a.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", a.Header)
	}
	if e := l.logged("/hang"); e["end"] != "maint" || l.suspects.Load() != 0 {
		t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
	}
}

func TestFrozenRingHasNoSuccessor(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	b := newHost(t, "b")
	l := start(t, nil, newHost(t, "a").on("/x", hangs(asked)), b)
	token := l.token("a")
	w := l.dial().send(get("/x?token=" + token))
	<-asked
	l.found("a", route.Down, func(s *route.Snapshot) { s.Frozen = true })
	if a := w.want(503); a.Header.Get("Retry-After") == "" || b.received() != "" {
		t.Errorf("got %v, and b %q", a.Header, b.received())
	}
}

// TestRequestThatCannotBeRepeatedWaitsForTheGracePeriodOnly has a host be found down that has all of a
// request, or has begun to answer it.
func TestRequestThatCannotBeRepeatedWaitsForTheGracePeriodOnly(t *testing.T) {
	t.Parallel()
	const post = "POST /x?token=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
	for name, tt := range map[string]struct{ request, says string }{
		"a POST":                   {post, ""},
		"an answer that has begun": {"GET /x?token=%s HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
		"an interim answer":        {"GET /x?token=%s HTTP/1.0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan bool, 1)
			b := newHost(t, "b")
			l := start(t, shortly, newHost(t, "a").on("/x", silent(tt.says, asked, make(chan bool, 1))), b)
			w := l.dial().send(fmt.Sprintf(tt.request, l.token("a")))
			<-asked
			begin := time.Now()
			l.found("a", route.Down)
			if a := w.want(503); a.Header.Get("Retry-After") == "" {
				t.Errorf("got %v", a.Header)
			}
			if took, least := time.Since(begin), l.cfg.DownGrace; took < least || took > least+5*time.Second {
				t.Errorf("it was given up after %v, want %v", took, least)
			}
			if e := l.logged("/x"); e["end"] != "timeout" || e["host"] != "a" || e["retried"] != false || b.received() != "" {
				t.Errorf("the log says %v, b got %q", e, b.received())
			}
		})
	}
}

// TestAnswerOfAHostThatIsDownIsRelayed has the host answer a POST when it has been
// found down, and one when it has come back since.
func TestAnswerOfAHostThatIsDownIsRelayed(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"in time": false, "when it is up again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, letGo := make(chan bool), make(chan bool)
			l := start(t, shortly, newHost(t, "a").on("/hold", hold(asked, letGo)), newHost(t, "b"))
			w := l.dial().send("POST /hold?token=" + l.token("a") + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
			<-asked
			l.found("a", route.Down)
			if back {
				time.Sleep(l.cfg.DownGrace / 2)
				l.found("a", route.Up)
				time.Sleep(2 * l.cfg.DownGrace)
			}
			letGo <- true
			w.want(200)
		})
	}
}

// TestAnswerInProgressGoesOnIfItsHostIsFoundDown has a host be found down, or be taken out, amid a
// body.
func TestAnswerInProgressGoesOnIfItsHostIsFoundDown(t *testing.T) {
	down := func(h *route.Host) { h.Verdict = route.Down }
	maint := func(h *route.Host) { h.State, h.InRing = route.Maint, false }
	for name, tt := range map[string]struct {
		request string
		status  int
		change  func(*route.Host)
	}{
		"a request, down":             {get("/events"), 200, down},
		"a request, maint":            {get("/events"), 200, maint},
		"a handshake, refused, down":  {upgrade("/events", mark), 403, down},
		"a handshake, refused, maint": {upgrade("/events", mark), 403, maint},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, letGo := make(chan bool), make(chan bool)
			l := start(t, shortly, newHost(t, "a").on("/events", func(w *wire, _ *http.Request) bool {
				w.send(fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Length: 10\r\n\r\nhello", tt.status))
				asked <- true
				<-letGo
				w.send("world")
				return true
			}))
			w := l.dial().send(tt.request)
			<-asked
			_, _ = w.in.Peek(1)
			tt.change(l.hosts[0])
			l.use()
			time.Sleep(2*l.cfg.DownGrace + 2*firstWait)
			letGo <- true
			if a := w.want(tt.status); a.body != "helloworld" {
				t.Errorf("got %q", a.body)
			}
			if e := l.logged("/events"); e["end"] != "done" || e["answer_ms"] == 0.0 || l.suspects.Load() != 0 {
				t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
			}
		})
	}
}

// TestATimeoutOfAHostDoesNotLowerSafeIdle: its silence says nothing about how long its
// connections may be idle.
func TestATimeoutOfAHostDoesNotLowerSafeIdle(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, shortly, newHost(t, "a").on("/x", hangs(asked)))
	l.ask(get("/"), 200)
	l.waitUntilIdle()
	u := l.p.pools.Main.Hosts().Upstreams["a"]
	u.SafeIdle.Open(time.Hour) // so that the POST goes out on the connection of the GET
	before := u.SafeIdle.Duration()
	w := l.dial().send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	<-asked
	l.found("a", route.Down)
	w.want(503)
	if after := u.SafeIdle.Duration(); after != before {
		t.Errorf("SafeIdle is %v now, and was %v", after, before)
	}
}

// TestRequestIsSentToThreeOtherHostsAtMost has each host be found down as soon as it has the
// request.
func TestRequestIsSentToThreeOtherHostsAtMost(t *testing.T) {
	t.Parallel()
	const many = maxFailovers + 3
	asked := make(chan string, many)
	var hosts []*host
	for i := range many {
		name := fmt.Sprint("h", i)
		hosts = append(hosts, newHost(t, name).on("/x", func(w *wire, r *http.Request) bool {
			asked <- name
			return silent("", make(chan bool, 1), make(chan bool, 1))(w, r)
		}))
	}
	l := start(t, shortly, hosts...)
	w := l.dial().send(get("/x?token=" + mark))
	for range maxFailovers + 1 {
		l.found(<-asked, route.Down)
	}
	w.want(503)
	n := 0
	for _, h := range hosts {
		n += strings.Count(h.received(), "GET /x")
	}
	if n != maxFailovers+1 {
		t.Errorf("%d hosts have got it, want %d", n, maxFailovers+1)
	}
}

// TestSlowHostTimesOut has a host that is up be silent.
func TestSlowHostTimesOut(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, func(l *lab) { l.cfg.Timeouts.Response = 400 * time.Millisecond }, newHost(t, "a").on("/x", hangs(asked)))
	begin := time.Now()
	l.ask(get("/x"), 504)
	if took := time.Since(begin); took < l.cfg.Timeouts.Response || took > 20*time.Second {
		t.Errorf("it was given up after %v, want %v", took, l.cfg.Timeouts.Response)
	}
}

// TestAHostThatCannotBeReachedKeepsItsTokensWhereOtherBalancersMayReachIt: only one that refuses
// the connection, or is down, gives them to the next host.
func TestAHostThatCannotBeReachedKeepsItsTokensWhereOtherBalancersMayReachIt(t *testing.T) {
	t.Parallel()
	const unreachable = "[100::1]:80" // RFC 6666: packets to it are discarded
	for name, tt := range map[string]struct {
		balancers int
		address   string
		target    string
		status    int
	}{
		"a time-out, alone":          {1, unreachable, "/x?token=", 200},
		"a time-out, one of two":     {2, unreachable, "/x?token=", 503},
		"a refusal, one of two":      {2, "refused", "/x?token=", 200},
		"it never passed a check":    {2, "unchecked", "/x?token=", 503},
		"it never did, alone":        {1, "unchecked", "/x?token=", 200},
		"without a token, of two":    {2, unreachable, "/x?other=", 200},
		"it is held, and one of two": {2, "held", "/x?token=", 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, func(l *lab) { l.cfg.Timeouts.Connect = 200 * time.Millisecond }, newHost(t, "a"), newHost(t, "b"))
			token := l.token("a")
			for _, h := range l.hosts {
				switch {
				case h.Name != "a":
				case tt.address == "held":
					h.Verdict, h.Held = route.Down, true
				case tt.address == "refused":
					h.Address, h.Own = closedPort(t), route.Up
				case tt.address == "unchecked":
					h.Address, h.Own = closedPort(t), route.Unchecked
				default:
					h.Address = tt.address
				}
			}
			l.use(func(s *route.Snapshot) { s.Balancers = tt.balancers })
			for range 2 { // without a token, one of the two asks for a
				a := l.ask(get(tt.target+token), tt.status)
				if tt.status == 503 && a.Header.Get("Retry-After") == "" {
					t.Errorf("got %v", a.Header)
				}
			}
			if e := l.logged("/x"); tt.status == 503 && (e["why"] != "unreachable" || e["host"] != "a") {
				t.Errorf("the log says %v", e)
			}
		})
	}
}

// closedPort returns an address that refuses connections. No other test is given its port.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

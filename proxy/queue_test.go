package proxy

import (
	"net/http"
	"testing"
	"time"

	"tokenring/proxy/pools"
	"tokenring/proxy/queue"
	"tokenring/route"
)

// What becomes of requests to a host that has as many as it may have.

// queueOf has one request at a time be in progress on each host, and others wait so.
func queueOf(length int, wait time.Duration) func(*lab) {
	return func(l *lab) { l.cfg.Queue = queue.Config{Length: &length, Wait: wait} }
}

// bound bounds the requests on the lab's hosts.
func (l *lab) limit(n int) {
	for _, h := range l.hosts {
		h.MaxConnections = n
	}
	l.use()
}

// gated is a script that answers when go on is sent something.
func gated(asked chan<- bool, goOn <-chan bool) script {
	return func(w *wire, _ *http.Request) bool {
		asked <- true
		<-goOn
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	}
}

// queued waits until so many requests wait for the lab's hosts.
func (l *lab) queued(n int64) {
	l.t.Helper()
	eventually(l.t, "requests that wait", func() bool {
		sum := int64(0)
		for _, h := range l.hosts {
			sum += h.Gauges.Queued.Load()
		}
		return sum == n
	})
}

func TestRequestsBeyondTheBoundWaitInOrder(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool), make(chan bool)
	l := start(t, queueOf(2, time.Minute), newHost(t, "a").on("/1", gated(asked, goOn)).on("/2", gated(asked, goOn)).on("/3", gated(asked, goOn)))
	l.limit(1)
	first := l.dial().send(get("/1?token=" + mark))
	<-asked
	second := l.dial().send(get("/2?token=" + mark))
	l.queued(1)
	third := l.dial().send(get("/3"))
	l.queued(2)
	fourth := l.dial().send(get("/4"))
	if a := fourth.want(503); a.Header.Get("Retry-After") == "" {
		t.Error("the client isn't told when to try again")
	}
	if e := l.logged("/4"); e["end"] != endHostFull || e["reason"] != hostFull.Detail || e["queue_ms"] != nil || e["host"] != "a" {
		t.Errorf("the log says %v", e)
	}
	goOn <- true
	first.want(200)
	<-asked
	l.queued(1)
	goOn <- true
	second.want(200)
	<-asked
	goOn <- true
	third.want(200)
	if e := l.logged("/1"); e["queue_ms"] != nil {
		t.Errorf("the log says %v of a request that hasn't waited", e)
	}
	if e := l.logged("/3"); e["queue_ms"] == nil || e["end"] != "done" {
		t.Errorf("the log says %v", e)
	}
	if n := l.counts("lb_queue_total"); n["served"] != 2 || n["full"] != 1 {
		t.Errorf("%v are counted", n)
	}
	l.checkSlots()
}

// checkSlots checks that no slot is taken when no request is in progress.
func (l *lab) checkSlots() {
	l.t.Helper()
	eventually(l.t, "the end of all requests", func() bool {
		for _, u := range l.p.pools.Upstreams() {
			if taken, waiting := u.Slots.Usage(); taken != 0 || waiting != 0 {
				return false
			}
		}
		return true
	})
}

func TestARequestWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool), make(chan bool)
	l := start(t, queueOf(2, 20*time.Millisecond), newHost(t, "a").on("/1", gated(asked, goOn)))
	l.limit(1)
	first := l.dial().send(get("/1"))
	<-asked
	l.ask(get("/2"), 503)
	if e := l.logged("/2"); e["end"] != endHostFull || e["queue_ms"] == nil {
		t.Errorf("the log says %v", e)
	}
	l.ask(upgrade("/ws", mark), 503) // a handshake is a request until the host has agreed
	goOn <- true
	first.want(200)
	if n := l.counts("lb_queue_total"); n["timeout"] != 2 {
		t.Errorf("%v are counted", n)
	}
	l.checkSlots()
}

func TestAClientThatLeavesFreesItsPlace(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool), make(chan bool)
	l := start(t, queueOf(1, time.Minute), newHost(t, "a").on("/1", gated(asked, goOn)))
	l.limit(1)
	first := l.dial().send(get("/1"))
	<-asked
	second := l.dial().send(get("/2"))
	l.queued(1)
	resets(second)
	l.queued(0)
	third := l.dial().send(get("/3"))
	l.queued(1)
	goOn <- true
	first.want(200)
	third.want(200)
	if n := l.counts("lb_queue_total"); n["client-gone"] != 1 || n["served"] != 1 {
		t.Errorf("%v are counted", n)
	}
	l.checkSlots()
}

// TestWhatWaitsForAHostThatFailsGoesOn as any request whose host is down: the successor has the key.
func TestWhatWaitsForAHostThatFailsGoesOn(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, queueOf(1, time.Minute), newHost(t, "a").on("/1", hangs(asked)), newHost(t, "b"))
	l.limit(1)
	token := l.token("a")
	first := l.dial().send(get("/1?token=" + token))
	<-asked
	second := l.dial().send(get("/2?token=" + token))
	l.queued(1)
	l.found("a", route.Down)
	if a := second.want(200); a.body != "b GET /2" {
		t.Errorf("got %q, want the answer of the successor", a.body)
	}
	first.want(200)
	if n := l.counts("lb_queue_total"); n["host-lost"] != 1 {
		t.Errorf("%v are counted", n)
	}
	l.checkSlots()
}

// TestWhatWaitsForAHostThatHasMovedGoesThere: the new machine has slots of its own.
func TestWhatWaitsForAHostThatHasMovedGoesThere(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	l := start(t, queueOf(1, time.Minute), newHost(t, "a").on("/1", hangs(asked)))
	l.limit(1)
	first := l.dial().send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
	<-asked
	second := l.dial().send(get("/2"))
	l.queued(1)
	l.hosts[0].Address = newHost(t, "elsewhere").ln.Addr().String()
	l.use()
	if a := second.want(200); a.body != "elsewhere GET /2" {
		t.Errorf("got %q", a.body)
	}
	first.want(502)
	l.checkSlots()
}

func TestATerminalHasASlotUntilItIsOpen(t *testing.T) {
	t.Parallel()
	l := start(t, queueOf(0, time.Minute), newHost(t, "a").on("/ws", accept(echo)))
	l.limit(1)
	w := l.dial().open("/ws", mark)
	l.checkSlots()
	l.ask(get("/page?token="+mark), 200)
	w.ping()
	l.checkSlots()
}

func TestAnotherBoundLetsInThoseThatWait(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool), make(chan bool)
	l := start(t, queueOf(1, time.Minute), newHost(t, "a").on("/1", gated(asked, goOn)))
	l.limit(1)
	first := l.dial().send(get("/1"))
	<-asked
	second := l.dial().send(get("/2"))
	l.queued(1)
	l.limit(2)
	second.want(200)
	goOn <- true
	first.want(200)
	l.checkSlots()
}

// TestARequestWithoutATokenGoesPastFullHosts if its pool says so.
func TestARequestWithoutATokenGoesPastFullHosts(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool, 2), make(chan bool)
	none := 0
	a, b := newHost(t, "api/a").on("/api/1", gated(asked, goOn)), newHost(t, "api/b").on("/api/1", gated(asked, goOn))
	l := start(t, withAPI(pools.Config{Queue: queue.Config{Length: &none, Then: queue.Next}}), newHost(t, "x"))
	one, two := a.entry(), b.entry()
	one.MaxConnections = 1
	l.useAPI(one, two)
	t.Cleanup(func() { l.useAPI() })
	var clients []*wire
	for range 4 { // every second one has its turn at a
		w := l.dial().send(get("/api/1"))
		<-asked
		clients = append(clients, w)
	}
	if n, m := one.Gauges.InFlight.Load(), two.Gauges.InFlight.Load(); n != 1 || m != 3 {
		t.Errorf("%d and %d requests are in progress, want 1 and 3", n, m)
	}
	two.MaxConnections = 1
	l.useAPI(one, two)
	close(goOn)
	for _, w := range clients {
		w.want(200)
	}
	past := false
	for _, e := range l.entries() {
		past = past || e["why"] == string(ruleNext) && e["host"] == "api/b"
	}
	if !past {
		t.Error("the log doesn't say that a request has gone past a host")
	}
	l.checkSlots()
}

func TestRequestsAreRefusedIfAllHostsAreFull(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool, 2), make(chan bool)
	none := 0
	a, b := newHost(t, "api/a").on("/api/1", gated(asked, goOn)), newHost(t, "api/b").on("/api/1", gated(asked, goOn))
	l := start(t, withAPI(pools.Config{Queue: queue.Config{Length: &none, Then: queue.Next}}), newHost(t, "x"))
	one, two := a.entry(), b.entry()
	one.MaxConnections, two.MaxConnections = 1, 1
	l.useAPI(one, two)
	t.Cleanup(func() { l.useAPI() })
	var clients []*wire
	for range 2 {
		clients = append(clients, l.dial().send(get("/api/1")))
		<-asked
	}
	l.ask(get("/api/2"), 503)
	if e := l.logged("/api/2"); e["end"] != endHostFull {
		t.Errorf("the log says %v", e)
	}
	close(goOn)
	for _, w := range clients {
		w.want(200)
	}
	l.checkSlots()
}

// TestWhatWaitsIsPassedOnToANewerProcess at once: a reload doesn't wait for it.
func TestWhatWaitsIsPassedOnToANewerProcess(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool), make(chan bool)
	a := newHost(t, "a").on("/1", gated(asked, goOn))
	l := start(t, func(l *lab) { queueOf(1, time.Minute)(l); fronts(l) }, a)
	l.limit(1)
	first := l.dial().send(get("/1"))
	<-asked
	second := l.dial().send(get("/2"))
	l.queued(1)
	l.retire().begin(nil, a)
	second.want(200)
	goOn <- true
	first.want(200)
	l.checkSlots()
}

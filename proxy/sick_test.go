package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
	"tokenring/session"
)

// Hosts whose checks fail while their terminals work.

// TestBytesOfTerminalsAreNoted: they show that the host lives, also while its checks fail.
func TestBytesOfTerminalsAreNoted(t *testing.T) {
	l := start(t, nil, newHost(t, "a").on("/ws", accept(echo)))
	last := &l.hosts[0].Gauges.LastByte
	l.page(mark)
	if !last.At().IsZero() {
		t.Error("an answer to a request counts as bytes of a terminal")
	}
	w, _ := l.terminal(mark)
	opened := last.At()
	if since := time.Since(opened); opened.IsZero() || since > time.Minute {
		t.Fatalf("after the 101 the last byte came at %v", opened)
	}
	eventually(t, "another byte", func() bool {
		w.ping()
		return last.At().After(opened)
	})
}

// sends makes a host be down that still sends bytes to terminals, of this balancer or of peers.
func sends(here bool, peers string) func(*route.Host) {
	return func(h *route.Host) { h.Verdict, h.Traffic, h.Views.Traffic = route.Down, here, peers }
}

// TestATerminalThatWorksIsNotCutForAFailingCheck opens a second one while the checks fail.
func TestATerminalThatWorksIsNotCutForAFailingCheck(t *testing.T) {
	a := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, lingering, a, newHost(t, "b").on("/ws", accept(echo)))
	tokens := l.tokens("a", 3)
	first, _ := l.terminal(tokens[0])
	l.page(tokens[1])
	l.stays(tokens[1], "a by lingering")
	l.change("a", sends(true, ""))
	second, host := l.terminal(tokens[0])
	if host != "a" || l.page(tokens[0]) != "a" {
		t.Errorf("the second terminal is on %s", host)
	}
	first.ping()
	second.ping()
	if got := []string{l.page(tokens[1]), l.page(tokens[2])}; got[0] != "b" || got[1] != "b" {
		t.Errorf("tokens without a terminal go to %v", got)
	}
	a.stop()
	l.ask(get("/gone?token="+tokens[0]), 503)
	l.ask(upgrade("/ws", tokens[0]), 503)
	if e := l.logged("/gone"); e["why"] != "session" || e["host"] != "a" {
		t.Errorf("the log says %v", e)
	}
}

// TestATerminalThatIsQuietOnAHostThatIsDownGoesOn: a machine that is dead sends nothing.
func TestATerminalThatIsQuietOnAHostThatIsDownGoesOn(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	l.terminal(token)
	l.change("a", sends(false, ""))
	if _, host := l.terminal(token); host != "b" {
		t.Errorf("the second terminal is on %s", host)
	}
	l.wantEnds("/ws", endMoved)
}

// TestAPeerWhoseTerminalsWorkKeepsTheirTokens, and no other peer does.
func TestAPeerWhoseTerminalsWorkKeepsTheirTokens(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("b")
	l.tells("lb-2", token, "a", 1)
	for _, row := range []struct{ peers, want string }{
		{"lb-3", "b"}, {"lb-1, lb-2", "a"}, {"", "b"},
	} {
		l.change("a", sends(true, row.peers))
		if got := l.page(token); got != row.want {
			t.Errorf("terminals of %q work: got %s, want %s", row.peers, got, row.want)
		}
	}
	l.change("a", sends(false, "lb-2"))
	if w, host := l.terminal(token); host != "a" {
		t.Errorf("the terminal is on %s", host)
	} else {
		w.Close()
	}
}

// TestATokenFollowsItsTerminalsThatWork, when others of it are on a host that is dead.
func TestATokenFollowsItsTerminalsThatWork(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b"), newHost(t, "c").on("/ws", accept(echo)))
	token := l.token("b")
	leave := l.enter(token, "a")
	defer leave()
	l.tells("lb-2", token, "a", 5)
	l.tells("lb-3", token, "c", 1)
	l.change("a", sends(false, ""))
	if got := l.page(token); got != "c" {
		t.Errorf("got %s, want the host of the terminal that works", got)
	}
	l.change("a", sends(false, "lb-2"))
	if got := l.page(token); got != "a" {
		t.Errorf("got %s, want the host of the most terminals that work", got)
	}
}

// TestAHostWhoseTerminalsWorkIsAwaited as if it weren't down, by those who follow a terminal.
func TestAHostWhoseTerminalsWorkIsAwaited(t *testing.T) {
	asked, answer := make(chan bool, 10), make(chan bool)
	slow := func(w *wire, _ *http.Request) bool {
		asked <- true
		<-answer
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	}
	a := newHost(t, "a").on("/slow", slow).on("/ws", accept(echo))
	l := start(t, all(lingering, shortly), a, newHost(t, "b"))
	token := l.token("a")
	l.terminal(token)
	l.change("a", sends(true, ""))
	w := l.dial().send(get("/slow?token=" + token))
	<-asked
	for range 3 {
		time.Sleep(firstWait) // so that it awaits the host in the second step
		l.use()
	}
	close(answer)
	w.want(200)
	if n := strings.Count(a.received(), "/slow"); n != 1 {
		t.Errorf("the host got the request %d times", n)
	}
}

// TestTerminalsOfAnOlderProcessThatWorkAreNotCut for a failing check.
func TestTerminalsOfAnOlderProcessThatWorkAreNotCut(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	old := start(t, all(lingering, fronts), a, b)
	token := old.token("a")
	w, _ := old.terminal(token)
	r := old.retire()
	l := r.begin(lingering, a, b)
	l.stays(token, "a by session")
	l.change("a", sends(true, ""))
	if _, host := l.terminal(token); host != "a" {
		t.Errorf("the second terminal is on %s", host)
	}
	w.ping()
	w.Close()
	old.outlived()
}

func TestNoTerminalDisplacesOneThatWorks(t *testing.T) {
	l := start(t, lingering, newHost(t, "a"), newHost(t, "b"))
	l.change("a", sends(true, ""))
	leave := l.enter(mark, "a")
	defer leave()
	other := &session.Terminal{Tunnel: new(terminal)}
	if l.p.sessions.Add(l.key(mark), &route.Endpoint{Name: "b"}, other, l.p.keeps) {
		t.Error("a terminal on another host has displaced one that works")
	}
}

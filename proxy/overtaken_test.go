package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"tokenring/pool"
)

// What happens to a request while it waits for a host that doesn't answer.

// TestARetryFindsTheTerminalThatHasOpenedMeanwhile opens a terminal on a third host
// while a page finds out that its own can't be reached.
func TestARetryFindsTheTerminalThatHasOpenedMeanwhile(t *testing.T) {
	for _, where := range []string{"a", "b", "c"} {
		t.Run(where, func(t *testing.T) {
			a := newHost(t, "a")
			l := start(t, nil, a, newHost(t, "b"), newHost(t, "c"))
			token := l.token("a")
			a.stop()
			live := &tunnel{upstream: &upstream{name: where}}
			l.p.opt.Suspect = func(string) { l.p.sessions.enter([]byte(token), live, nil) }
			if where == "a" { // as for any request of a key whose terminal's host can't be reached
				l.ask(get("/page?token="+token), 503)
			} else if host := l.page(token); host != where {
				t.Errorf("the terminal is on %s, and the page on %s", where, host)
			}
			l.p.sessions.leave(live)
		})
	}
}

// TestARetryThatMustNotGoElsewhereIsWorthTryingAgain has a page's host be out of
// reach, and its retry find that no other host may have the key.
func TestARetryThatMustNotGoElsewhereIsWorthTryingAgain(t *testing.T) {
	live := &tunnel{upstream: &upstream{name: "c"}}
	for name, meanwhile := range map[string]func(l *lab, token string){
		"its terminal is on a host out of reach": func(l *lab, token string) {
			l.p.sessions.enter([]byte(token), live, nil)
		},
		"the ring has been frozen": func(l *lab, _ string) {
			l.use(func(s *pool.Snapshot) { s.Frozen = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := newHost(t, "a"), newHost(t, "b"), newHost(t, "c")
			l := start(t, nil, a, b, c)
			token := l.token("a")
			a.stop()
			c.stop()
			l.p.opt.Suspect = func(string) {
				l.p.opt.Suspect = func(string) {}
				meanwhile(l, token)
			}
			if r := l.ask(get("/page?token="+token), 503); r.Header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After in %v", r.Header)
			}
			if got := b.received(); got != "" {
				t.Errorf("a second host got %q", got)
			}
			l.p.sessions.leave(live)
		})
	}
}

func TestARetryHeedsDecisionsMadeMeanwhile(t *testing.T) {
	a, b, c := newHost(t, "a"), newHost(t, "b"), newHost(t, "c")
	l := start(t, nil, a, b, c)
	token := l.token("a")
	a.stop()
	heir := l.hosts[1]
	l.p.opt.Suspect = func(string) {
		heir.State, heir.InRing = pool.Maint, false
		l.use()
	}
	l.page(token)
	if strings.Contains(b.received(), token) {
		t.Error("a request has reached a host in maintenance")
	}
}

// TestATerminalThatComesTooLateCutsNone has a host that takes a second to accept a
// connection. Meanwhile its checks fail, and the user's second try opens a terminal on
// another host, from which the first try must not take the user away.
func TestATerminalThatComesTooLateCutsNone(t *testing.T) {
	t.Parallel()
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	slow := newSlowListener(t)
	l.hosts[0].Address = slow.address()
	l.use()
	late := l.dial().send(upgrade("/ws", token))
	eventually(t, "an attempt to connect to a", slow.awaited)
	l.hosts[0].Verdict = pool.Down
	l.use()
	w, host := l.terminal(token)
	if host != "b" {
		t.Fatalf("the terminal is on %s", host)
	}
	slow.listen()
	late.opened()
	late.ping()
	w.ping()
	if host, n := l.p.Session([]byte(token)); host != "b" || n != 2 {
		t.Errorf("%d terminals are on %s, want both on b", n, host)
	}
}

// A slowListener lets nobody connect until it listens: its queue is full, so that
// the kernel drops what asks for a connection, which is sent again after a second.
type slowListener struct {
	t  *testing.T
	fd int
}

func newSlowListener(t *testing.T) *slowListener {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	s := &slowListener{t, fd}
	nc, err := net.Dial("tcp", s.address()) // the queue has room for one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return s
}

func (s *slowListener) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port()) }

func (s *slowListener) port() int {
	name, err := syscall.Getsockname(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	return name.(*syscall.SockaddrInet4).Port
}

// awaited reports whether somebody is connecting.
func (s *slowListener) awaited() bool {
	sockets, err := os.ReadFile("/proc/self/net/tcp") // see proc_pid_net(5)
	if err != nil {
		s.t.Fatal(err)
	}
	const synSent = "02"
	return strings.Contains(string(sockets), fmt.Sprintf(" 0100007F:%04X %s ", s.port(), synSent))
}

// listen makes room in the queue.
func (s *slowListener) listen() {
	fd, _, err := syscall.Accept(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = syscall.Close(fd)
}

package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"tokenring/route"
)

// What happens to a request while it waits for a host that doesn't answer.

// TestARetryFollowsATerminalThatWasOpenedMeanwhile opens a terminal on a third host
// while a page finds out that its own can't be reached.
func TestARetryFollowsATerminalThatWasOpenedMeanwhile(t *testing.T) {
	for _, where := range []string{"a", "b", "c"} {
		t.Run(where, func(t *testing.T) {
			a := newHost(t, "a")
			l := start(t, nil, a, newHost(t, "b"), newHost(t, "c"))
			token := l.token("a")
			a.stop()
			leave := func() {}
			l.p.opt.Suspect = func(string) { leave = l.enter(token, where) }
			if where == "a" { // as for any request of a key whose terminal's host can't be reached
				l.ask(get("/page?token="+token), 503)
			} else if host := l.page(token); host != where {
				t.Errorf("the terminal is on %s, and the page on %s", where, host)
			}
			leave()
		})
	}
}

// TestARetryThatMustNotUseAnotherHostGets503 has a page's host be out of
// reach, and its retry find that no other host may have the key.
func TestARetryThatMustNotUseAnotherHostGets503(t *testing.T) {
	for name, meanwhile := range map[string]func(l *lab, token string) (leave func()){
		"its terminal is on a host out of reach": func(l *lab, token string) func() {
			return l.enter(token, "c")
		},
		"the ring has been frozen": func(l *lab, _ string) func() {
			l.use(func(s *route.Snapshot) { s.Frozen = true })
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := newHost(t, "a"), newHost(t, "b"), newHost(t, "c")
			l := start(t, nil, a, b, c)
			token := l.token("a")
			a.stop()
			c.stop()
			leave := func() {}
			l.p.opt.Suspect = func(string) {
				l.p.opt.Suspect = func(string) {}
				leave = meanwhile(l, token)
			}
			if r := l.ask(get("/page?token="+token), 503); r.Header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After in %v", r.Header)
			}
			if got := b.received(); got != "" {
				t.Errorf("a second host got %q", got)
			}
			leave()
		})
	}
}

func TestARetryObeysOverridesMadeMeanwhile(t *testing.T) {
	a, b, c := newHost(t, "a"), newHost(t, "b"), newHost(t, "c")
	l := start(t, nil, a, b, c)
	token := l.token("a")
	a.stop()
	successor := l.hosts[1]
	l.p.opt.Suspect = func(string) {
		successor.State, successor.InRing = route.Maint, false
		l.use()
	}
	l.page(token)
	if strings.Contains(b.received(), token) {
		t.Error("a request has reached a host in maintenance")
	}
}

// TestATerminalOfAnOldAddressEndsNoOther has a host that takes a second to accept a
// connection. Meanwhile its checks fail, and the user's second try opens a terminal on
// another host, from which the first try must not take the user away.
func TestATerminalOfAnOldAddressEndsNoOther(t *testing.T) {
	t.Parallel()
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	slow := newSlowListener(t)
	l.hosts[0].Address = slow.address()
	l.use()
	late := l.dial().send(upgrade("/ws", token))
	eventually(t, "an attempt to connect to a", slow.awaited)
	l.hosts[0].Verdict = route.Down
	l.use()
	w, host := l.terminal(token)
	if host != "b" {
		t.Fatalf("the terminal is on %s", host)
	}
	slow.listen()
	late.opened()
	late.ping()
	w.ping()
	if host, n := l.p.Session(l.digest(token)); host != "b" || n != 2 {
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
	nc, err := net.Dial("tcp", s.address()) // the queue takes one connection
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

// awaited reports whether somebody has tried to connect: the kernel counts the SYNs for
// which the queue has no room, see SO_MEMINFO in socket(7).
func (s *slowListener) awaited() bool {
	const drops = 8 // SK_MEMINFO_DROPS
	var info [drops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(s.fd), syscall.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		s.t.Fatal(errno)
	}
	return info[drops] > 0
}

// listen lets the queue take connections.
func (s *slowListener) listen() {
	fd, _, err := syscall.Accept(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = syscall.Close(fd)
}

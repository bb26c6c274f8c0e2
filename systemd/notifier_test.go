package systemd_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"tokenring/systemd"
)

// A manager is a service manager that listens.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// listen sets NOTIFY_SOCKET to a socket of its own. A name that begins with @ is abstract.
func listen(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return &manager{t: t, conn: conn}
}

func listenHere(t *testing.T) *manager {
	t.Helper()
	return listen(t, filepath.Join(t.TempDir(), "notify.sock"))
}

// next returns the assignments of the next message.
func (m *manager) next() []string {
	m.t.Helper()
	buf := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := m.conn.Read(buf)
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(buf[:n]), "\n")
}

func (m *manager) wants(want ...string) {
	m.t.Helper()
	if got := m.next(); !slices.Equal(got, want) {
		m.t.Errorf("got %q, want %q", got, want)
	}
}

func TestAServiceTellsItsStates(t *testing.T) {
	m := listenHere(t)
	n := systemd.FromEnvironment(zerolog.Nop())
	n.Ready("serves")
	m.wants("READY=1", "STATUS=serves")
	n.Status("2 generations\nREADY=1")
	m.wants("STATUS=2 generations READY=1")
	n.Stopping(90*time.Second, "3 terminals left")
	m.wants("STOPPING=1", "EXTEND_TIMEOUT_USEC=90000000", "STATUS=3 terminals left")
}

// TestAReloadHasItsTime: without the time, systemctl reload waits for ever.
func TestAReloadHasItsTime(t *testing.T) {
	m := listenHere(t)
	before := monotonic(t)
	systemd.FromEnvironment(zerolog.Nop()).Reloading("reads lb.yaml")
	got := m.next()
	after := monotonic(t)
	if len(got) != 3 || got[0] != "RELOADING=1" || got[2] != "STATUS=reads lb.yaml" {
		t.Fatalf("got %q", got)
	}
	digits, _ := strings.CutPrefix(got[1], "MONOTONIC_USEC=")
	if at, err := strconv.ParseInt(digits, 10, 64); err != nil || at < before || at > after {
		t.Errorf("got %q (%v), want a time from %d to %d", got[1], err, before, after)
	}
}

// monotonic returns the time that systemd compares with, in microseconds.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

func TestAnAbstractSocketIsOneToo(t *testing.T) {
	m := listen(t, "@lb-test-"+strconv.Itoa(unix.Getpid()))
	systemd.FromEnvironment(zerolog.Nop()).Ready("serves")
	m.wants("READY=1", "STATUS=serves")
}

func TestTheWatchdogHearsOfALiveServiceOnly(t *testing.T) {
	m := listenHere(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	n := systemd.FromEnvironment(zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan bool)
	var running sync.WaitGroup
	running.Go(func() {
		n.Run(ctx, func(ctx context.Context) bool {
			select {
			case answer := <-answers:
				return answer
			case <-ctx.Done():
				return false
			}
		})
	})
	for range 3 {
		answers <- true
		m.wants("WATCHDOG=1")
	}
	answers <- false
	answers <- false // the first one is answered for by now
	n.Status("the next message")
	m.wants("STATUS=the next message")
	cancel()
	running.Wait()
}

// TestWithoutAWatchdogNobodyIsAsked whether the service is alive.
func TestWithoutAWatchdogNobodyIsAsked(t *testing.T) {
	never := func(context.Context) bool { t.Error("asked whether the service is alive"); return true }
	var log bytes.Buffer
	for _, env := range []struct{ usec, pid string }{
		{"", ""},         // no watchdog
		{"30000", "1"},   // that of another process
		{"-3", ""},       // no time
		{"a second", ""}, // no number
	} {
		listenHere(t)
		t.Setenv("WATCHDOG_USEC", env.usec)
		t.Setenv("WATCHDOG_PID", env.pid)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		systemd.FromEnvironment(zerolog.New(&log)).Run(ended, never)
	}
	if got := strings.Count(log.String(), "no watchdog"); got != 2 {
		t.Errorf("logged %d lines, want one for each time that is wrong:\n%s", got, &log)
	}
	t.Setenv("NOTIFY_SOCKET", "") // Run returns although its context doesn't end
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "")
	systemd.FromEnvironment(zerolog.Nop()).Run(t.Context(), never)
	(*systemd.Notifier)(nil).Run(t.Context(), never)
}

func TestWithoutAServiceManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	var log bytes.Buffer
	for _, n := range []*systemd.Notifier{systemd.FromEnvironment(zerolog.New(&log)), nil} {
		n.Ready("serves")
		n.Reloading("reads")
		n.Stopping(time.Second, "stops")
		n.Status("is here")
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
}

// TestAManagerThatIsGoneIsLoggedOnce: each failure after the first says nothing new.
func TestAManagerThatIsGoneIsLoggedOnce(t *testing.T) {
	m := listenHere(t)
	m.conn.Close()
	var log bytes.Buffer
	n := systemd.FromEnvironment(zerolog.New(&log))
	n.Ready("serves")
	n.Status("is here")
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("logged %d lines, want 1:\n%s", got, &log)
	}
}

// TestAManagerThatHangsHoldsNobodyUp: its socket is full and nobody reads it.
func TestAManagerThatHangsHoldsNobodyUp(t *testing.T) {
	listenHere(t)
	var log bytes.Buffer
	n := systemd.FromEnvironment(zerolog.New(&log))
	n.Hurry(20 * time.Millisecond)
	for range 100_000 {
		n.Status("is here")
		if log.Len() > 0 {
			return
		}
	}
	t.Error("the socket took all messages")
}

// TestAManagerThatHasRoomAgainHearsEverything: systemctl reload waits for READY=1, which
// must not get lost while the manager is busy. A service without a watchdog speaks no more.
func TestAManagerThatHasRoomAgainHearsEverything(t *testing.T) {
	m := listenHere(t)
	var log bytes.Buffer
	n := systemd.FromEnvironment(zerolog.New(&log))
	n.Hurry(20 * time.Millisecond)
	sent := 0
	for ; log.Len() == 0; sent++ {
		n.Status(strconv.Itoa(sent))
	}
	n.Reloading("reads lb.yaml")
	n.Ready("serves")
	run(t, n)
	for i := range sent {
		m.wants("STATUS=" + strconv.Itoa(i))
	}
	if got := m.next(); got[0] != "RELOADING=1" {
		t.Errorf("got %q, want RELOADING=1", got)
	}
	m.wants("READY=1", "STATUS=serves")
}

// run runs a Notifier without a watchdog until the test ends.
func run(t *testing.T, n *systemd.Notifier) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx, nil) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// TestWhatIsOwedIsBounded: the newest messages stay.
func TestWhatIsOwedIsBounded(t *testing.T) {
	m := listenHere(t)
	m.conn.Close()
	n := systemd.FromEnvironment(zerolog.Nop())
	n.Hurry(20 * time.Millisecond)
	for i := range 40 {
		n.Status(strconv.Itoa(i))
	}
	name := m.conn.LocalAddr().String()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	m = listen(t, name)
	n.Ready("serves")
	run(t, n)
	for i := 25; i < 40; i++ {
		m.wants("STATUS=" + strconv.Itoa(i))
	}
	m.wants("READY=1", "STATUS=serves")
}

func TestChildrenDoNotSpeakForTheService(t *testing.T) {
	env := []string{"PATH=/bin", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=3", "WATCHDOG_PID=1", "NOTIFY_SOCKETS=2"}
	got := systemd.ChildEnvironment(env)
	if want := []string{"PATH=/bin", "NOTIFY_SOCKETS=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if env[1] != "NOTIFY_SOCKET=/run/x" {
		t.Errorf("the list that was given has changed: %q", env)
	}
}

package demo

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
)

// served is a host that a test talks to.
type served struct {
	t       *testing.T
	host    *Host
	address string
	end     func() // ends the host and waits for it; may be called twice
}

func serve(t *testing.T, cfg HostConfig) *served {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Logger = "ide-1", zerolog.Nop()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{t: t, host: NewHost(cfg), address: ln.Addr().String()}
	over := make(chan error, 1)
	go func() { over <- s.host.Serve(ctx, ln) }()
	ended := false
	s.end = func() {
		cancel()
		if ended {
			return
		}
		ended = true
		if err := <-over; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(s.end)
	return s
}

func (s *served) dial(query string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := s.try(query, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func (s *served) try(query, origin string) (*websocket.Conn, *http.Response, error) {
	ctx, done := context.WithTimeout(s.t.Context(), time.Minute)
	defer done()
	head := http.Header{}
	if origin != "" {
		head.Set("Origin", origin)
	}
	return websocket.Dial(ctx, "ws://"+s.address+"/environment/websocket?"+query, &websocket.DialOptions{HTTPHeader: head})
}

func read(t *testing.T, conn *websocket.Conn) (websocket.MessageType, string) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	kind, msg, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return kind, string(msg)
}

// until reads the terminal's output until want is in it.
func until(t *testing.T, conn *websocket.Conn, want string) string {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	var seen strings.Builder
	for !strings.Contains(seen.String(), want) {
		kind, msg, err := conn.Read(ctx)
		if err != nil {
			t.Fatalf("%v before %q; got %q", err, want, seen.String())
		}
		if kind == websocket.MessageBinary {
			seen.Write(msg)
		}
	}
	return seen.String()
}

func send(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func closeCode(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

func TestEchoNamesTheHostAndThenReturnsEachMessage(t *testing.T) {
	conn := serve(t, HostConfig{}).dial("mode=echo")
	if kind, msg := read(t, conn); kind != websocket.MessageText || msg != `{"host":"ide-1"}` {
		t.Fatalf("first message: %v %q", kind, msg)
	}
	for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		send(t, conn, kind, "echo hi\n")
		if gotKind, got := read(t, conn); gotKind != kind || got != "echo hi\n" {
			t.Errorf("got %v %q", gotKind, got)
		}
	}
}

func TestTerminalNeedsAToken(t *testing.T) {
	s := serve(t, HostConfig{})
	for _, query := range []string{"", "token=", "token=a&mode=line"} {
		_, resp, err := s.try(query, "")
		if err == nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: err %v, want 400", query, err)
		}
	}
}

func TestTerminalWithoutShellAnswersCommands(t *testing.T) {
	conn := serve(t, HostConfig{}).dial("token=alice")
	if _, msg := read(t, conn); msg != `{"host":"ide-1"}` {
		t.Errorf("first message %q", msg)
	}
	send(t, conn, websocket.MessageText, "host\n")
	until(t, conn, "host\r\nide-1\r\nide-1> ")
	send(t, conn, websocket.MessageBinary, "exit\r")
	if code := closeCode(t, conn); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
}

func TestFullHostSendsTheNextAway(t *testing.T) {
	s := serve(t, HostConfig{})
	for i := range maxShells {
		until(t, s.dial(fmt.Sprintf("token=t%d", i)), "> ")
	}
	if code := closeCode(t, s.dial("token=onemore")); code != websocket.StatusTryAgainLater {
		t.Errorf("closed with %d, want 1013", code)
	}
	until(t, s.dial("token=t0"), "> ") // who has a shell keeps it
}

func TestEndOfTheHostClosesTerminalsAsGoingAway(t *testing.T) {
	s := serve(t, HostConfig{})
	term, echo := s.dial("token=alice"), s.dial("mode=echo")
	until(t, term, "> ")
	codes := make(chan websocket.StatusCode, 2)
	for _, conn := range []*websocket.Conn{term, echo} {
		go func() { codes <- closeCode(t, conn) }()
	}
	s.end()
	for range 2 {
		if code := <-codes; code != websocket.StatusGoingAway {
			t.Errorf("closed with %d, want 1001", code)
		}
	}
}

// shellHost serves real shells, or skips the test where there is none.
func shellHost(t *testing.T) *served {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no /bin/sh")
	}
	t.Setenv("SHELL", "/bin/sh")
	t.Setenv("ENV", "")
	return serve(t, HostConfig{Shell: true})
}

func TestReconnectFindsTheSameShell(t *testing.T) {
	s := shellHost(t)
	first := s.dial("token=alice")
	send(t, first, websocket.MessageBinary, "kept=4; echo set-$((40+2))\r")
	until(t, first, "set-42")
	_ = first.Close(websocket.StatusNormalClosure, "")

	second := s.dial("token=alice")
	until(t, second, "set-42") // what was shown before is shown again
	send(t, second, websocket.MessageBinary, "echo again-${kept}2\r")
	until(t, second, "again-42")

	other := s.dial("token=bob")
	send(t, other, websocket.MessageBinary, "echo other-${kept}2\r")
	until(t, other, "other-2")
}

func TestTabsOfOneTokenShareAShell(t *testing.T) {
	s := shellHost(t)
	one, two := s.dial("token=alice"), s.dial("token=alice")
	send(t, one, websocket.MessageBinary, "echo shared-$((40+2))\r")
	until(t, one, "shared-42")
	until(t, two, "shared-42")
}

func TestShellHasATerminalOfTheSizeAskedFor(t *testing.T) {
	conn := shellHost(t).dial("token=alice")
	send(t, conn, websocket.MessageText, `{"resize":[132,43]}`)
	send(t, conn, websocket.MessageBinary, "stty size; echo on-$TOKENRING_HOST\r")
	if seen := until(t, conn, "on-ide-1"); !strings.Contains(seen, "43 132") {
		t.Errorf("no 43 132 in %q", seen)
	}
}

func TestEndOfTheHostKillsItsShells(t *testing.T) {
	s := shellHost(t)
	conn := s.dial("token=alice")
	send(t, conn, websocket.MessageBinary, "trap '' HUP; echo pid-$$-\r")
	seen := until(t, conn, "-\r\n")
	for !strings.Contains(seen, "pid-$$") || strings.Count(seen, "pid-") < 2 {
		seen += until(t, conn, "-\r\n")
	}
	text := seen[strings.LastIndex(seen, "pid-")+4:]
	pid, err := strconv.Atoi(text[:strings.IndexByte(text, '-')])
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("shell %d still there: %v", pid, err)
	}
}

func TestForeignPagesReachNoTerminal(t *testing.T) {
	s := shellHost(t)
	for _, origin := range []string{"https://evil.example", "http://127.0.0.1:1", "null", "http://" + s.address + ".evil.example"} {
		_, resp, err := s.try("token=alice", origin)
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("Origin %s: err %v, want 403", origin, err)
		}
	}
	conn, _, err := s.try("token=alice", "http://"+s.address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
}

func TestReboundNameReachesNothing(t *testing.T) {
	s := shellHost(t)
	for _, path := range []string{"/", "/whoami", "/environment/websocket?token=a"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example:8443"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", path, resp.StatusCode)
		}
	}
}

func TestRealShellIsRefusedOutsideLoopback(t *testing.T) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	err = NewHost(HostConfig{Name: "ide-1", Shell: true, Logger: zerolog.Nop()}).Serve(t.Context(), ln)
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v", err)
	}
}

func TestTokenIsNotLogged(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	h := NewHost(HostConfig{Name: "ide-1", Logger: zerolog.New(&logged)})
	go func() { over <- h.Serve(ctx, ln) }()
	s := &served{t: t, address: ln.Addr().String()}
	until(t, s.dial("token=marked-token"), "> ")
	_, _, _ = s.try("token=marked-token", "https://evil.example")
	cancel()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if logged.Len() == 0 || strings.Contains(logged.String(), "marked-token") {
		t.Errorf("log: %s", logged.String())
	}
}

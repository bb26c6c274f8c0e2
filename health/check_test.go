package health

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestAnswers(t *testing.T) {
	for name, row := range map[string]struct{ answer, want string }{
		"success":             {ok200, ""},
		"no content":          {"HTTP/1.1 204 No Content\r\n\r\n", ""},
		"redirect":            {"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n", ""},
		"old protocol":        {"HTTP/1.0 200 OK\r\n\r\nok", ""},
		"interim first":       {"HTTP/1.1 103 Early Hints\r\n\r\n" + ok200, ""},
		"long body":           {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 3*maxAnswer), ""},
		"body cut short":      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", ""},
		"client error":        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"},
		"server error":        {bad503, "status 503"},
		"switching protocols": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "status 101"},
		"another protocol":    {"SSH-2.0-OpenSSH_9.2 token=secret\r\n", "not an HTTP answer"},
		"endless head":        {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 3*maxAnswer), "closed without an answer"},
		"nothing":             {"", "closed without an answer"},
		"half a head":         {"HTTP/1.1 200 OK\r\nContent", "not an HTTP answer"},
		"an endless chain":    {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxAnswer), "not an HTTP answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion()
				r.set("h:1", row.answer)
				m := New(Config{}, zerolog.Nop(), nil)
				m.dial = r.dial
				if got := m.check(t.Context(), Target{Address: "h:1"}, new(gate)); got.err != row.want || got.local {
					t.Errorf("got %+v, want %q", got, row.want)
				}
			})
		})
	}
}

func TestHostFieldIsTheConfiguredOneOrTheTargets(t *testing.T) {
	named := Target{Address: "10.0.0.1:4000", Host: "ide-1.internal:4000"}
	for _, row := range []struct {
		configured string
		target     Target
		want       string
	}{
		{"", Target{Address: "10.0.0.1:4000"}, "10.0.0.1:4000"},
		{"", named, "ide-1.internal:4000"},
		{"ide.example.com", named, "ide.example.com"},
	} {
		var got *http.Request
		local, theirs := net.Pipe()
		m := New(Config{Host: row.configured}, zerolog.Nop(), nil)
		m.dial = func(context.Context, string, string) (net.Conn, error) { return local, nil }
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, _ = http.ReadRequest(bufio.NewReader(theirs))
			theirs.Close()
		}()
		m.check(t.Context(), row.target, new(gate))
		<-done
		if got == nil || got.Host != row.want || got.URL.Path != "/healthz" || got.Method != "GET" || !got.Close {
			t.Errorf("%+v: the host got %+v, want the Host %q", row.target, got, row.want)
		}
	}
}

func TestErrorsAreConstantTexts(t *testing.T) {
	m := New(Config{}, zerolog.Nop(), nil)
	for _, row := range []struct {
		err  error
		want result
	}{
		{syscall.ECONNREFUSED, result{err: "connection refused", refused: true}},
		{syscall.ECONNRESET, result{err: "connection reset"}},
		{syscall.EPIPE, result{err: "connection reset"}},
		{syscall.EHOSTUNREACH, result{err: "no route to host"}},
		{syscall.ENETUNREACH, result{err: "network is unreachable"}},
		{syscall.ETIMEDOUT, result{err: "timeout after 1s"}},
		{context.DeadlineExceeded, result{err: "timeout after 1s"}},
		{&net.DNSError{Err: "no such host", Name: "ide-1", IsNotFound: true}, result{err: "name doesn't resolve"}},
		{io.EOF, result{err: "closed without an answer"}},
		{errNotHTTP, result{err: "not an HTTP answer"}},
		{errors.New("something with a secret"), result{err: "can't be reached"}},
		{syscall.EMFILE, result{err: "out of local sockets or files", local: true}},
		{syscall.EADDRNOTAVAIL, result{err: "out of local sockets or files", local: true}},
	} {
		if got := m.explain(&net.OpError{Op: "dial", Err: row.err}); got != row.want {
			t.Errorf("%v: got %+v, want %+v", row.err, got, row.want)
		}
	}
}

// The other tests use real sockets, since a pipe can't show these errors.

func TestConnectCheckNeedsOnlyAConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	none := ""
	m := New(Config{Path: &none}, zerolog.Nop(), nil)
	if got := m.check(t.Context(), Target{Address: ln.Addr().String()}, new(gate)); got.err != "" {
		t.Errorf("open port: got %q", got.err)
	}
	ln.Close()
	if got := m.check(t.Context(), Target{Address: ln.Addr().String()}, new(gate)); got.err != "connection refused" {
		t.Errorf("closed port: got %q, want connection refused", got.err)
	}
}

func TestResetAndTimeoutOverRealSockets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		http.ReadRequest(bufio.NewReader(conn))
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}()
	m := New(Config{Timeout: 200 * time.Millisecond}, zerolog.Nop(), nil)
	if got := m.check(t.Context(), Target{Address: ln.Addr().String()}, new(gate)); got.err != "connection reset" {
		t.Errorf("reset: got %q", got.err)
	}
	if got := m.check(t.Context(), Target{Address: ln.Addr().String()}, new(gate)); got.err != "timeout after 200ms" {
		t.Errorf("a connection that is never accepted: got %q", got.err)
	}
}

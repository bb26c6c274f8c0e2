package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/hosttls"
	"tokenring/proxy/proxyheader"
)

func TestWhichStatusesPass(t *testing.T) {
	for _, row := range []struct {
		text    string
		pass    []int
		dontFit []int
	}{
		{"", []int{200, 204, 302, 399}, []int{199, 400, 503}},
		{"200", []int{200}, []int{201, 204}},
		{"200-299,304", []int{200, 299, 304}, []int{300, 303, 305}},
		{"401, 200-204", []int{401, 204}, []int{400, 402}},
	} {
		s, err := parseStatuses(row.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range row.pass {
			if !s.have(status) {
				t.Errorf("%q: %d doesn't pass", row.text, status)
			}
		}
		for _, status := range row.dontFit {
			if s.have(status) {
				t.Errorf("%q: %d passes", row.text, status)
			}
		}
	}
	for _, text := range []string{"2xx", "200-", "-200", "299-200", "100", "600", "200,,204", ",", "200 204", "101-299"} {
		if err := (Expect{Status: text}).Check(); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// TestTheExpectedTextIsFoundWhereverItIs, also if it comes in pieces.
func TestTheExpectedTextIsFoundWhereverItIs(t *testing.T) {
	for _, row := range []struct {
		pieces []string
		want   bool
	}{
		{[]string{"ready"}, true},
		{[]string{"we are re", "a", "dy now"}, true},
		{[]string{"rea", "xdy"}, false},
		{[]string{"readready"}, true},
		{[]string{"", "r", "e", "a", "d", "y"}, true},
		{nil, false},
	} {
		b := body{text: []byte("ready")}
		for _, p := range row.pieces {
			_, _ = b.Write([]byte(p))
		}
		if b.found != row.want {
			t.Errorf("%q: found is %t", row.pieces, b.found)
		}
		if len(b.read) >= 2*len(b.text) {
			t.Errorf("%q: %d bytes are kept", row.pieces, len(b.read))
		}
	}
}

func TestAnswersThatAreExpected(t *testing.T) {
	long := strings.Repeat("x", 2*maxAnswer)
	for name, row := range map[string]struct {
		expect       Expect
		answer, want string
	}{
		"another status":    {Expect{Status: "204"}, ok200, "status 200"},
		"one that failed":   {Expect{Status: "200,503"}, bad503, ""},
		"the text":          {Expect{Text: "ready"}, "HTTP/1.1 200 OK\r\n\r\nit is ready", ""},
		"another text":      {Expect{Text: "ready"}, "HTTP/1.1 200 OK\r\n\r\nit starts", "the answer lacks the expected text"},
		"the text too late": {Expect{Text: "ready"}, "HTTP/1.1 200 OK\r\n\r\n" + long + "ready", "the answer lacks the expected text"},
		"no body":           {Expect{Text: "ready"}, "HTTP/1.1 204 No Content\r\n\r\n", "the answer lacks the expected text"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion()
				r.set("h:1", row.answer)
				m := New(Config{Expect: row.expect}, zerolog.Nop(), nil)
				m.dial = r.dial
				if got := m.check(t.Context(), Target{Address: "h:1"}, new(gate)); got.err != row.want {
					t.Errorf("got %+v, want %q", got, row.want)
				}
			})
		})
	}
}

func TestFieldsOfChecks(t *testing.T) {
	for name, valid := range map[string]bool{
		"X-Check": true, "Authorization": true, "User-Agent": true,
		"Host": false, "content-length": false, "Transfer-Encoding": false, "Connection": false, "lb-lease": false, "a b": false, "": false,
	} {
		if err := ValidField(name, "x"); (err == nil) != valid {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if ValidField("X-Check", "a\r\nHost: b") == nil {
		t.Error("a value with a line break is accepted")
	}
}

// TestChecksOfAnotherPortOverTLS also shows what hosts are asked, and that they may be at a unix
// socket.
func TestChecksOfAnotherPortOverTLS(t *testing.T) {
	var field string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		field = r.Header.Get("X-Check")
		fmt.Fprint(w, "ready")
	}))
	defer srv.Close()
	_, text, _ := net.SplitHostPort(srv.Listener.Addr().String())
	port, _ := strconv.Atoi(text)
	cfg := Config{Port: port, Fields: map[string]string{"X-Check": "lb"}, Expect: Expect{Text: "ready"}, Timeout: 20 * time.Second}
	check := func(verify bool) result {
		m := New(cfg, zerolog.Nop(), nil)
		m.SetTLS(hosttls.New(hosttls.Config{Verify: &verify}, hosttls.Material{}))
		return m.check(t.Context(), Target{Name: "a", Address: "127.0.0.1:1"}, new(gate))
	}
	if got := check(false); got.err != "" || field != "lb" {
		t.Errorf("got %+v, the field %q", got, field)
	}
	if got, want := check(true), "the host's certificate comes from an authority that isn't trusted"; got.err != want {
		t.Errorf("got %+v, want %q", got, want)
	}
	m := New(cfg, zerolog.Nop(), nil) // plain text to a port with TLS
	if got := m.check(t.Context(), Target{Name: "a", Address: "127.0.0.1:1"}, new(gate)); got.err != "status 400" {
		t.Errorf("got %+v", got)
	}
}

// TestChecksResumeSessions, because a handshake costs a host more than its answer.
func TestChecksResumeSessions(t *testing.T) {
	var resumed []bool
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
	}))
	srv.TLS = &tls.Config{MaxVersion: tls.VersionTLS12} // whose ticket comes with the handshake
	srv.StartTLS()
	defer srv.Close()
	no := false
	m := New(Config{Timeout: 20 * time.Second}, zerolog.Nop(), nil)
	m.SetTLS(hosttls.New(hosttls.Config{Verify: &no}, hosttls.Material{}))
	for range 2 {
		if got := m.check(t.Context(), Target{Name: "a", Address: srv.Listener.Addr().String()}, new(gate)); got.err != "" {
			t.Fatal(got)
		}
	}
	if len(resumed) != 2 || resumed[0] || !resumed[1] {
		t.Errorf("got %v, want the second to resume", resumed)
	}
}

func TestHostsAtUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ide.sock")
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	host := ""
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host = r.Host })}}
	srv.Start()
	m := New(Config{Timeout: 20 * time.Second, Port: 1}, zerolog.Nop(), nil)
	target := Target{Name: "a", Address: "unix:" + path}
	if got := m.check(t.Context(), target, new(gate)); got.err != "" || host != "localhost" {
		t.Errorf("got %+v, the Host %q", got, host)
	}
	srv.Close()
	if got := m.check(t.Context(), target, new(gate)); !got.refused {
		t.Errorf("got %+v of a socket that is gone", got)
	}
}

// TestChecksTellThatTheyAreTheBalancersOwn, before TLS.
func TestChecksTellThatTheyAreTheBalancersOwn(t *testing.T) {
	want := string(proxyheader.Ends{}.Append(nil))
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		m := New(Config{}, zerolog.Nop(), nil)
		m.dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
		m.SendProxy()
		m.SetTLS(hosttls.New(hosttls.Config{}, hosttls.Material{}))
		got := make([]byte, len(want)+1)
		var host sync.WaitGroup
		host.Go(func() {
			defer far.Close()
			_, _ = io.ReadFull(far, got)
		})
		if r := m.check(t.Context(), Target{Name: "a", Address: "192.0.2.1:1"}, new(gate)); r.err == "" {
			t.Error("a host that answers nothing passes")
		}
		host.Wait()
		const handshake = "\x16" // RFC 8446 §5.1
		if string(got) != want+handshake {
			t.Errorf("the check begins with %q", got)
		}
	})
}

package upstream

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/http1"
	"tokenring/proxy/deadline"
)

// mark must be in nothing that is said.
const mark = "s3cr3t-token"

func TestProbeTellsWhichAnswersAreRefusedOrRepaired(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]reply{
		"/":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true},
		"/fold":    {"HTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", true},
		"/lengths": {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false},
		"/chunk":   {"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", false},
		"/long":    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + strings.Repeat("y", 2000) + "\r\n\r\n", true},
		"/101":     {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false},
		"/cut":     {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", false},
		"/closed":  {"", false},
		"/stream":  {"HTTP/1.1 200 OK\r\n\r\ndata", true},
		"/silent":  {"", true},
	})
	p := Probe{Limits: http1.Limits{Line: 1000, Head: 65536, Fields: 256}, Timeout: 5 * time.Second, Host: "ide.example"}
	for path, want := range map[string]ProbeResult{
		"/":        {Status: 200},
		"/fold":    {Status: 200, Repairs: []string{"a folded field line (RFC 9112 §5.2)", "padding in a chunk's first line (RFC 9112 §7.1)"}},
		"/lengths": {Refused: "more than one Content-Length (RFC 9112 §6.3)"},
		"/chunk":   {Status: 404, Refused: "a malformed chunk size (RFC 9112 §7.1)"},
		"/long":    {Refused: "a field line is too long (RFC 6585 §5)"},
		"/101":     {Refused: ErrUnasked.Reason},
		"/cut":     {Status: 200, Err: errors.New("the host's answer was cut short")},
		"/closed":  {Err: errors.New("the host's answer was cut short")},
		"/stream":  {Status: 200},
		"/silent":  {Err: os.ErrDeadlineExceeded},
	} {
		p := p
		if path == "/stream" || path == "/silent" {
			p.Timeout = 300 * time.Millisecond
		}
		got := p.Ask(t.Context(), s.address, path+"?token="+mark)
		if got.Status != want.Status || got.Refused != want.Refused || !slices.Equal(got.Repairs, want.Repairs) {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
		if (got.Err == nil) != (want.Err == nil) || got.Err != nil && (deadline.Exceeded(got.Err) != deadline.Exceeded(want.Err) || strings.Contains(got.Err.Error(), mark)) {
			t.Errorf("%s: got %v, want %v", path, got.Err, want.Err)
		}
	}
	if got := s.received(); !strings.Contains(got, "GET /fold?token="+mark+" HTTP/1.1\r\nHost: ide.example\r\n") {
		t.Errorf("the host got %q", got)
	}
}

func TestProbeReturnsTheErrorOfAHostThatIsUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if got := (Probe{Timeout: time.Second}).Ask(t.Context(), ln.Addr().String(), "/"); got.Err == nil || got.Status != 0 {
		t.Errorf("got %+v", got)
	}
}

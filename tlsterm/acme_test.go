package tlsterm

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/testlog"
)

func TestCheckDomain(t *testing.T) {
	for domain, ok := range map[string]bool{
		"ide.example.com": true, "IDE.example.com": true, "xn--bcher-kva.example": true, "ide.example.com.": true,
		"": false, "localhost": false, "*.example.com": false, "bücher.example": false, "a b.example": false,
		".example.com": false, "a..example": false, "a_b.example": false, "x.example:443": false, strings.Repeat("a.", 127): false,
	} {
		if err := CheckDomain(domain); (err == nil) != ok {
			t.Errorf("CheckDomain(%q) = %v", domain, err)
		}
	}
}

func TestDirectoryHasNoDefault(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://acme.example/dir": true, "": false, "http://acme.example/dir": false, "acme.example": false, "https://": false,
	} {
		if err := CheckDirectory(url); (err == nil) != ok {
			t.Errorf("CheckDirectory(%q) = %v", url, err)
		}
	}
}

func testACME(t *testing.T) *ACME {
	return &ACME{Domains: []string{"IDE.example.com", "ide.example.com."}, Directory: "https://127.0.0.1:1/dir", Cache: filepath.Join(t.TempDir(), "acme")}
}

func TestBadACMEConfigIsRefused(t *testing.T) {
	dir := t.TempDir()
	for want, spoil := range map[string]func(*ACME){
		"domains":        func(c *ACME) { c.Domains = nil },
		"wildcard":       func(c *ACME) { c.Domains = []string{"*.example.com"} },
		"directory":      func(c *ACME) { c.Directory = "" },
		"cache":          func(c *ACME) { c.Cache = "" },
		"no such file":   func(c *ACME) { c.RootCAs = filepath.Join(dir, "gone") },
		"no certificate": func(c *ACME) { c.RootCAs = filepath.Join(dir, "text"); write(t, c.RootCAs, []byte("x")) },
	} {
		cfg := testACME(t)
		spoil(cfg)
		if _, err := New(Config{ACME: cfg}, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestCacheDirectoryIsPrivate(t *testing.T) {
	cfg := testACME(t)
	newSource(t, Config{ACME: cfg})
	info, err := os.Stat(cfg.Cache)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestBackOffDoublesToAnHour(t *testing.T) {
	for n, want := range map[int]time.Duration{
		1: 90 * time.Second, 2: 3 * time.Minute, 3: 6 * time.Minute, 6: 48 * time.Minute, 7: time.Hour, 8: time.Hour, 1000: time.Hour,
	} {
		for range 50 {
			if got := retryAfter(n); got < want || got >= want+want/10 {
				t.Errorf("after %d failures: %v, want %v and up to a tenth more", n, got, want)
			}
		}
	}
}

func TestOnlyStaleNoncesAreRetriedAtOnce(t *testing.T) {
	for _, row := range []struct {
		n, status int
		again     bool
	}{{1, 400, true}, {5, 400, true}, {6, 400, false}, {1, 429, false}, {1, 503, false}} {
		d := retryNonces(row.n, nil, &http.Response{StatusCode: row.status})
		if (d > 0) != row.again {
			t.Errorf("retry %d after status %d: %v", row.n, row.status, d)
		}
	}
}

func TestRenewalIsDueBeforeTheExpiry(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for life, want := range map[time.Duration]time.Duration{
		90 * day:  75 * day,
		6 * day:   5 * day,
		365 * day: 350 * day,
	} {
		if got := renewalDue(start, start.Add(life)).Sub(start); got != want {
			t.Errorf("lifetime %v: due after %v, want %v", life, got, want)
		}
	}
}

func TestOverdueRenewalIsShownAndLoggedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := new(testlog.Buffer)
		i := &issuer{log: zerolog.New(book)}
		p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
		cert := &tls.Certificate{Leaf: leafOf(t, p.Cert)}
		var n notice
		if why := i.late(cert, "ide.example.com", &n); why != "" {
			t.Errorf("a fresh one: %s", why)
		}
		time.Sleep(80 * 24 * time.Hour)
		for range 2 * 24 * 60 {
			if why := i.late(cert, "ide.example.com", &n); !strings.Contains(why, "overdue") {
				t.Errorf("an old one: %q", why)
			}
			time.Sleep(time.Minute)
		}
		if got := strings.Count(book.String(), "overdue"); got != 2 {
			t.Errorf("%d log lines in two days, want 2", got)
		}
	})
}

// unreachable makes every dial to the directory fail, and counts them.
func unreachable(s *Source) *atomic.Int64 {
	var dials atomic.Int64
	s.issuer.client.base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("no server there")
	}
	return &dials
}

func TestAnUnreachableDirectoryIsRetriedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := new(testlog.Buffer)
		s, err := New(Config{ACME: testACME(t)}, zerolog.New(book))
		if err != nil {
			t.Fatal(err)
		}
		dials := unreachable(s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(time.Hour)
		// At 0, 1.5, 4.5, 10.5, 22.5 and 46.5 minutes, or up to a tenth later.
		if n := dials.Load(); n != 6 {
			t.Errorf("%d attempts in an hour, want 6", n)
		}
		if n := strings.Count(book.String(), "wasn't issued"); n != 6 {
			t.Errorf("%d log lines, want 6", n)
		}
		e := s.Expiries()
		if len(e) != 1 || !e[0].NotAfter.IsZero() || !strings.Contains(e[0].Problem, "no server there") || e[0].Names[0] != "ide.example.com" {
			t.Errorf("got %+v, want one domain and its problem", e)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestUsersNeverWaitForTheDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
		only, both := newSource(t, Config{ACME: testACME(t)}), newSource(t, Config{ACME: testACME(t), Terms: Terms{Certificates: []Pair{p}}})
		for _, s := range []*Source{only, both} {
			dials := unreachable(s)
			start := time.Now()
			_, err := shake(s.TLSConfig(), &tls.Config{ServerName: "ide.example.com", InsecureSkipVerify: true})
			if (err == nil) != (s == both) {
				t.Errorf("got %v", err)
			}
			if dials.Load() != 0 || time.Since(start) != 0 {
				t.Errorf("a handshake made %d dials and took %v", dials.Load(), time.Since(start))
			}
		}
	})
}

func TestACMECertificateReplacesThePlaceholder(t *testing.T) {
	dir := t.TempDir()
	p, q := newPair(t, dir, "a", "ecdsa", "ide.example.com"), newPair(t, dir, "b", "ecdsa", "ide.example.com")
	s := newSource(t, Config{ACME: testACME(t), Terms: Terms{Certificates: []Pair{p}}})
	issued, err := loadPair(q)
	if err != nil {
		t.Fatal(err)
	}
	s.issued("ide.example.com", issued.Certificate, "")
	if !seenBy(t, s, "ide.example.com").Equal(issued.Leaf) {
		t.Error("the placeholder is still served")
	}
	s.issued("ide.example.com", nil, "out of order")
	if !seenBy(t, s, "ide.example.com").Equal(issued.Leaf) {
		t.Error("a failure took the certificate away")
	}
	e := s.Expiries()[0]
	if !e.NotAfter.Equal(issued.Leaf.NotAfter) || e.Problem != "out of order" || filepath.Base(e.File) != "ide.example.com" {
		t.Errorf("got %+v", e)
	}
	before := s.table.Load()
	s.issued("ide.example.com", issued.Certificate, "out of order")
	if s.table.Load() != before {
		t.Error("an update without changes made a new table")
	}
}

func TestChallengesAreForConfiguredDomainsOnly(t *testing.T) {
	s := newSource(t, Config{ACME: testACME(t), Terms: Terms{Certificates: []Pair{newPair(t, t.TempDir(), "a", "ecdsa", "other.example.com")}}})
	for _, row := range []struct{ name, want string }{
		{"other.example.com", "isn't configured"},
		{"ide.example.com", "no token cert"},
	} {
		hello := &tls.ClientHelloInfo{ServerName: row.name, SupportedProtos: []string{ChallengeProto}}
		if _, err := s.getCertificate(hello); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
	both := &tls.ClientHelloInfo{
		ServerName: "other.example.com", SupportedProtos: []string{"http/1.1", ChallengeProto},
		SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
	if _, err := s.getCertificate(both); err != nil {
		t.Errorf("a client that offers both protocols: %v", err)
	}
}

func TestFailuresThatAutocertHidesAreLogged(t *testing.T) {
	for _, row := range []struct {
		what   string
		status int
		body   string
		want   string // in the log; "" for none
	}{
		{"rate limit", 429, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}`, "rateLimited"},
		{"stale nonce", 400, `{"type":"urn:ietf:params:acme:error:badNonce","detail":"stale"}`, ""},
		{"no JSON", 502, "<html>bad gateway</html>", "502"},
		{"failed proof", 200, `{"status":"invalid","identifier":{"value":"ide.example.com"},"challenges":[{"error":{"type":"urn:ietf:params:acme:error:connection","detail":"refused"}}]}`, "connection: refused"},
		{"pending proof", 200, `{"status":"pending","challenges":[{}]}`, ""},
		{"certificate", 200, "-----BEGIN CERTIFICATE-----", ""},
	} {
		book := new(testlog.Buffer)
		d, err := newACMEClient("", zerolog.New(book))
		if err != nil {
			t.Fatal(err)
		}
		d.note("/authz/1", row.status, []byte(row.body))
		once := len(book.String())
		if row.status < 400 {
			if d.note("/authz/1", row.status, []byte(row.body)); len(book.String()) != once {
				t.Errorf("%s: read again, logged again", row.what)
			}
		}
		if got := book.String(); (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: log %q, want %q", row.what, got, row.want)
		}
		if why := d.refusal("ide.example.com"); (why != "") != (row.what == "failed proof") {
			t.Errorf("%s: remembers %q", row.what, why)
		}
		if d.forget("ide.example.com"); d.refusal("ide.example.com") != "" {
			t.Error("it doesn't forget")
		}
	}
}

func TestRequestsFailAfterRunHasEnded(t *testing.T) {
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(served)
			<-r.Context().Done()
			return
		}
		w.Header().Set("Retry-After", r.URL.Query().Get("after"))
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	book := new(testlog.Buffer)
	d, err := newACMEClient("", zerolog.New(book))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d.start(ctx)
	defer d.close()

	for asked, want := range map[string]string{"": "", "1": "1", "600": "3", "Sun, 06 Nov 2094 08:49:37 GMT": "3"} {
		resp, err := d.httpClient().Get(server.URL + "/?after=" + strings.ReplaceAll(asked, " ", "+"))
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After %q: got %q, want %q", asked, got, want)
		}
	}
	go func() { <-served; cancel() }()
	if _, err := d.httpClient().Get(server.URL + "/slow"); err == nil {
		t.Error("a request outlived Run")
	}
	if _, err := d.httpClient().Get(server.URL); !errors.Is(err, errClosed) {
		t.Errorf("after Run: got %v, want %v", err, errClosed)
	}
	if len(book.String()) != 0 {
		t.Errorf("the stop was logged: %s", book.String())
	}
}

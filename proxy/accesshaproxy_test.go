package proxy

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokenring/proxy/accesslog"
	"tokenring/proxy/routing"
	"tokenring/proxy/tunnel"
	"tokenring/testlog"
)

// likeHAProxy has lines in HAProxy's form; they go to the buffer.
func likeHAProxy(lines *testlog.Buffer) func(*lab) {
	return func(l *lab) {
		l.haproxy, l.listener.Address = lines, ":8080"
		l.cfg.Routes = []routing.Config{{PathPrefix: "/old", Redirect: &routing.RedirectConfig{To: "https://ide.example", Status: 308}}}
	}
}

func TestLinesLookLikeHAProxys(t *testing.T) {
	var lines testlog.Buffer
	l := start(t, likeHAProxy(&lines), newHost(t, "a").on("/page", mirror(make(chan *http.Request, 1))).on("/ws", accept(echo)))
	l.ask("GET /page?token="+mark+" HTTP/1.1\r\nHost: ide.example\r\n\r\n", 200)
	l.ask("GET /old HTTP/1.1\r\nHost: ide.example\r\n\r\n", 308)
	l.ask("GET / HTTP/1.1\r\n\r\n", 400)
	l.webSocket(false).CloseNow()
	for _, want := range []string{
		`:8080 pool/a 0/0/\d+/\d+/\d+ 200 \d+ - - ---- \d+/\d+/\d+/\d+/0 0/0 "GET /page HTTP/1\.1"`,
		`:8080 :8080/<NOSRV> 0/-1/-1/-1/\d+ 308 \d+ - - LR-- \d+/\d+/\d+/0/0 0/0 "GET /old HTTP/1\.1"`,
		`:8080 :8080/<NOSRV> -1/-1/-1/-1/\d+ 400 \d+ - - PR-- \d+/\d+/\d+/0/0 0/0 "<BADREQ>"`,
		`:8080 pool/a 0/0/\d+/\d+/\+\d+ 101 \+\d+ - - ---- \d+/\d+/\d+/\d+/0 0/0 "GET /ws HTTP/1\.1"`,
		`:8080 pool/a 0/0/\d+/\d+/\d+ 101 \d+ - - (CD|--)-- \d+/\d+/\d+/\d+/0 0/0 "GET /ws HTTP/1\.1"`,
	} {
		line := regexp.MustCompile(`(?m)^127\.0\.0\.1:\d+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] ` + want + `$`)
		eventually(t, "the line "+want, func() bool { return line.MatchString(lines.String()) })
	}
	if strings.Contains(lines.String(), mark) {
		t.Errorf("the token is in %s", lines.String())
	}
	if got := l.log.String(); strings.Contains(got, `"status"`) {
		t.Errorf("there are lines of JSON, too: %s", got)
	}
}

func TestRefusedRequestsOfHTTP2LookLikeHAProxys(t *testing.T) {
	var lines testlog.Buffer
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		likeHAProxy(&lines)(l)
	}, newHost(t, "a"))
	h := &h2conn{srv: l.srv, client: clientAddr{address: address{text: "192.0.2.1", port: 4711}, secure: true}}
	h.logRefused(400, "a reason")
	if got := lines.String(); !strings.HasPrefix(got, "192.0.2.1:4711 [") || !strings.Contains(got, ` :8080~ :8080~/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- `) {
		t.Errorf("got %s", got)
	}
}

// TestEachEndHasATerminationState: an unknown end would look like a fault of lb's own.
func TestEachEndHasATerminationState(t *testing.T) {
	for _, end := range []string{
		endDone, endOpen, endRefused, endNotAllowed, endNoHost, endHostFull, endHostFailed, endClientGone, endTimeout, endMaint, endMoved,
		endShutdown, endMaintenance, endRetired,
		string(tunnel.ByClient), string(tunnel.ByHost), string(tunnel.ByDrain), string(tunnel.ByHostDown), string(tunnel.BySplit),
		string(tunnel.ByOperator), string(tunnel.ByUpgrade),
	} {
		var lines testlog.Buffer
		log := accesslog.Log{HAProxy: accesslog.HAProxy{Out: &lines}}
		log.Write(&accesslog.Entry{Host: "a", Started: time.Now(), End: end, Broken: true}, "")
		if got := lines.String(); strings.Contains(got, " IC-- ") || !strings.Contains(got, "-- 0/0/0/0/0 ") {
			t.Errorf("%s: got %s", end, got)
		}
	}
}

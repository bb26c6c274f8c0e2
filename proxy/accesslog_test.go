package proxy

import (
	"strings"
	"testing"

	"tokenring/balancer"
)

func TestAccessLineTellsWhatHappened(t *testing.T) {
	l := start(t, nil, newHost(t, "a"))
	a := l.ask("POST /some/path?token="+mark+" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 200)
	e := l.logged("/some/path")
	for name, want := range map[string]any{
		"id": a.Header.Get("X-Request-Id"), "client": "127.0.0.1", "tls": false, "method": "POST", "path": "/some/path",
		"key": l.p.opt.Digest.Digest([]byte(mark)).String(), "host": "a", "why": "owner", "retried": false, "status": 200.0,
		"in": 5.0, "out": float64(len(a.body)), "end": "done",
	} {
		if e[name] != want {
			t.Errorf("%s: got %v, want %v", name, e[name], want)
		}
	}
}

// TestATunnelHasALineWhenItOpens, and another when it ends.
func TestATunnelHasALineWhenItOpens(t *testing.T) {
	l := start(t, nil, newHost(t, "a").on("/ws", accept(echo)))
	w, _ := l.terminal(mark)
	var lines []map[string]any
	about := func(n int) func() bool {
		return func() bool {
			lines = lines[:0]
			for _, e := range l.entries() {
				if e["path"] == "/ws" {
					lines = append(lines, e)
				}
			}
			return len(lines) == n
		}
	}
	eventually(t, "a line about the open tunnel", about(1))
	for name, want := range map[string]any{
		"key": l.digest(mark).String(), "host": "a", "why": "owner", "status": 101.0, "out": 0.0, "end": "open",
	} {
		if lines[0][name] != want {
			t.Errorf("%s: got %v, want %v", name, lines[0][name], want)
		}
	}
	w.Close()
	eventually(t, "a line about its end", about(2))
	if lines[1]["end"] != "client" || lines[1]["id"] != lines[0]["id"] {
		t.Errorf("got %v after %v", lines[1], lines[0])
	}
}

// The lab looks for the mark after each of these.
func TestTokensInWrongPlacesAreNotLogged(t *testing.T) {
	keys := []balancer.KeyRule{{Source: balancer.KeyQuery, Name: "token"}, {Source: balancer.KeyCookie, Name: "ide"}, {Source: balancer.KeyHeader, Name: "X-Token"}}
	l := start(t, func(l *lab) { l.cfg.Key = keys }, newHost(t, "a"))
	for _, request := range []string{
		get("/?token=" + mark),
		get("/%3Ftoken=" + mark),
		get("/%253Ftoken%253D" + mark),
		get("/%25253Ftoken%25253D" + mark),
		get("/%2525253Ftoken%2525253D" + mark),
		get("/;TOKEN=" + mark),
		get("/token=" + mark + "/x"),
		get("/" + mark + "/x?token=" + mark),
		"GET /x HTTP/1.1\r\nHost: x\r\nCookie: a=b; ide=" + mark + "; c\r\n\r\n",
		"GET /" + mark + " HTTP/1.1\r\nHost: x\r\nx-token: " + mark + "\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + mark + "\r\nUser-Agent: " + mark + "\r\nReferer: http://x/?token=" + mark + "\r\n\r\n",
	} {
		w := l.dial().send(request)
		_, _ = w.in.ReadString('\n')
		w.Close()
	}
	eventually(t, "all the lines", func() bool { return len(l.entries()) == 11 })
	if n := strings.Count(l.log.String(), l.p.opt.Digest.Digest([]byte(mark)).String()); n < 3 {
		t.Errorf("got %d digests", n)
	}
}

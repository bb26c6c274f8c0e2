package proxy

import (
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/http1"
)

func TestAccessLineTellsWhatHappened(t *testing.T) {
	l := start(t, nil, newHost(t, "a"))
	a := l.ask("POST /some/path?token="+mark+" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 200)
	e := l.logged("/some/path")
	for name, want := range map[string]any{
		"id": a.Header.Get("X-Request-Id"), "client": "127.0.0.1", "tls": false, "method": "POST", "path": "/some/path",
		"key": l.p.opt.Digest.Digest([]byte(mark)), "host": "a", "why": "owner", "retried": false, "status": 200.0,
		"in": 5.0, "out": float64(len(a.body)), "end": "done",
	} {
		if e[name] != want {
			t.Errorf("%s: got %v, want %v", name, e[name], want)
		}
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
	if n := strings.Count(l.log.String(), l.p.opt.Digest.Digest([]byte(mark))); n < 3 {
		t.Errorf("got %d digests", n)
	}
}

func TestKeysAreTakenFromTheFirstPlaceThatHasOne(t *testing.T) {
	x := &exchange{srv: &server{p: &Proxy{cfg: Config{Key: []balancer.KeyRule{
		{Source: balancer.KeyQuery, Name: "token"},
		{Source: balancer.KeyCookie, Name: "ide"},
		{Source: balancer.KeyHeader, Name: "X-Token"},
		{Source: balancer.KeyClient},
	}}}}, client: &clientAddr{key: []byte("addr")}}
	for _, tt := range []struct{ head, want string }{
		{"GET /?a=b&token=q HTTP/1.1\r\nHost: x\r\nCookie: ide=c\r\n\r\n", "q"},
		{"GET /?token= HTTP/1.1\r\nHost: x\r\nCookie: a=1;ide=c; x\r\n\r\n", "c"},
		{"GET /?Token=q HTTP/1.1\r\nHost: x\r\nCookie: IDE=c\r\nx-token: h\r\n\r\n", "h"},
		{"GET / HTTP/1.1\r\nHost: x\r\nCookie: aide=c\r\nCookie: z; ide=second\r\n\r\n", "second"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "addr"},
	} {
		if err := http1.NewReader(strings.NewReader(tt.head), http1.Limits{}).ReadRequest(&x.req); err != nil {
			t.Fatal(err)
		}
		if got := string(x.keyOf()); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.head, got, tt.want)
		}
	}
}

func TestPathsInTheLogAreBounded(t *testing.T) {
	x := &exchange{srv: &server{p: &Proxy{cfg: Config{}.withDefaults()}}}
	long := "/" + strings.Repeat("x", 1000)
	for path, want := range map[string]string{
		"/a%20b": "/a%20b", "/": "/", "/mytoken": "/mytoken", "/100%25": "(redacted)", long: long[:256] + "…",
	} {
		if got := string(x.redact([]byte(path))); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

package proxy

import (
	"net/http"
	"net/netip"
	"testing"

	"tokenring/balancer"
	"tokenring/proxy/hashkey"
)

// TestAKeyInThePathIsNotInTheLog, which the lab looks through as well.
func TestAKeyInThePathIsNotInTheLog(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Key = hashkey.Rules{{Source: balancer.KeyPath, Name: "2"}} },
		newHost(t, "a").on("/ide/"+mark+"/files", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)))
	l.ask(get("/ide/"+mark+"/files"), 200)
	if e := l.logged("/ide/*/files"); e["key"] != l.digest(mark).String() {
		t.Errorf("the log says %v", e)
	}
}

// TestATrustedHeaderOfOthersIsNoKey, and hosts don't get it.
func TestATrustedHeaderOfOthersIsNoKey(t *testing.T) {
	heads := make(chan *http.Request, 1)
	for _, trusted := range []bool{true, false} {
		l := start(t, func(l *lab) {
			l.cfg.Key = hashkey.Rules{{Source: balancer.KeyTrusted, Name: "X-User"}}
			if trusted {
				l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		}, newHost(t, "a").on("/page", speaks(heads)))
		l.ask("GET /page HTTP/1.1\r\nHost: x\r\nx-user: "+mark+"\r\n\r\n", 200)
		user, key := "", any(nil)
		if trusted {
			user, key = mark, l.digest(mark).String()
		}
		if got := (<-heads).Header.Get("X-User"); got != user {
			t.Errorf("trusted %t: the host got X-User %q", trusted, got)
		}
		if e := l.logged("/page"); e["key"] != key {
			t.Errorf("trusted %t: the log says %v", trusted, e)
		}
	}
}

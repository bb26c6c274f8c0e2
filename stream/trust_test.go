package stream

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

func TestAPeerWithAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	real := b.self.Fingerprint
	b.self.Fingerprint = NewIdentity().Fingerprint() // what a is told of b
	a.src.report(on(1, "ide-1", 1))
	a.start(b)
	b.start(a)
	failing(t, a, b, "it has another key than its fingerprint")
	failing(t, b, a, "doesn't accept this balancer's key")
	eventually(t, "it is counted", func() bool { return a.hub.Refused()[UnknownKey] > 0 })
	if got := a.sink.story() + b.sink.story(); got != "" {
		t.Errorf("something was told: %s", got)
	}
	if n := a.src.opened(); n != 0 {
		t.Errorf("%d sources are open", n)
	}
	b.self.Fingerprint = real
	a.know(b)
	connected(t, a, b)
}

func TestANameBelongsToItsKey(t *testing.T) {
	t.Parallel()
	a, b, c := newNode(t, "lb-a"), newNode(t, "lb-b"), newNode(t, "lb-c")
	thief := newNode(t, "lb-b", func(o *Options) { o.Identity = c.hub.options.Identity }) // a peer that wants another's sessions
	thief.src.report(on(1, "ide-1", 1))
	a.start(b, c)
	b.start(a)
	connected(t, a, b)
	thief.start(a)
	failing(t, thief, a, "it refuses this balancer: \"the name lb-b isn't that of the balancer with the key")
	eventually(t, "it is counted", func() bool { return a.hub.Refused()[BadHello] > 0 })
	if got, want := a.sink.story(), "begin lb-b, complete lb-b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s := a.status(b); !s.Up || !s.Heard {
		t.Errorf("the peer with that name: %+v", s)
	}
	c.self.Address = thief.self.Address // where lb-c is, somebody says that he is lb-b
	a.know(b, c)
	failing(t, a, c, "it says that it is lb-b")
}

// TestBothEndsCheckWhoTheOtherIs, and don't rely on its refusal.
func TestBothEndsCheckWhoTheOtherIs(t *testing.T) {
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.know(b)
	p := a.hub.peers["lb-b"]
	for _, row := range []struct {
		hello hello
		want  string
	}{
		{hello{name: "lb-b"}, ""},
		{hello{name: "lb-c"}, "it says that it is lb-c"},
		{hello{name: "lb-b", keyID: [8]byte{1}}, errOtherSecret.Error()},
	} {
		if err := p.check(row.hello); (err == nil) != (row.want == "") || err != nil && err.Error() != row.want {
			t.Errorf("%+v: got %v, want %q", row.hello, err, row.want)
		}
	}
}

// TestEachConnectionProvesItsKey: none is resumed by a ticket.
func TestEachConnectionProvesItsKey(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	b.self.Address = ""
	a.start(b)
	config := dialConfig(b.hub.options.Identity, a.self.Fingerprint)
	config.ClientSessionCache, config.ServerName = tls.NewLRUClientSessionCache(1), "lb"
	for range 2 {
		conn, err := tls.Dial("tcp", a.self.Address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.NetConn().Close()
		if conn.ConnectionState().DidResume {
			t.Error("a connection was resumed")
		}
		w := &frameWriter{conn: conn, patience: time.Minute}
		w.add(kindHello, b.hub.hello().append(nil))
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := newFrameReader(conn, time.Minute).next(); err != nil { // a ticket would have come before it
			t.Fatal(err)
		}
	}
}

// TestDigestsOfAnotherSecretAreRefused: the sessions of two secrets' digests would never
// match.
func TestDigestsOfAnotherSecretAreRefused(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b", func(o *Options) { o.KeyID = [8]byte{1} })
	b.src.report(on(1, "ide-1", 1))
	a.start(b)
	b.start(a)
	failing(t, a, b, "it has another secret of digests")
	failing(t, b, a, "it has another secret of digests")
	if got := a.sink.story() + b.sink.story(); got != "" {
		t.Errorf("something was told: %s", got)
	}
	eventually(t, "it is logged", func() bool {
		return strings.Contains(a.log.String(), "another secret") && strings.Contains(a.log.String(), `"reason":"hello"`)
	})
}

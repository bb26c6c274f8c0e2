package tlsterm

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// resumes does a handshake with cfg and reports whether it has resumed a session of cache.
func resumes(t *testing.T, cfg *tls.Config, cache tls.ClientSessionCache, version uint16) bool {
	t.Helper()
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	served := make(chan error, 1)
	go func() {
		conn := tls.Server(server, cfg)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x")) // after the tickets
		}
		served <- err
	}()
	conn := tls.Client(client, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: cache, MaxVersion: version})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // and so the tickets
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// TestATicketIsGoodForAllListenersAndTheNextProcess also holds that another balancer's isn't.
func TestATicketIsGoodForAllListenersAndTheNextProcess(t *testing.T) {
	cert, key, err := SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	source := func() *Source {
		s := &Source{tickets: newTickets()}
		return s
	}
	config := func(s *Source) *tls.Config {
		cfg := &tls.Config{Certificates: []tls.Certificate{pair}}
		s.tickets.use(cfg)
		return cfg.Clone() // as each listener has one
	}
	before, next, other := source(), source(), source()
	next.RestoreTicketKeys(before.TicketKeys())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(1)
		if resumes(t, config(before), cache, version) {
			t.Error("the first handshake resumed a session")
		}
		for name, s := range map[string]*Source{"another listener": before, "the next process": next} {
			if !resumes(t, config(s), cache, version) {
				t.Errorf("%s: no session was resumed", name)
			}
		}
		if resumes(t, config(other), cache, version) {
			t.Error("another balancer resumed a session")
		}
	}
}

func TestKeysOfTicketsChangeDaily(t *testing.T) {
	tickets := newTickets()
	begin := tickets.keys[0].Made
	for day := range 20 {
		tickets.rotate(begin.Add(time.Duration(day) * 24 * time.Hour))
		if want := min(day+1, 8); len(tickets.keys) != want {
			t.Fatalf("on day %d there are %d keys, want %d", day, len(tickets.keys), want)
		}
	}
	newest := tickets.keys[0]
	tickets.rotate(newest.Made.Add(23 * time.Hour))
	if tickets.keys[0] != newest {
		t.Error("a key was replaced within a day")
	}
}

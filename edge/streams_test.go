package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"

	"tokenring/route"
	"tokenring/session"
)

// A member is one balancer of a region.
type member struct {
	*Edge
	t    *testing.T
	cuts *cutListener // of its streams
}

// regionHosts starts hosts that answer with their names, and take terminals.
func regionHosts(t *testing.T, names ...string) map[string]string {
	t.Helper()
	addresses := map[string]string{}
	for _, name := range names {
		host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/ws" {
				_, _ = io.WriteString(w, name)
				return
			}
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				defer ws.CloseNow()
				_ = ws.Write(r.Context(), websocket.MessageText, []byte(name))
				_, _, _ = ws.Read(r.Context())
			}
		}))
		t.Cleanup(host.Close)
		addresses[name] = host.Listener.Addr().String()
	}
	return addresses
}

// startMember starts a balancer with the hosts a and b, which joins the gossip of the others.
func startMember(t *testing.T, name string, hosts map[string]string, others ...*member) *member {
	t.Helper()
	return startMemberWith(t, "sessions: {linger: 2s}", name, hosts, others...)
}

// startMemberWith is startMember with one more line of configuration.
func startMemberWith(t *testing.T, line, name string, hosts map[string]string, others ...*member) *member {
	t.Helper()
	join := []string{}
	for _, o := range others {
		join = append(join, fmt.Sprintf("%q", o.pool.PeersAddr()))
	}
	text := fmt.Sprintf(`
name: %s
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, fall: 5}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
%s
peers: {bind: "127.0.0.1:0", secret_file: peers.key, join: [%s]}
pool: {hosts: [{name: a, address: %q}, {name: b, address: %q}]}
`, name, line, strings.Join(join, ", "), hosts["a"], hosts["b"])
	cfg := parsed(t, t.TempDir(), text)
	sockets, err := Listen(cfg, Here{})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, cuts: &cutListener{Listener: sockets.Streams}}
	sockets.Streams = m.cuts
	if m.Edge, err = New(cfg, sockets, Options{Version: "v0", Logger: zerolog.Nop(), AccessLog: io.Discard}); err != nil {
		t.Fatal(err)
	}
	runs(t, m.Edge)
	m.until("two hosts in the ring", func() bool { return len(m.pool.Snapshot().Table.Hosts()) == 2 })
	return m
}

// until waits for a condition.
func (m *member) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("%s: waited in vain for %s: %+v", m.cfg.Name, what, m.streamStatus())
		}
	}
}

// hears waits until m and n other balancers know each other's sessions.
func (m *member) hears(n int) {
	m.t.Helper()
	m.until(fmt.Sprintf("%d peers", n), func() bool {
		up := 0
		for _, s := range m.streamStatus() {
			if s.Up && s.Heard {
				up++
			}
		}
		return up == n
	})
}

// url returns where a token's request goes.
func (m *member) url(scheme, path, token string) string {
	return scheme + "://" + m.sockets.Clients[0].Addr().String() + path + "?token=" + token
}

// terminal opens a terminal, and returns it with its host.
func (m *member) terminal(token string) (*websocket.Conn, string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, m.url("ws", "/ws", token), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { ws.CloseNow() })
	_, host, err := ws.Read(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	return ws, string(host)
}

// page returns the host of a request.
func (m *member) page(token string) string {
	m.t.Helper()
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(m.url("http", "/", token))
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(body)
}

// addHost has a host join the ring of m alone.
func (m *member) addHost(name, address string) {
	m.t.Helper()
	if err := m.pool.EditHosts(context.Background(), route.HostEdit{Action: route.AddHost, Name: name, Address: address}); err != nil {
		m.t.Fatal(err)
	}
	m.until(name+" in the ring", func() bool { return len(m.pool.Snapshot().Table.Hosts()) == 3 })
}

// TestALiveSessionStaysOnEveryBalancer, though its ring changes, and for a while after its last
// terminal has ended.
func TestALiveSessionStaysOnEveryBalancer(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "c")
	first := startMember(t, "lb-1", hosts)
	second := startMember(t, "lb-2", hosts, first)
	third := startMember(t, "lb-3", hosts, first)
	for _, m := range []*member{first, second, third} {
		m.hears(2)
	}
	const many = 24
	at, open := map[string]string{}, map[string]*websocket.Conn{}
	for i := range many {
		token := fmt.Sprint("user-", i)
		open[token], at[token] = first.terminal(token)
	}
	second.until("the sessions", func() bool { return second.proxy.Region().Terminals("a")+second.proxy.Region().Terminals("b") == many })
	second.addHost("c", hosts["c"])
	moved := 0
	for token, host := range at {
		if got := second.page(token); got != host {
			t.Errorf("%s has a terminal on %s through lb-1, and lb-2 sends it to %s", token, host, got)
		}
		if c, _ := second.Snapshot().Choose(second.Snapshot().Key([]byte(token)), nil); c.Host.Name != host {
			moved++
		}
	}
	if moved == 0 {
		t.Errorf("the ring of lb-2 moves none of %d tokens, so nothing was shown", many)
	}
	list := third.Terminals(t.Context(), session.Selection{Limit: 100})
	if list.Total != many || len(list.Missing) > 0 || list.Terminals[0].Balancer != "lb-1" {
		t.Errorf("lb-3 lists %d terminals and misses %+v, want the %d of lb-1", list.Total, list.Missing, many)
	}
	ended := time.Now()
	for _, ws := range open {
		ws.CloseNow()
	}
	second.until("the end of the sessions", func() bool { return second.proxy.Region().Terminals("a")+second.proxy.Region().Terminals("b") == 0 })
	for token, host := range at {
		if got := second.page(token); got != host && time.Since(ended) < 2*time.Second { // it lingers for so long
			t.Errorf("%s had a terminal on %s a moment ago, and lb-2 sends it to %s", token, host, got)
			break
		}
	}
	second.until("tokens that follow the ring, when none lingers", func() bool {
		time.Sleep(2500 * time.Millisecond) // a request makes its token linger anew
		for token := range at {
			if second.page(token) == "c" {
				return true
			}
		}
		return false
	})
}

// TestSessionsOfABalancerThatVanishesLinger, so that its users find their hosts through another
// one.
func TestSessionsOfABalancerThatVanishesLinger(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "c")
	first := startMember(t, "lb-1", hosts)
	second := startMember(t, "lb-2", hosts, first)
	second.hears(1)
	first.hears(1)
	at := map[string]string{}
	for i := range 12 {
		token := fmt.Sprint("user-", i)
		_, at[token] = first.terminal(token)
	}
	second.until("the sessions", func() bool {
		return second.proxy.Region().Terminals("a")+second.proxy.Region().Terminals("b") == len(at)
	})
	second.addHost("c", hosts["c"])
	second.until("the end of the stream", func() bool {
		first.streams.SetPeers(nil) // as if its network were gone; a snapshot of its hosts brings the peers back
		return !second.streamStatus()[0].Heard
	})
	for token, host := range at {
		if got := second.page(token); got != host {
			t.Errorf("%s was on %s until its balancer vanished, and lb-2 sends it to %s", token, host, got)
		}
	}
}

// TestAnOperatorEndsSessionsThroughAnotherBalancer.
func TestAnOperatorEndsSessionsThroughAnotherBalancer(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b")
	first := startMember(t, "lb-1", hosts)
	second := startMember(t, "lb-2", hosts, first)
	second.hears(1)
	first.hears(1)
	ws, host := first.terminal("alice")
	_, other := second.terminal("bob")
	ended := second.EndTerminals(t.Context(), session.Selection{Host: host, Balancer: "lb-1", Limit: 10})
	if ended.Ended != 1 || ended.Left != 0 || len(ended.Missing) > 0 {
		t.Errorf("got %+v", ended)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("it ended with %v", err)
	}
	if left := first.Terminals(t.Context(), session.Selection{Limit: 10}); left.Total != 1 || left.Terminals[0].Host != other || left.Terminals[0].Balancer != "lb-2" {
		t.Errorf("left: %+v", left)
	}
	if got := first.Terminals(t.Context(), session.Selection{Balancer: "lb-9", Limit: 10}); len(got.Missing) != 1 || got.Missing[0].Balancer != "lb-9" {
		t.Errorf("of a balancer that isn't known: %+v", got)
	}
}

// TestBalancersAgreeWhoIsFull: a host with two terminals through one balancer is full for the
// other one, too.
func TestBalancersAgreeWhoIsFull(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b")
	first := startMemberWith(t, "hash: {bounded_load: 1.25}", "lb-1", hosts)
	second := startMemberWith(t, "hash: {bounded_load: 1.25}", "lb-2", hosts, first)
	second.hears(1)
	var owned []string // by a
	for i := 0; len(owned) < 3; i++ {
		token := fmt.Sprint("user-", i)
		if c, _ := first.Snapshot().Choose(first.Snapshot().Key([]byte(token)), nil); c.Host.Name == "a" {
			owned = append(owned, token)
		}
	}
	for _, token := range owned[:2] {
		if _, host := first.terminal(token); host != "a" {
			t.Errorf("%s is on %s, but a had room", token, host)
		}
	}
	second.until("the terminals at lb-1", func() bool { return second.Snapshot().Host("a").Gauges.AtPeers.Load() == 2 })
	if _, host := second.terminal(owned[2]); host != "b" {
		t.Errorf("a third token of a is on %s, want b: a has two terminals of two", host)
	}
	first.until("the terminal at lb-2", func() bool { return first.Snapshot().Host("b").Gauges.AtPeers.Load() == 1 })
}

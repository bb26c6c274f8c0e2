package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"tokenring/route"
)

// cutOff cuts the streams of others to m, until the returned func is called or the test ends.
func (m *member) cutOff() (heal func()) {
	m.cuts.set(true)
	heal = func() { m.cuts.set(false) }
	m.t.Cleanup(heal)
	return heal
}

// A cutListener can refuse connections, and end those that it has accepted.
type cutListener struct {
	net.Listener

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// Accept implements net.Listener.
func (l *cutListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.keep(c) {
			return c, err
		}
		c.Close()
	}
}

func (l *cutListener) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return !l.cut
}

func (l *cutListener) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for _, c := range l.conns {
		if cut {
			c.Close()
		}
	}
}

// lists has m list one more host.
func (m *member) lists(name, address string) {
	m.t.Helper()
	if err := m.pool.EditHosts(context.Background(), route.HostEdit{Action: route.AddHost, Name: name, Address: address}); err != nil {
		m.t.Fatal(err)
	}
}

// waits waits until m has such changes wait for such a balancer.
func (m *member) waits(peer string, changes ...string) {
	m.t.Helper()
	m.until(fmt.Sprint("changes that wait: ", changes), func() bool {
		w := m.pool.Snapshot().Waiting
		return slices.Equal(w.Changes, changes) && slices.Equal(w.For, []string{peer})
	})
}

// TestAHostWaitsWhileABalancerIsCutOff, until an operator insists at one of those that are connected.
func TestAHostWaitsWhileABalancerIsCutOff(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "c")
	const line = "sessions: {linger: 5m}"
	first := startMemberWith(t, line, "lb-1", hosts)
	second := startMemberWith(t, line, "lb-2", hosts, first)
	third := startMemberWith(t, line, "lb-3", hosts, first)
	for _, m := range []*member{first, second, third} {
		m.hears(2)
	}
	if _, err := first.insist(t.Context(), nil); !errors.Is(err, route.ErrNothingWaits) {
		t.Errorf("insisted while all are connected: %v", err)
	}
	third.cutOff()
	for _, m := range []*member{first, second} {
		m.until("lb-3 to be missing", func() bool { return m.pool.Snapshot().Waiting.Missing == 1 })
		m.lists("c", hosts["c"])
	}
	first.waits("lb-3", "c joins")
	second.waits("lb-3", "c joins")
	goes := func(m *member, host string) bool {
		for i := range 50 {
			if m.page(fmt.Sprint("user-", i)) == host {
				return true
			}
		}
		return false
	}
	if goes(first, "c") || goes(second, "c") {
		t.Error("a token goes to the host that waits")
	}
	done, err := first.insist(t.Context(), []string{"lb-3"})
	slices.Sort(done.By)
	if err != nil || !slices.Equal(done.Peers, []string{"lb-3"}) || !slices.Equal(done.By, []string{"lb-1", "lb-2"}) || len(done.Missing) > 0 {
		t.Errorf("got %+v, %v", done, err)
	}
	for _, m := range []*member{first, second} {
		m.until("c in the ring", func() bool { return len(m.pool.Snapshot().Table.Hosts()) == 3 })
		if w := m.pool.Snapshot().Waiting; len(w.Changes) > 0 || w.Missing != 1 {
			t.Errorf("%s: still waits: %+v", m.cfg.Name, w)
		}
	}
	for i := 50; ; i++ { // tokens that have no host yet
		if token := fmt.Sprint("user-", i); second.page(token) == "c" {
			break
		} else if i == 500 {
			t.Error("no token goes to c")
			break
		}
	}
}

// TestAHostJoinsWhenABalancerIsConnectedAgain.
func TestAHostJoinsWhenABalancerIsConnectedAgain(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "c")
	const line = "sessions: {linger: 5m}"
	first := startMemberWith(t, line, "lb-1", hosts)
	second := startMemberWith(t, line, "lb-2", hosts, first)
	first.hears(1)
	second.hears(1)
	heal := second.cutOff()
	first.until("lb-2 to be missing", func() bool { return first.pool.Snapshot().Waiting.Missing == 1 })
	first.lists("c", hosts["c"])
	first.waits("lb-2", "c joins")
	heal()
	first.until("c in the ring", func() bool { return len(first.pool.Snapshot().Table.Hosts()) == 3 })
	if w := first.pool.Snapshot().Waiting; w.Missing != 0 || len(w.For) > 0 {
		t.Errorf("still waits: %+v", w)
	}
}

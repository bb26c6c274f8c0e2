package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/balancer"
	"tokenring/session"
)

// A sickHost is a host whose checks fail when it is sick, and whose terminals send a byte again and
// again, until they are quiet.
type sickHost struct {
	name        string
	sick, quiet atomic.Bool
	address     string
}

func newSickHost(t *testing.T, name string) *sickHost {
	t.Helper()
	h := &sickHost{name: name}
	host := httptest.NewServer(h)
	t.Cleanup(host.Close)
	h.address = host.Listener.Addr().String()
	return h
}

// ServeHTTP implements http.Handler.
func (h *sickHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ws":
		h.terminal(w, r)
	case h.sick.Load() && r.URL.Query().Get("token") == "":
		http.Error(w, "sick", http.StatusInternalServerError)
	default:
		_, _ = io.WriteString(w, h.name)
	}
}

func (h *sickHost) terminal(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ctx := ws.CloseRead(r.Context())
	_ = ws.Write(ctx, websocket.MessageText, []byte(h.name))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !h.quiet.Load() && ws.Write(ctx, websocket.MessageText, []byte(".")) != nil {
			return
		}
	}
}

// TestATerminalThatWorksIsNotCutThroughAnyBalancer for failing checks: a second tab through another
// balancer goes to the same host, and new tokens don't.
func TestATerminalThatWorksIsNotCutThroughAnyBalancer(t *testing.T) {
	t.Parallel()
	a, b := newSickHost(t, "a"), newSickHost(t, "b")
	hosts := map[string]string{"a": a.address, "b": b.address}
	first := startMember(t, "lb-1", hosts)
	second := startMember(t, "lb-2", hosts, first)
	second.hears(1)
	first.hears(1)
	var owned []string // by a
	for i := 0; len(owned) < 2; i++ {
		token := fmt.Sprint("user-", i)
		if c, _ := first.Snapshot().Choose(first.Snapshot().Key([]byte(token)), nil); c.Host.Name == "a" {
			owned = append(owned, token)
		}
	}
	ws, _ := first.terminal(owned[0])
	second.until("the terminal", func() bool { return second.proxy.Region().Terminals("a") == 1 })
	a.sick.Store(true)
	for _, m := range []*member{first, second} {
		m.until("a host that is down and sends", func() bool { return m.Snapshot().Host("a").Sends() })
		if got := m.page(owned[1]); got != "b" {
			t.Errorf("%s sends a token without a terminal to %s", m.cfg.Name, got)
		}
	}
	if _, host := second.terminal(owned[0]); host != "a" {
		t.Errorf("the second tab through lb-2 is on %s", host)
	}
	if _, host := first.terminal(owned[0]); host != "a" {
		t.Errorf("the third tab through lb-1 is on %s", host)
	}
	for range 3 { // the first one works
		if _, _, err := ws.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a.quiet.Store(true)
	for _, m := range []*member{first, second} {
		m.until("a host that is down and quiet", func() bool { return !m.Snapshot().Host("a").Sends() })
	}
	if _, host := second.terminal(owned[0]); host != "b" {
		t.Errorf("when nothing moves, a new tab is on %s", host)
	}
	first.until("the end of the terminals on a", func() bool {
		host, _ := first.proxy.Session(first.digester.Digest([]byte(owned[0])))
		return host != "a"
	})
}

// TestSplitsThatAHealRevealsAreEnded: two balancers that haven't heard each other have terminals of
// the same tokens on different hosts. They end those that a token doesn't keep.
func TestSplitsThatAHealRevealsAreEnded(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "c")
	first := startMember(t, "lb-1", hosts)
	second := startMember(t, "lb-2", hosts) // it doesn't know lb-1
	second.addHost("c", hosts["c"])
	type pair struct {
		one, two   *websocket.Conn
		host, kept string
	}
	var split []pair
	for i := 0; len(split) < 6; i++ {
		token := fmt.Sprint("user-", i)
		c, _ := second.Snapshot().Choose(second.Snapshot().Key([]byte(token)), nil)
		if c.Host.Name != "c" {
			continue
		}
		var p pair
		p.one, p.host = first.terminal(token)
		p.two, _ = second.terminal(token)
		if p.kept = p.host; i%2 == 0 {
			second.terminal(token)
			p.kept = "c"
		}
		split = append(split, p)
	}
	first.addHost("c", hosts["c"])
	third := startMember(t, "lb-3", hosts, first, second)
	third.hears(2)
	third.until("splits", func() bool { _, total := third.proxy.Region().Splits(); return int(total) == len(split) })
	revealed := time.Now()
	for _, p := range split {
		loser := p.one
		if p.kept != "c" {
			loser = p.two
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, _, err := loser.Read(ctx)
		cancel()
		if websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("on the host that isn't kept, it ended with %v", err)
		}
	}
	t.Logf("%d splits ended within %v", len(split), time.Since(revealed))
	third.until("no split", func() bool { now, _ := third.proxy.Region().Splits(); return now == 0 })
	list := third.Terminals(t.Context(), session.Selection{Limit: 100})
	onC := 0
	for _, terminal := range list.Terminals {
		if terminal.Host == "c" {
			onC++
		}
	}
	wantC, want := 0, 0
	for _, p := range split {
		want++
		if p.kept == "c" {
			want, wantC = want+1, wantC+2
		}
	}
	if list.Total != want || onC != wantC {
		t.Errorf("%d terminals are left, %d of them on c; want %d and %d", list.Total, onC, want, wantC)
	}
}

func TestSplitsAreEndedInParts(t *testing.T) {
	all := make([]balancer.Digest, 100)
	for _, row := range []struct{ left, pace, want, next int }{
		{0, 0, 0, 0}, {1, 0, 1, 1}, {100, 0, 25, 25}, {75, 25, 25, 25}, {3, 25, 3, 25}, {0, 25, 0, 0}, {100, 2, 25, 25},
	} {
		if now, next := paced(all[:row.left], row.pace); len(now) != row.want || next != row.next {
			t.Errorf("%d are left, at %d: got %d, then %d; want %d, %d", row.left, row.pace, len(now), next, row.want, row.next)
		}
	}
}

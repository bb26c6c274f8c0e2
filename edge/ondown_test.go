package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"

	"tokenring/route"
	"tokenring/testlog"
)

// A sickEdge is a balancer with the hosts a and b, of which a may fail its checks while its
// terminals work. The balancer closes none itself: health.close_after is long.
type sickEdge struct {
	*member
	sick atomic.Bool
	say  chan string // a writes it on a terminal
	log  testlog.Buffer
}

func startSickEdge(t *testing.T, onDown string) *sickEdge {
	t.Helper()
	b := &sickEdge{member: &member{t: t}, say: make(chan string)}
	text := `
name: lb-1
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, fall: 2, damping: off, ` + onDown + `}
admin: {address: "127.0.0.1:0", token_file: given.token}
log: {access: true}
state_dir: state
pool:
  hosts:
`
	for _, name := range []string{"a", "b"} {
		host := httptest.NewServer(b.host(name))
		t.Cleanup(host.Close)
		text += fmt.Sprintf("    - {name: %s, address: %q}\n", name, host.Listener.Addr())
	}
	var err error
	if b.Edge, err = open(parsed(t, t.TempDir(), text), &b.log); err != nil {
		t.Fatal(err)
	}
	runs(t, b.Edge)
	b.until("two hosts that serve", func() bool { return b.seen("a").Serving() && b.seen("b").Serving() })
	return b
}

// host returns a host that greets its terminals with its name.
func (b *sickEdge) host(name string) http.HandlerFunc {
	say := map[string]chan string{"a": b.say}[name]
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			if name == "a" && b.sick.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ctx := ws.CloseRead(r.Context())
		for text := name; ; {
			if ws.Write(ctx, websocket.MessageText, []byte(text)) != nil {
				return
			}
			select {
			case text = <-say:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (b *sickEdge) seen(name string) *route.Host {
	if h := b.pool.Snapshot().Host(name); h != nil {
		return h
	}
	return new(route.Host)
}

// onA opens n terminals on the host a.
func (b *sickEdge) onA(n int) (all []*websocket.Conn) {
	b.t.Helper()
	for i := 0; len(all) < n; i++ {
		if ws, at := b.terminal(fmt.Sprint("user-", i)); at == "a" {
			all = append(all, ws)
		}
	}
	return all
}

// falls has a fail its checks, and returns since when it is down.
func (b *sickEdge) falls() time.Time {
	b.sick.Store(true)
	b.until("a down", func() bool { return !b.seen("a").DownSince.IsZero() })
	return b.seen("a").DownSince
}

// closes closes what is to be closed at a moment, and returns how many terminals a has then.
func (b *sickEdge) closes(d *downCloser, at time.Time) int64 {
	d.close(context.Background(), d.e.cfg.Health, b.pool.Snapshot(), at)
	return b.seen("a").Gauges.Sessions.Load()
}

func (b *sickEdge) closer() *downCloser {
	return &downCloser{e: b.Edge, log: zerolog.Nop(), shares: map[string]int{}}
}

// TestTerminalsOfAHostThatIsDownAreClosed after health.close_after, some at a time.
func TestTerminalsOfAHostThatIsDownAreClosed(t *testing.T) {
	t.Parallel()
	b := startSickEdge(t, "on_down: close, close_after: 1h")
	const many = minDownShare + 2
	all := b.onA(many)
	down, d := b.falls(), b.closer()
	if left := b.closes(d, down.Add(time.Hour-time.Second)); left != many {
		t.Fatalf("before its time, %d of %d terminals are left", left, many)
	}
	if left := b.closes(d, down.Add(time.Hour+time.Second)); left != 2 {
		t.Errorf("after one tick %d terminals are left, want 2", left)
	}
	if left := b.closes(d, down.Add(time.Hour+2*time.Second)); left != 0 {
		t.Errorf("after two ticks %d terminals are left", left)
	}
	for _, ws := range all {
		_, _, err := ws.Read(t.Context())
		if websocket.CloseStatus(err) != websocket.StatusGoingAway || !strings.Contains(err.Error(), "the host is down") {
			t.Errorf("a terminal ends with %v", err)
		}
	}
	b.until("the access log", func() bool { return strings.Count(b.log.String(), `"end":"host-down"`) == many })
	if _, at := b.terminal("user-0"); at != "b" {
		t.Errorf("its user is on %s then", at)
	}
}

// TestTerminalsOfAHostThatIsDownStayWhileBytesCome, if it is kept, and if the ring is frozen.
func TestTerminalsOfAHostThatIsDownStayWhileBytesCome(t *testing.T) {
	t.Parallel()
	b := startSickEdge(t, "on_down: close, close_after: 1h")
	ws := b.onA(1)[0]
	down, d := b.falls(), b.closer()
	b.say <- "still here"
	if _, text, err := ws.Read(t.Context()); err != nil || string(text) != "still here" {
		t.Fatalf("a terminal says %q, %v", text, err)
	}
	heard := b.seen("a").SilentSince()
	if !heard.After(down) {
		t.Fatalf("a is silent since %v, %v after it was found down", heard, heard.Sub(down))
	}
	if left := b.closes(d, heard.Add(time.Hour-time.Millisecond)); left != 1 {
		t.Errorf("a byte has come: %d terminals are left, want 1", left)
	}
	frozen := *b.pool.Snapshot()
	frozen.Frozen = true
	if d.close(context.Background(), d.e.cfg.Health, &frozen, heard.Add(2*time.Hour)); b.seen("a").Gauges.Sessions.Load() != 1 {
		t.Error("a frozen ring waits for its hosts: the terminal has been closed")
	}
	b.sick.Store(false)
	b.until("a up", func() bool { return b.seen("a").Serving() })
	if left := b.closes(d, heard.Add(2*time.Hour)); left != 1 {
		t.Errorf("a is up: %d terminals are left, want 1", left)
	}
}

// TestTerminalsStayUnlessTheConfigurationClosesThem is the default.
func TestTerminalsStayUnlessTheConfigurationClosesThem(t *testing.T) {
	t.Parallel()
	b := startSickEdge(t, "on_down: keep")
	ws := b.onA(1)[0]
	down := b.falls()
	if left := b.closes(b.closer(), down.Add(24*time.Hour)); left != 1 {
		t.Errorf("%d terminals are left, want 1", left)
	}
	b.say <- "still here"
	if _, text, err := ws.Read(t.Context()); err != nil || string(text) != "still here" {
		t.Errorf("a terminal says %q, %v", text, err)
	}
}

package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/secondchance"
	"tokenring/route"
)

// patience is how long a connection of these tests may be needed.
const patience = 4 * time.Minute

// An overlap watches which host serves which token.
type overlap struct {
	mu     sync.Mutex
	on     map[string]string // by token
	serves map[string]int    // requests in progress, by token
	moves  int
	wrong  []string
}

// script is that of a host whose requests take a moment.
func (o *overlap) script(host string) script {
	return func(w *wire, r *http.Request) bool {
		token := r.URL.Query().Get("token")
		o.begin(token, host)
		time.Sleep(rand.N(2 * time.Millisecond))
		o.end(token)
		_ = w.SetDeadline(time.Now().Add(time.Minute))
		w.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") // so that the token doesn't linger
		return true
	}
}

func (o *overlap) begin(token, host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.on[token]
	if o.serves[token] > 0 && before != host {
		o.wrong = append(o.wrong, fmt.Sprintf("%s begins on %s while %s serves it", token, host, before))
	}
	if before != "" && before != host {
		o.moves++
	}
	o.on[token] = host
	o.serves[token]++
}

func (o *overlap) end(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.serves[token]--
}

func (o *overlap) moved() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.moves
}

// TestNoTokenIsOnTwoHostsAtOnce while the rings of three balancers change, each at its own
// moments. Nothing lingers, so that tokens move all the time.
func TestNoTokenIsOnTwoHostsAtOnce(t *testing.T) {
	t.Parallel()
	const enough = 100 // moves of tokens
	for name, change := range map[string]func(*lab){
		"plain":         nil,
		"bounded loads": func(l *lab) { l.bound = 1.25 },
		"second chances": func(l *lab) {
			l.cfg.SecondChance = &secondchance.Config{PerHost: 100_000}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &overlap{on: map[string]string{}, serves: map[string]int{}}
			var hosts []*host
			for _, name := range []string{"a", "b", "c", "d"} {
				hosts = append(hosts, newHost(t, name).on("/page", o.script(name)))
			}
			if name == "second chances" {
				hosts[3].on("/page", givesAway)
			}
			all := startNeighbours(t, 3, func(l *lab) {
				l.cfg.Timeouts.Head, l.cfg.Timeouts.Idle = patience, patience // a slow machine may let a connection wait
				if change != nil {
					change(l)
				}
			}, hosts...)
			useWhileRingsChange(all, func() bool { return o.moved() >= enough })
			if len(o.wrong) > 0 {
				t.Errorf("%d times, such as: %s", len(o.wrong), o.wrong[0])
			}
			if o.moved() < enough {
				t.Errorf("tokens have moved %d times, so little was shown", o.moved())
			}
		})
	}
}

// useWhileRingsChange uses tokens through several balancers while hosts leave their rings and
// come back, until there was enough of it.
func useWhileRingsChange(all []*lab, enough func() bool) {
	var using, changing sync.WaitGroup
	done := make(chan struct{})
	for _, l := range all {
		changing.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(rand.N(10 * time.Millisecond)):
				}
				i, in := rand.IntN(len(l.hosts)-1), rand.IntN(2) == 0
				l.change(l.hosts[i].Name, func(h *route.Host) { h.InRing = in })
			}
		})
	}
	for range 8 {
		using.Go(func() {
			wires := make([]*wire, len(all))
			for i, l := range all {
				wires[i] = l.dial()
				_ = wires[i].SetDeadline(time.Now().Add(patience))
			}
			for end := time.Now().Add(3 * time.Minute); !enough() && time.Now().Before(end); {
				i := rand.IntN(len(all))
				if a := wires[i].send(get(fmt.Sprintf("/page?token=%s-%d", mark, rand.IntN(6)))).answer("GET"); a.err != nil {
					all[i].t.Error(a.err)
					return
				}
			}
		})
	}
	using.Wait()
	close(done)
	changing.Wait()
}

package pool

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/moment"
	"tokenring/route"
	"tokenring/stream"
)

// A simWorld is one schedule: balancers, hosts and users, what happens to them, and who looks
// whether the promises are kept. One goroutine brings about what happens, in the order of time;
// users are goroutines of their own.
type simWorld struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	began time.Time
	net   *simNetwork

	balancers []*simBalancer
	hosts     []*simHost
	users     *simUsers
	oracle    *simOracle
	log       simLog

	linger    time.Duration
	slowStart time.Duration
	damping   time.Duration
	loss      float64              // of messages of the gossip
	buildTime time.Duration        // how long a table takes at most
	requests  uint64               // of operators
	calmed    time.Time            // since when no fault has begun
	told      map[string]time.Time // when an operator has had the last word on a host

	queue simQueue
	count uint64
}

// A simEvent is what happens at a moment.
type simEvent struct {
	at     time.Time
	number uint64 // orders what happens at one moment
	do     func()
}

// A simQueue has what is to happen, the next first.
type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].number < q[j].number
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(e any)   { *q = append(*q, e.(simEvent)) }
func (q *simQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// identities are the keys of the balancers' streams, in all schedules.
var identities = sync.OnceValue(func() []stream.Identity {
	return []stream.Identity{stream.NewIdentity(), stream.NewIdentity(), stream.NewIdentity()}
})

// newWorld returns a schedule in which nothing has happened yet.
func newWorld(t *testing.T, seed uint64) *simWorld {
	w := &simWorld{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), began: time.Now(), net: newSimNetwork(seed), linger: 3 * time.Minute, told: map[string]time.Time{}}
	w.oracle = newOracle(w)
	w.loss = 0.2 * w.rng.Float64()
	w.buildTime = time.Duration(1 + w.rng.Int64N(int64(3*time.Second)))
	if w.rng.IntN(2) == 0 {
		w.slowStart = 20 * time.Second
	}
	if w.rng.IntN(2) == 0 {
		w.damping = 10 * time.Second
	}
	for i := range 2 + w.rng.IntN(2) {
		w.balancers = append(w.balancers, &simBalancer{w: w, name: fmt.Sprint("lb-", i+1), identity: identities()[i], registers: map[peers.Topic]peers.Register{}})
	}
	for i := range 5 {
		w.hosts = append(w.hosts, newSimHost(w, i+1))
	}
	w.users = newUsers(w, 12)
	return w
}

// after has something happen later.
func (w *simWorld) after(d time.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, simEvent{time.Now().Add(d), w.count, do})
}

// every has something happen again and again.
func (w *simWorld) every(period time.Duration, do func()) {
	w.after(time.Duration(w.rng.Int64N(int64(period))), func() {
		do()
		w.after(period, func() { w.every(period, do) })
	})
}

// pass lets time go by, with all that happens until then.
func (w *simWorld) pass(d time.Duration) {
	for until := time.Now().Add(d); ; {
		if len(w.queue) == 0 || w.queue[0].at.After(until) {
			time.Sleep(time.Until(until))
			return
		}
		e := heap.Pop(&w.queue).(simEvent)
		time.Sleep(time.Until(e.at))
		e.do()
	}
}

// between returns a random time.
func (w *simWorld) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)))
}

// skew returns how wrong the clock of a process is. Only differences between balancers count,
// but the clocks of all are years after that of the bubble, which is too early to be believed.
func (w *simWorld) skew() time.Duration {
	const years = 26 * 365 * 24 * time.Hour
	if w.rng.IntN(2) == 0 {
		return years
	}
	return years + w.between(-time.Hour, time.Hour)
}

// host returns the host of a name.
func (w *simWorld) host(name string) *simHost {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// balancer returns a balancer at random.
func (w *simWorld) balancer() *simBalancer { return w.balancers[w.rng.IntN(len(w.balancers))] }

// joinedWith returns the machines that reach a balancer and are reached by it, also by way of
// others, as gossip finds them.
func (w *simWorld) joinedWith(name string) map[string]bool {
	found := map[string]bool{name: true}
	for more := true; more; {
		more = false
		for from := range found {
			if b := w.balancerOf(from); b != nil && b.process.Load() == nil && from != name {
				continue
			}
			for _, to := range w.machines() {
				if !found[to] && w.net.joined(from, to) {
					found[to], more = true, true
				}
			}
		}
	}
	return found
}

func (w *simWorld) balancerOf(name string) *simBalancer {
	for _, b := range w.balancers {
		if b.name == name {
			return b
		}
	}
	return nil
}

// machines returns the names of the machines that gossip.
func (w *simWorld) machines() (names []string) {
	for _, b := range w.balancers {
		if b.process.Load() != nil {
			names = append(names, b.name)
		}
	}
	for _, h := range w.hosts {
		if h.gossips() {
			names = append(names, h.name)
		}
	}
	return names
}

// override has an operator tell a balancer something.
func (w *simWorld) override(o route.Override) {
	p := w.balancer().process.Load()
	if p == nil || !p.ready || p.machine.find(o.Host) == nil {
		return
	}
	w.requests++
	w.mayMove(o)
	w.note("", "an operator tells %s: %s %s weight %v", p.name, o.Host, o.State, o.WeightOrOwn())
	w.told[o.Host] = time.Now()
	p.step(overrideEvent{w.requests, o})
}

// mayMove takes down that an operator allows a host's tokens to move: at once, or from the
// deadline of a drain on, by the clock that is the most ahead.
func (w *simWorld) mayMove(o route.Override) {
	h := w.host(o.Host)
	if h.set != nil {
		h.set()
		h.set = nil
	}
	switch {
	case o.State == route.Maint:
		h.set = w.oracle.fault(simFault{what: h.name + " goes to maint", host: h.name, givenUp: true})
	case o.State == route.Drain && !o.Drain.Deadline.IsZero():
		until := o.Drain.Deadline
		for _, b := range w.balancers {
			if p := b.process.Load(); p != nil {
				until = moment.Earliest(until, o.Drain.Deadline.Add(-p.offset))
			}
		}
		canceled := false
		h.set = func() { canceled = true }
		w.after(max(0, time.Until(until)), func() {
			if !canceled {
				h.set = w.oracle.fault(simFault{what: h.name + " has drained", host: h.name, givenUp: true})
			}
		})
	}
}

// begin has the balancers and some hosts start, and all that goes on all the time.
func (w *simWorld) begin() {
	const round, exchange = 400 * time.Millisecond, 10 * time.Second
	for i, h := range w.hosts {
		if i < 3 {
			h.start()
		}
	}
	for _, b := range w.balancers {
		w.oracle.fault(simFault{what: b.name + " hasn't begun", balancer: b.name})
		b.start(w.skew())
		w.every(round, func() {
			if p := b.process.Load(); p != nil {
				p.look(round)
				p.checkNew()
			}
		})
		w.every(exchange, func() { w.pushPull(b, w.balancer()) })
		w.every(time.Second, func() {
			if p := b.process.Load(); p != nil {
				p.endDrains()
			}
		})
	}
}

// end stops the balancers, and all that they run.
func (w *simWorld) end() {
	for _, b := range w.balancers {
		b.serves.Store(nil)
		for _, p := range append(b.olders, b.process.Swap(nil)) {
			p.halt()
		}
	}
	w.net.carrying.Wait()
}

// A simHost is a host of a schedule.
type simHost struct {
	w       *simWorld
	name    string
	spec    route.Spec
	agent   bool // it has an agent
	leaving bool
	version int    // of its announcement
	set     func() // ends what an operator has set

	mu      sync.Mutex
	frozen  bool // its processes stand still
	running bool // its service runs
	on      bool // the machine does
	died    context.Context
	die     context.CancelFunc // of died: the service has ended
}

func newSimHost(w *simWorld, n int) *simHost {
	h := &simHost{w: w, name: fmt.Sprint("ide-", n), spec: route.Spec{Name: fmt.Sprint("ide-", n), Address: fmt.Sprintf("10.0.0.%d:80", n), Weight: 1}}
	h.died, h.die = context.WithCancel(context.Background())
	return h
}

// start starts the machine, its service and its agent.
func (h *simHost) start() {
	h.agent, h.leaving = true, false
	h.version++
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		h.died, h.die = context.WithCancel(context.Background())
	}
	h.on, h.running, h.frozen = true, true, false
}

// stop ends the service; off ends the whole machine.
func (h *simHost) stop(off bool) {
	h.mu.Lock()
	h.running = false
	h.on = h.on && !off
	die := h.die
	h.mu.Unlock()
	h.w.oracle.hostEnds(h.name)
	die()
}

func (h *simHost) freeze(frozen bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frozen = frozen
}

// alive returns a context that ends with the service, and whether that runs and doesn't stand
// still.
func (h *simHost) alive() (ctx context.Context, answers bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.died, h.on && h.running && !h.frozen
}

// gossips reports whether its agent takes part in the gossip.
func (h *simHost) gossips() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.on && h.agent && !h.frozen
}

func (h *simHost) metadata() announcement.Metadata {
	return announcement.Metadata{Role: announcement.HostRole, Spec: h.spec, Leaving: h.leaving}
}

// What comes of a connection to a host.
const (
	simConnected = iota
	simRefused
	simTimeout
)

// reach returns what comes of a connection from a balancer to a host.
func (w *simWorld) reach(balancer string, h *simHost) int {
	h.mu.Lock()
	on, running := h.on, h.running
	h.mu.Unlock()
	switch {
	case !on || !w.net.joined(balancer, h.name):
		return simTimeout
	case !running:
		return simRefused
	}
	return simConnected
}

// A simLog is what has happened, for the timeline of a token.
type simLog struct {
	mu    sync.Mutex
	lines []simLine
}

type simLine struct {
	at    time.Duration
	token string // "" for what concerns all
	text  string
}

// note takes down what happens.
func (w *simWorld) note(token, format string, args ...any) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.log.lines = append(w.log.lines, simLine{time.Since(w.began), token, fmt.Sprintf(format, args...)})
}

// timeline returns what has happened to a token, and to all.
func (w *simWorld) timeline(token string) string {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	var b strings.Builder
	for _, l := range w.log.lines {
		if l.token == "" || l.token == token {
			fmt.Fprintf(&b, "%10.4f  %-8s %s\n", l.at.Seconds(), l.token, l.text)
		}
	}
	return b.String()
}

// machineLog returns the log of a machine: warnings are part of the timeline.
func (w *simWorld) machineLog(p *simProcess) zerolog.Logger {
	return zerolog.New(simWriter{w, p.name}).Level(zerolog.WarnLevel)
}

type simWriter struct {
	w    *simWorld
	name string
}

func (s simWriter) Write(b []byte) (int, error) {
	s.w.note("", "%s logs %s", s.name, strings.TrimSpace(string(b)))
	return len(b), nil
}

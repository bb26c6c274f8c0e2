package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/pool/eligibility"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// A flapping is a region of three balancers in which the host a is up and down by turns, for three
// seconds each, and five hosts are up. Its time is simulated.
type flapping struct {
	t         *testing.T
	rng       *rand.Rand
	builds    *balancer.Builder
	interval  time.Duration // of checks
	refused   bool          // a refuses connections while it is down; else it doesn't answer
	now       time.Time
	balancers []*flappingBalancer
}

// A flappingBalancer is one of its balancers.
type flappingBalancer struct {
	*machine
	check  time.Time // when the next check of a ends
	up     bool      // by the checks so far
	counts int       // results in a row that contradict up
	inbox  []late
	key    []byte          // which a owns in the table of
	keyed  *balancer.Table // the key
	at     string          // where the key is
	away   []time.Time     // when the key left a
}

// A late is what a peer has said and comes at a time.
type late struct {
	at    time.Time
	event verdictsEvent
}

const flappingFor = 2 * time.Minute

func newFlapping(t *testing.T, seed uint64, damping time.Duration) *flapping {
	cfg := balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}.WithDefaults()
	builds, err := balancer.NewBuilder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &flapping{t: t, rng: rand.New(rand.NewPCG(seed, 0)), builds: builds, now: t0}
	var hosts []hostlist.Host
	results := checksEvent{}
	for i := range 6 {
		name := string(rune('a' + i))
		hosts = append(hosts, hostlist.Host{Spec: route.Spec{Name: name, Address: addressOf(name), Weight: 1}})
		results[name] = CheckResult{Address: addressOf(name), Verdict: route.Up, At: t0}
	}
	var peers []route.Peer
	for i := range 3 {
		peers = append(peers, route.Peer{Name: fmt.Sprint("lb-", i+1), Alive: true})
	}
	for i := range 3 {
		set := settings{name: peers[i].Name, hash: cfg, delays: eligibility.DefaultDelays, damping: damping}
		b := &flappingBalancer{machine: newMachine(set, map[route.Origin][]hostlist.Host{route.OriginConfig: hosts}, nil, zerolog.Nop(), t0), up: true}
		r.balancers = append(r.balancers, b)
		b.joined, b.peersJoined = true, true
		others := append(append([]route.Peer{}, peers[:i]...), peers[i+1:]...)
		r.step(b, peersEvent{peers: others, joined: true})
		r.step(b, results)
	}
	return r
}

// step gives a balancer an event. Its tables are built at once, and what it tells its peers reaches
// each of them within half a second.
func (r *flapping) step(b *flappingBalancer, e event) {
	effects := b.step(e, r.now)
	for _, peer := range r.balancers {
		if len(effects.verdicts) > 0 && peer != b {
			peer.inbox = append(peer.inbox, late{r.now.Add(r.within(500 * time.Millisecond)), effects.verdicts})
		}
	}
	if o := effects.order; o != nil {
		made := productEvent{Order: *o, Table: o.Known}
		if made.Table == nil {
			var err error
			if made.Table, err = r.builds.Build(o.Hosts); err != nil {
				r.t.Fatal(err)
			}
		}
		r.step(b, made)
	}
}

func (r *flapping) within(d time.Duration) time.Duration {
	return time.Duration(r.rng.Int64N(int64(d)))
}

// checkA has a balancer check a, as package health does with its defaults of rise and fall, but for the
// interval.
func (r *flapping) checkA(b *flappingBalancer) {
	answers := r.now.Sub(t0) >= flappingFor || r.now.Sub(t0)%(6*time.Second) < 3*time.Second
	result := CheckResult{Address: addressOf("a"), At: r.now}
	if !answers {
		result.Error, result.Refused = "timeout", r.refused
	}
	if b.counts++; answers == b.up {
		b.counts = 0
	}
	if need := map[bool]int{true: 2, false: 3}[answers]; b.counts >= need {
		b.up, b.counts = answers, 0
	}
	result.Verdict = map[bool]route.Verdict{true: route.Up, false: route.Down}[b.up]
	pause := r.interval
	if b.counts > 0 {
		pause = min(pause, max(pause/4, 100*time.Millisecond))
	}
	b.check = r.now.Add(pause - pause/10 + r.within(pause/5+1))
	r.step(b, checksEvent{"a": result})
}

// run lets a flap, and then waits until it is back. It notes when a key of a leaves it.
func (r *flapping) run() {
	for _, b := range r.balancers {
		b.check = t0.Add(r.within(r.interval))
	}
	for end := t0.Add(flappingFor + time.Minute); r.now.Before(end); r.now = r.now.Add(50 * time.Millisecond) {
		for _, b := range r.balancers {
			r.pass(b)
		}
	}
}

// pass has one balancer do what is due.
func (r *flapping) pass(b *flappingBalancer) {
	var rest []late
	for _, m := range b.inbox {
		if m.at.After(r.now) {
			rest = append(rest, m)
		} else {
			r.step(b, m.event)
		}
	}
	b.inbox = rest
	if !r.now.Before(b.check) {
		r.checkA(b)
	}
	if !r.now.Before(b.next) {
		r.step(b, tick{})
	}
	c, ok := b.published.Choose(b.published.Key(b.keyOfA()), nil)
	if !ok || c.Host.Name == b.at {
		return
	}
	if b.at == "a" {
		b.away = append(b.away, r.now)
	}
	b.at = c.Host.Name
}

// keyOfA returns a key that a owns. It looks for another one when there is another table.
func (b *flappingBalancer) keyOfA() []byte {
	table := b.published.Table
	for i := 0; b.keyed != table; i++ {
		b.key = fmt.Append(b.key[:0], "k", i)
		if table.Hosts()[table.Owner(b.key)].Name == "a" {
			b.keyed = table
		}
	}
	return b.key
}

// TestAHostThatFlapsMovesAKeyOnceInTheTimeOfItsDamping, and without damping each time.
func TestAHostThatFlapsMovesAKeyOnceInTheTimeOfItsDamping(t *testing.T) {
	t.Parallel()
	moves, seeds := map[time.Duration]int{}, uint64(4)
	if racing {
		seeds = 2 // one goroutine computes
	}
	for seed := range seeds {
		for _, interval := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			for _, damping := range []time.Duration{0, 10 * time.Second} {
				r := newFlapping(t, seed, damping)
				r.interval, r.refused = interval, seed%2 == 1
				r.run()
				for _, b := range r.balancers {
					moves[damping] += len(b.away)
					if b.at != "a" {
						t.Errorf("seed %d, interval %v, damping %v: after a minute of quiet the key is on %s at %s", seed, interval, damping, b.at, b.name)
					}
					for i := 1; i < len(b.away); i++ {
						if apart := b.away[i].Sub(b.away[i-1]); apart < damping {
							t.Errorf("seed %d, interval %v, damping %v: at %s the key leaves a %v and %v after the beginning", seed, interval, damping, b.name, b.away[i-1].Sub(t0), b.away[i].Sub(t0))
						}
					}
				}
			}
		}
	}
	t.Logf("a key has left its host so often, by damping: %v", moves)
	if moves[0] < 10*moves[10*time.Second] {
		t.Errorf("by damping, a key has left its host so often: %v", moves)
	}
}

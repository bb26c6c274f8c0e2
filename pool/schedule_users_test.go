package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

// simUsers are the users of a schedule.
type simUsers struct {
	w       *simWorld
	all     []*simUser
	tabs    sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
	resting atomic.Bool // nobody begins anything; what is open stays

	requests, terminals, refused atomic.Int64
}

// A simUser has two tabs, which use his token at the same time, through any balancers. Now and
// then he gets a new one, which both use at once.
type simUser struct {
	name  string
	fresh chan struct{} // of capacity 1: the other tab has begun with a new token

	mu     sync.Mutex
	tokens []string // the last one is in use
}

var simDigester = balancer.NewDigester([]byte("0123456789abcdef"))

func newUsers(w *simWorld, n int) *simUsers {
	u := &simUsers{w: w}
	u.ctx, u.stop = context.WithCancel(context.Background())
	for i := range n {
		name := fmt.Sprint("token-", i+1)
		u.all = append(u.all, &simUser{name: name, fresh: make(chan struct{}, 1), tokens: []string{name + ".1"}})
	}
	return u
}

// begin has the users begin.
func (u *simUsers) begin() {
	for _, user := range u.all {
		for range 2 {
			t := &simTab{users: u, user: user, w: u.w, rng: rand.New(rand.NewPCG(u.w.rng.Uint64(), 3))}
			t.at = t.rng.IntN(len(u.w.balancers))
			u.tabs.Go(t.live)
		}
	}
}

// tokens returns all tokens that have been in use.
func (u *simUsers) tokens() (all []string) {
	for _, user := range u.all {
		user.mu.Lock()
		all = append(all, user.tokens...)
		user.mu.Unlock()
	}
	return all
}

// token returns the token in use. fresh has it be a new one from now on.
func (u *simUser) token(fresh bool) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if fresh {
		u.tokens = append(u.tokens, fmt.Sprintf("%s.%d", u.name, len(u.tokens)+1))
	}
	return u.tokens[len(u.tokens)-1]
}

// end closes all, and returns when the users have gone.
func (u *simUsers) end() {
	u.stop()
	u.tabs.Wait()
}

// A simTab is one window of a user.
type simTab struct {
	users  *simUsers
	user   *simUser
	w      *simWorld
	token  string
	digest balancer.Digest
	rng    *rand.Rand
	at     int           // the balancer that it used last
	waited time.Duration // for the host of the last request
}

// live sends requests and opens terminals until the users go.
func (t *simTab) live() {
	for t.pause(20*time.Millisecond, 3*time.Second) {
		p := t.process()
		if p == nil || t.users.resting.Load() {
			continue
		}
		fresh := t.rng.IntN(5) == 0
		t.token = t.user.token(fresh)
		if fresh {
			select {
			case t.user.fresh <- struct{}{}:
			default:
			}
		}
		t.digest = simDigester.Digest([]byte(t.token))
		if t.rng.IntN(3) > 0 {
			t.request(p)
		} else {
			t.terminal(p)
		}
	}
}

// pause waits, less long if the user has a new token. It returns false when the users go.
func (t *simTab) pause(from, to time.Duration) bool {
	select {
	case <-time.After(from + time.Duration(t.rng.Int64N(int64(to-from)))):
	case <-t.user.fresh:
		time.Sleep(time.Duration(t.rng.Int64N(int64(from))))
	case <-t.users.ctx.Done():
	}
	return t.users.ctx.Err() == nil
}

// process returns the process of the balancer that the tab uses now: mostly the one before.
func (t *simTab) process() *simProcess {
	if t.rng.IntN(3) == 0 {
		t.at = t.rng.IntN(len(t.w.balancers))
	}
	p := t.w.balancers[t.at].serves.Load()
	if p == nil {
		t.at = t.rng.IntN(len(t.w.balancers))
	}
	return p
}

// request sends a plain request.
func (t *simTab) request(p *simProcess) {
	lasts := time.Duration(t.rng.Int64N(int64(200 * time.Millisecond)))
	if t.rng.IntN(8) == 0 {
		lasts *= 30
	}
	x := newSimExchange(t, p)
	defer x.end()
	for range 3 {
		host := x.reach()
		if host == nil {
			t.refused(p, x.rule)
			return
		}
		t.users.requests.Add(1)
		if answered, again := t.exchange(x, host, lasts); answered || !again {
			return
		}
		x.began = time.Now()
	}
}

// exchange waits for the answer of a host. If the host is found down before, the request is to
// be sent again.
func (t *simTab) exchange(x *simExchange, host *simHost, lasts time.Duration) (answered, again bool) {
	const firstWait, responseTimeout = 150 * time.Millisecond, 20 * time.Second
	p := x.p
	use := t.w.oracle.begin(t, p, host.name, "request", x.rule)
	if use == nil {
		return false, false
	}
	defer t.w.oracle.end(use, "")
	died, _ := host.alive()
	answer := time.Now().Add(lasts)
	for wait := min(lasts, firstWait); time.Since(use.from) < responseTimeout; wait = 100 * time.Millisecond {
		select {
		case <-time.After(wait):
		case <-*p.changed.Load():
		case <-died.Done():
			return false, false
		case <-p.ctx.Done():
			return false, false
		}
		_, answers := host.alive()
		switch {
		case time.Now().Before(answer):
			x.keep(host)
		case answers && t.w.net.joined(p.name, host.name):
			if !p.retired.Load() {
				p.region.Used(t.digest, host.name, time.Now())
			}
			return true, false
		default:
			x.keep(host)
		}
		if p.isDown(host.name) {
			return false, true
		}
	}
	return false, false
}

func (t *simTab) refused(p *simProcess, rule balancer.Rule) {
	t.users.refused.Add(1)
	t.w.note(t.token, "%s answers 503: %s", p.name, rule)
}

// A simTerminal is a tunnel: see proxy.terminal.
type simTerminal struct {
	session.Terminal
	p      *simProcess
	key    balancer.Digest
	host   *simHost
	gauges *route.Gauges // of the host; nil before it is open
	once   sync.Once
	ended  context.Context
	cut    context.CancelFunc

	mu  sync.Mutex
	use *simUse // nil until it is open
}

// End implements session.Tunnel.
func (t *simTerminal) End(why string) {
	t.once.Do(func() {
		t.mu.Lock()
		use := t.use
		t.mu.Unlock()
		if use != nil {
			t.p.w.oracle.end(use, why)
		}
		if t.p.sessions.Counts(&t.Terminal) && !t.p.retired.Load() {
			t.p.region.Used(t.key, t.host.name, time.Now())
		}
		t.p.sessions.Remove(&t.Terminal)
		t.p.region.Changed(t.key)
		t.cut()
	})
}

// Retired implements session.Tunnel.
func (t *simTerminal) Retired() bool { return false }

// Detail implements session.Tunnel.
func (t *simTerminal) Detail() (session.Detail, bool) { return session.Detail{}, true }

// keeps is Proxy.keeps.
func (p *simProcess) keeps(host string) bool { return p.keepsOf(host, "") }

// newTerminal returns a terminal that is added to its session, nil if another host keeps that:
// see conn.newTerminal.
func (t *simTab) newTerminal(x *simExchange, host *simHost) *simTerminal {
	p := x.p
	if at := p.stay(t.digest); at.Rule == route.RuleSessionAtPeer && at.Host != host.name && p.keepsOf(at.Host, at.Peer) {
		return nil
	}
	term := &simTerminal{p: p, key: t.digest, host: host}
	term.ended, term.cut = context.WithCancel(context.Background())
	term.Tunnel = term
	key := session.Key{Digest: t.digest, Key: x.key}
	if !p.sessions.Add(key, &route.Endpoint{Name: host.name, Address: host.spec.Address}, &term.Terminal, p.keeps) {
		term.cut()
		return nil
	}
	p.region.Changed(t.digest)
	return term
}

// terminal opens a terminal, and uses it for a while: see conn.openTunnel.
func (t *simTab) terminal(p *simProcess) {
	x := newSimExchange(t, p)
	defer x.end()
	for range 2 {
		host := x.reach()
		if host == nil {
			t.refused(p, x.rule)
			return
		}
		if term := t.newTerminal(x, host); term != nil {
			defer term.End("client")
			if died := t.handshake(x, term); died != nil {
				x.end()
				t.type_(term, died)
			}
			return
		}
	}
	t.refused(p, "none")
}

// handshake opens a terminal on its host, if that answers. It returns nil if it isn't open.
func (t *simTab) handshake(x *simExchange, term *simTerminal) (died context.Context) {
	p, host := term.p, term.host
	died, _ = host.alive()
	if h := p.snapshot.Load().Host(host.name); h != nil && h.State == route.Maint {
		return nil
	}
	const tries = 30
	for i := 0; ; i++ {
		if i == tries || p.isDown(host.name) || term.ended.Err() != nil || p.ctx.Err() != nil || died.Err() != nil {
			return nil
		}
		if _, answers := host.alive(); answers && t.w.net.joined(p.name, host.name) {
			break
		}
		x.keep(host)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-*p.changed.Load():
		}
	}
	use := t.w.oracle.begin(t, p, host.name, "terminal", x.rule)
	if use == nil {
		return nil
	}
	term.mu.Lock()
	term.use = use
	term.mu.Unlock()
	if term.ended.Err() != nil { // it was ended meanwhile
		t.w.oracle.end(use, "ended before it was open")
		return nil
	}
	t.users.terminals.Add(1)
	if h := p.snapshot.Load().Host(host.name); h != nil {
		term.gauges = h.Gauges
		h.Gauges.Sessions.Add(1)
	}
	return died
}

// type_ types into a terminal until the user has enough of it, or it is dead.
func (t *simTab) type_(term *simTerminal, died context.Context) {
	p, host := term.p, term.host
	lasts := 500*time.Millisecond + time.Duration(t.rng.Int64N(int64(30*time.Second)))
	if term.gauges != nil {
		defer term.gauges.Sessions.Add(-1)
	}
	patience := 3*time.Second + time.Duration(t.rng.Int64N(int64(5*time.Second)))
	silent := time.Duration(0)
	const beat = 500 * time.Millisecond
	for ; lasts > 0 || t.users.resting.Load(); lasts -= beat {
		select {
		case <-time.After(beat):
		case <-term.ended.Done():
			return
		case <-died.Done():
			t.w.note(t.token, "the terminal on %s dies with it", host.name)
			return
		case <-p.ctx.Done():
			return
		case <-t.users.ctx.Done():
			return
		}
		if _, answers := host.alive(); answers && t.w.net.joined(p.name, host.name) {
			silent = 0
			if term.gauges != nil {
				term.gauges.LastByte.Note(p.now())
			}
		} else if silent += beat; silent > patience {
			t.w.note(t.token, "no echo from %s for %v", host.name, silent)
			return
		}
	}
}

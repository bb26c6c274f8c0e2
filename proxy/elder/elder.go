// Package elder has the older processes of a balancer, as its newest one knows them: what they
// still serve counts here, and ends by the rules of the newest.
package elder

import (
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/proxy/tunnel"
	"tokenring/route"
	"tokenring/session"
)

// An End is an order of the newest process to an older one. Processes send it as JSON.
type End struct {
	Keys  []balancer.Digest `json:"keys,omitempty"`  // whose terminals end
	Hosts []route.Endpoint  `json:"hosts,omitempty"` // to which all connections end
	Down  []string          `json:"down,omitempty"`  // with WhyDown: all hosts that are down now
	Why   string            `json:"why"`
}

// WhyDown is the Why of an order that says which hosts are down. Requests that wait for them end, or
// are passed on to the newest process.
const WhyDown = "down"

// An Owner is what Elders know of the newest process. Its functions must be safe for
// concurrent use.
type Owner struct {
	Sessions *session.Sessions
	Host     func(name string) *route.Host          // as the latest snapshot has it; nil if it isn't known
	Closed   func(key balancer.Digest, host string) // the last terminal that an Elder has of a key there has ended
	Log      zerolog.Logger
}

// Elders are the older processes. The methods are safe for concurrent use.
type Elders struct {
	owner Owner

	mu  sync.Mutex
	all map[*Elder]struct{}
}

// New returns Elders without any.
func New(owner Owner) *Elders { return &Elders{owner: owner, all: map[*Elder]struct{}{}} }

// Add adds an older process of which nothing is known yet. end has that process end what an
// order says, and returns when it has, or when the process has ended. It is called at most a
// few times at once, and must be bounded, because new terminals and changes of hosts wait for
// it. After an error of end, the older process must be taken to have the terminals still.
func (l *Elders) Add(end func(End) error) *Elder {
	e := &Elder{all: l, end: end, counts: map[string]count{}}
	e.sessions = l.owner.Sessions.NewElder((*elderOwner)(e))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[e] = struct{}{}
	return e
}

func (l *Elders) remove(e *Elder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, e)
}

func (l *Elders) list() []*Elder {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Elder, 0, len(l.all))
	for e := range l.all {
		all = append(all, e)
	}
	return all
}

// Follow is called when there is a new snapshot, which lacks the hosts at gone, and in which those of
// the names are down. It returns when older processes have closed their connections to the ones that
// are gone, and know which are down. It must not be called concurrently with itself.
func (l *Elders) Follow(gone []route.Endpoint, down []string) {
	order := End{Hosts: gone, Why: session.Moved}
	var ending sync.WaitGroup
	for _, e := range l.list() {
		e.recount()
		ending.Go(func() {
			if len(gone) > 0 {
				e.order(order)
			}
			e.tellDown(down)
		})
	}
	ending.Wait()
}

// tellDown tells the process which hosts are down, if it doesn't know. It has no checks of its own,
// and its requests would wait for a host whose tokens others have by now.
func (e *Elder) tellDown(down []string) {
	if !slices.Equal(down, e.down) {
		e.down = down
		e.order(End{Down: down, Why: WhyDown})
	}
}

// Close closes all Elders, because this process isn't the newest any more.
func (l *Elders) Close() {
	for _, e := range l.list() {
		e.Close()
	}
}

// gaugesOf returns the gauges of a host, nil if it isn't known.
func (l *Elders) gaugesOf(host string) *route.Gauges {
	if h := l.owner.Host(host); h != nil {
		return h.Gauges
	}
	return nil
}

// An Elder is an older process, as the newest one knows it: its terminals keep their keys
// on their hosts, count in the hosts' gauges, and end as if they were this process's own.
// Its methods are safe for concurrent use.
type Elder struct {
	all      *Elders
	end      func(End) error
	sessions *session.Elder
	down     []string // the hosts of which the process was told last that they are down; see Follow

	mu     sync.Mutex
	counts map[string]count     // by host
	sent   map[string]time.Time // when hosts have sent bytes to terminals of the process, by host
}

// A count is how many terminals of a host an Elder has, and the gauges in which they count.
type count struct {
	n      int64
	gauges *route.Gauges // nil while the host isn't known
}

// Update takes reports of the process into account, in their order. It doesn't wait for end.
func (e *Elder) Update(reports []session.Report) { e.sessions.Update(reports) }

// Sent says how long ago bytes have come from hosts to terminals of the process, by host.
func (e *Elder) Sent(ago map[string]time.Duration) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = make(map[string]time.Time, len(ago))
	for host, d := range ago {
		e.sent[host] = now.Add(-d)
	}
	e.noteSent()
}

// noteSent notes in the gauges of hosts when these have sent bytes. mu is held.
func (e *Elder) noteSent() {
	for host, at := range e.sent {
		if gauges := e.all.gaugesOf(host); gauges != nil {
			gauges.LastByte.Note(at)
		}
	}
}

// Terminals returns how many terminals the process has, as far as it has told.
func (e *Elder) Terminals() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := int64(0)
	for _, c := range e.counts {
		n += c.n
	}
	return int(n)
}

// Close says that the process has ended: its terminals are gone. It waits for calls of end.
func (e *Elder) Close() {
	e.all.remove(e)
	e.sessions.Close()
}

// An elderOwner is an Elder as its sessions know it.
type elderOwner Elder

// End implements session.ElderOwner.
func (e *elderOwner) End(keys []balancer.Digest, why string) {
	(*Elder)(e).order(End{Keys: keys, Why: why})
}

// order sends an order, and logs if the process doesn't carry it out.
func (e *Elder) order(o End) {
	if err := e.end(o); err != nil {
		e.all.owner.Log.Error().Err(err).Str("why", o.Why).Int("keys", len(o.Keys)).Int("hosts", len(o.Hosts)).
			Msg("an older process of this balancer hasn't ended its connections")
	}
}

// Keeps implements session.ElderOwner.
func (e *elderOwner) Keeps(host string) bool {
	h := e.all.owner.Host(host)
	return h != nil && h.KeepsSessionsOf("")
}

// WhyEnd implements session.ElderOwner: nothing reaches a host in maint, and a host that has
// another address is on another machine. A host that isn't known keeps its terminals.
func (e *elderOwner) WhyEnd(at route.Endpoint) string {
	h := e.all.owner.Host(at.Name)
	switch {
	case h == nil:
		return ""
	case h.State == route.Maint:
		return string(tunnel.ByMaint)
	case h.Address != at.Address && h.Address != "": // "": its name isn't resolved yet
		return session.Moved
	}
	return ""
}

// Counted implements session.ElderOwner.
func (e *elderOwner) Counted(host string, n int, ended balancer.Digest) {
	e.mu.Lock()
	c := e.counts[host]
	if c.n == 0 {
		c.gauges = e.all.gaugesOf(host)
	}
	c.add(int64(n))
	if e.counts[host] = c; c.n == 0 {
		delete(e.counts, host)
	}
	e.mu.Unlock()
	if ended != (balancer.Digest{}) {
		e.all.owner.Closed(ended, host)
	}
}

func (c *count) add(n int64) {
	if c.n += n; c.gauges != nil {
		c.gauges.Sessions.Add(n)
	}
}

// recount counts the terminals in the gauges of hosts that weren't known before, and notes there
// when they have sent bytes.
func (e *Elder) recount() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noteSent()
	for host, c := range e.counts {
		if c.gauges == nil {
			if c.gauges = e.all.gaugesOf(host); c.gauges != nil {
				c.gauges.Sessions.Add(c.n)
				e.counts[host] = c
			}
		}
	}
}

// Package health finds out which hosts answer. It asks each of them at its own
// pace, over HTTP or by a bare TCP connect, believes neither one good answer
// nor one bad one, and asks sooner when somebody suspects a host.
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// Config says how hosts are checked. The zero value of each field stands for
// the default that WithDefaults fills in.
type Config struct {
	// Path is what an HTTP check GETs: nil means "/healthz", and a pointer to
	// the empty string means a TCP connect and no HTTP at all.
	Path *string `yaml:"path"`
	// Interval is the time from the start of one check to the next; 2 s.
	Interval time.Duration `yaml:"interval"`
	// Timeout bounds one check, connect and answer together; 1 s.
	Timeout time.Duration `yaml:"timeout"`
	// Rise and Fall are the results in a row that bring a host up and down; 2
	// and 3. The very first result of a host decides alone.
	Rise int `yaml:"rise"`
	Fall int `yaml:"fall"`
	// Host is the Host field of an HTTP check; the target's address if empty.
	Host string `yaml:"host"`
}

const defaultPath = "/healthz"

// WithDefaults returns c with every field that has its zero value filled in.
func (c Config) WithDefaults() Config {
	if c.Path == nil {
		path := defaultPath
		c.Path = &path
	}
	c.Interval = cmp.Or(c.Interval, 2*time.Second)
	c.Timeout = cmp.Or(c.Timeout, time.Second)
	c.Rise = cmp.Or(c.Rise, 2)
	c.Fall = cmp.Or(c.Fall, 3)
	return c
}

// Detection returns how long it takes at most until a host that has stopped to
// answer is found down: until its next check, and as long as Fall checks take that
// fail.
func (c Config) Detection() time.Duration {
	c = c.WithDefaults()
	each := max(c.Timeout+minSpacing, latest(pace(c.Interval, true)))
	return latest(c.Interval) + time.Duration(c.Fall)*each
}

// CheckPath returns the path of the HTTP checks, or "" when a TCP connect is
// all that is asked for.
func (c Config) CheckPath() string {
	if c.Path == nil {
		return defaultPath
	}
	return *c.Path
}

// ValidPath reports what is wrong with a path for HTTP checks, nil if nothing
// is. The empty path is right: it asks for a TCP connect.
func ValidPath(path string) error {
	if path == "" {
		return nil
	}
	if path[0] != '/' {
		return errors.New("must begin with a slash, or be empty for a TCP connect")
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		return errors.New("isn't a path that a request could carry")
	}
	return nil
}

// A Target is a host to check. Its identity is the name: the same name with
// another address is the same host that has moved.
type Target struct {
	Name    string
	Address string // ip:port to connect to
	Host    string // the Host field of HTTP checks, unless the configuration has one; "" for Address
}

// A Status is what is known about a target after a check. It is about one
// address: nothing that was found out at another address is in it.
type Status struct {
	Address string        // of the target, as Watch had it
	Known   bool          // false until the first result that counts
	Up      bool          // the verdict
	Error   string        // what the last check ran into, "" if it passed; never foreign bytes
	At      time.Time     // when the last check ended
	Since   time.Time     // when the verdict was reached
	Latency time.Duration // how long the last check took
}

// A Monitor checks the targets it is told to watch, each in a goroutine that
// belongs to Run. Its methods are safe for concurrent use.
type Monitor struct {
	cfg    Config
	log    zerolog.Logger
	report func(string, Status)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	dirty      chan struct{} // room for one: Run must look at wanted again
	ok, failed atomic.Uint64
	short      rate.Sometimes // lines about checks that don't count, because this machine runs short

	mu       sync.Mutex
	wanted   []Target
	watchers map[string]*watcher // running; Run alone changes it
}

// New returns a monitor that watches nothing yet.
//
// report is called after every result, not only after those that change the
// verdict, so the receiver compares with what it knew. Calls for one target
// come one after the other and in order; calls for different targets may
// overlap. No call comes for a target once Run has seen that it was removed.
// report must not block, for the next check of that target waits for it.
func New(cfg Config, log zerolog.Logger, report func(name string, s Status)) *Monitor {
	return &Monitor{
		cfg:      cfg.WithDefaults(),
		log:      log,
		report:   report,
		dial:     new(net.Dialer).DialContext,
		dirty:    make(chan struct{}, 1),
		short:    rate.Sometimes{First: 1, Interval: time.Minute},
		watchers: map[string]*watcher{},
	}
}

// Watch replaces the targets. Those that are gone are no longer checked. New
// ones are checked at once, and so is one whose address has changed: it has no
// verdict until a check of the new address counts. It never blocks; of several
// targets with one name the last counts.
func (m *Monitor) Watch(targets []Target) {
	m.mu.Lock()
	m.wanted = append([]Target(nil), targets...)
	m.mu.Unlock()
	note(m.dirty)
}

// Suspect brings the next check of a target forward, because traffic ran into
// trouble there. It never blocks, any number of calls before the next check
// count as one, and a target is still asked at most every 100 ms.
func (m *Monitor) Suspect(name string) {
	m.mu.Lock()
	w := m.watchers[name]
	m.mu.Unlock()
	if w != nil {
		note(w.nudge)
	}
}

// Counts returns how many checks have passed and failed since New.
func (m *Monitor) Counts() (ok, failed uint64) {
	return m.ok.Load(), m.failed.Load()
}

// Run checks the targets until ctx ends, and returns nil when every check has
// ended too. It must be called once.
func (m *Monitor) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.dirty:
			m.reconcile(ctx, &running)
		}
	}
}

// reconcile stops and starts watchers until they match the wanted targets. It
// waits for those it stops, so that no two ever ask, or speak for, one name.
func (m *Monitor) reconcile(ctx context.Context, running *sync.WaitGroup) {
	wanted := m.wantedByName()
	m.stopOthers(wanted)

	m.mu.Lock()
	defer m.mu.Unlock()
	var fresh []*watcher
	for name, t := range wanted {
		if m.watchers[name] == nil {
			w := newWatcher(m, t)
			m.watchers[name] = w
			fresh = append(fresh, w)
		}
	}
	for _, w := range fresh {
		watching, cancel := context.WithCancel(ctx)
		w.cancel = cancel
		delay := spread(len(fresh), m.cfg.Interval)
		running.Go(func() {
			defer close(w.done)
			w.run(watching, delay)
		})
	}
}

func (m *Monitor) wantedByName() map[string]Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[string]Target, len(m.wanted))
	for _, t := range m.wanted {
		wanted[t.Name] = t
	}
	return wanted
}

// stopOthers stops the watchers that aren't wanted as they are, and waits for
// them.
func (m *Monitor) stopOthers(wanted map[string]Target) {
	m.mu.Lock()
	var stopped []*watcher
	for name, w := range m.watchers {
		if wanted[name] != w.target {
			delete(m.watchers, name)
			stopped = append(stopped, w)
		}
	}
	m.mu.Unlock()

	for _, w := range stopped {
		w.cancel()
	}
	for _, w := range stopped {
		<-w.done
	}
}

// spread is how long the first check of one of n new targets waits: nothing
// for a few, and a random part of up to 2 ms per target for many, so that a
// large region isn't asked in one burst.
func spread(n int, interval time.Duration) time.Duration {
	const few = 16
	if n <= few {
		return 0
	}
	return rand.N(min(time.Duration(n)*2*time.Millisecond, interval))
}

// note leaves a notice on a channel with room for one. However many come
// before somebody looks, they are one.
func note(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// timeoutText is the operator's word for a check that took too long.
func timeoutText(d time.Duration) string { return fmt.Sprintf("timeout after %s", d) }

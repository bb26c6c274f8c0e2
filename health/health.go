// Package health checks hosts at intervals, over HTTP or by a TCP connect. A host's
// verdict changes only after several equal results in a row. The next check comes
// sooner when traffic to a host has failed (Suspect).
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"tokenring/hosttls"
	"tokenring/notify"
)

// Config says how hosts are checked. WithDefaults replaces the zero value of a field by
// its default.
type Config struct {
	// Path is the path of an HTTP check. Default "/healthz". A pointer to the empty
	// string means a TCP connect without HTTP.
	Path *string `yaml:"path"`
	// Interval is the time from the start of one check to the start of the next.
	// Default 2 s.
	Interval time.Duration `yaml:"interval"`
	// Timeout bounds one check, including connect and response. Default 1 s.
	Timeout time.Duration `yaml:"timeout"`
	// Rise and Fall are the numbers of results in a row that change the verdict to up
	// and to down. Defaults 2 and 3. The first result of a host sets its verdict alone.
	Rise int `yaml:"rise"`
	Fall int `yaml:"fall"`
	// Host is the Host field of an HTTP check. Default: that of the target.
	Host string `yaml:"host"`
	// Port is where hosts are checked, if not at the port of their service. A host at a unix socket
	// is checked there.
	Port int `yaml:"port"`
	// Fields are more fields of an HTTP check: see ValidField.
	Fields map[string]string `yaml:"fields"`
	// Expect says which answers of an HTTP check pass.
	Expect Expect `yaml:"expect"`
}

const defaultPath = "/healthz"

// WithDefaults returns c with its zero fields filled in.
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

// Detection returns the longest time from the moment in which a host stops answering
// until its verdict is down: the time until the next check and that of Fall failing
// checks.
func (c Config) Detection() time.Duration {
	c = c.WithDefaults()
	each := max(c.Timeout+minSpacing, latest(pace(c.Interval, true)))
	return latest(c.Interval) + time.Duration(c.Fall)*each
}

// CheckPath returns the path of the HTTP checks, or "" if checks are TCP connects.
func (c Config) CheckPath() string {
	if c.Path == nil {
		return defaultPath
	}
	return *c.Path
}

// ValidPath returns an error if path can't be the path of HTTP checks. The empty path
// is valid: it means a TCP connect.
func ValidPath(path string) error {
	if path == "" {
		return nil
	}
	if path[0] != '/' {
		return errors.New("must begin with a slash, or be empty for a TCP connect")
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		return errors.New("isn't a valid path of a request")
	}
	return nil
}

// A Target is a host to check. Its identity is its name: a target with the same name
// and another address is the same host, which has moved.
type Target struct {
	Name    string
	Address string // ip:port to connect to, or unix:PATH
	Host    string // the Host field of HTTP checks if Config.Host is empty; "" means Address
}

// A Status holds the results for a target after a check. It is about one address;
// results at other addresses don't influence it.
type Status struct {
	Address string        // that of the Target
	Known   bool          // false until the first result that counts
	Up      bool          // the verdict
	Error   string        // the error of the last check, "" if it passed; it has no bytes of the host
	Refused bool          // that error is that the host's machine refuses connections
	Gate    bool          // a gate stands before the host: see package lease
	At      time.Time     // when the last check ended
	Since   time.Time     // when the verdict last changed
	Latency time.Duration // how long the last check took
}

// A Monitor checks the targets that Watch sets, each in a goroutine that Run owns. Its
// methods are safe for concurrent use.
type Monitor struct {
	cfg    Config
	log    zerolog.Logger
	report func(string, Status)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	dirty      notify.Note // Run must read wanted again
	ok, failed atomic.Uint64
	shortage   rate.Sometimes // log lines about checks that don't count because of a local shortage

	leasing  Leasing
	tls      *hosttls.Client // nil for none
	expected statuses

	sendsProxy bool

	mu        sync.Mutex
	leased    map[string]bool // see Lease
	wanted    []Target
	watchers  map[string]*watcher // running; only Run changes it
	peers     map[Target]*hosttls.Peer
	standings State // after the last check of each target, or as Restore has set them
}

// New returns a monitor that watches nothing yet.
//
// It calls report after every result, also if the verdict hasn't changed. Calls for one
// target are in order and don't overlap; calls for different targets may overlap. There
// are no calls for a target after Run has processed its removal. report must not block:
// the next check of that target waits for it.
func New(cfg Config, log zerolog.Logger, report func(name string, s Status)) *Monitor {
	expected, err := parseStatuses(cfg.Expect.Status)
	if err != nil { // Expect.Check was to refuse it
		expected = defaultStatuses
	}
	return &Monitor{
		expected:  expected,
		cfg:       cfg.WithDefaults(),
		log:       log,
		report:    report,
		dial:      new(net.Dialer).DialContext,
		dirty:     notify.NewNote(),
		shortage:  rate.Sometimes{First: 1, Interval: time.Minute},
		watchers:  map[string]*watcher{},
		peers:     map[Target]*hosttls.Peer{},
		standings: State{},
	}
}

// SetTLS has all checks speak TLS. It must be called before Run.
func (m *Monitor) SetTLS(c *hosttls.Client) { m.tls = c }

// SendProxy has all checks begin with a header of the PROXY protocol that says that they are the
// balancer's own. It must be called before Run.
func (m *Monitor) SendProxy() { m.sendsProxy = true }

// Watch replaces the targets. Targets that aren't in the list are no longer checked.
// New targets and targets with a new address are checked at once. A target with a new
// address has no verdict until a check of that address counts. Watch doesn't block. If
// several targets have the same name, the last one is used.
func (m *Monitor) Watch(targets []Target) {
	m.mu.Lock()
	m.wanted = append([]Target(nil), targets...)
	m.mu.Unlock()
	m.dirty.Leave()
}

// Suspect brings the next check of a target forward, because traffic to it has failed.
// It doesn't block. Several calls before the next check count as one. A target is
// checked at most every 100 ms.
func (m *Monitor) Suspect(name string) {
	m.mu.Lock()
	w := m.watchers[name]
	m.mu.Unlock()
	if w != nil {
		w.sooner.Leave()
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

// reconcile stops and starts watchers until they match the wanted targets. It waits
// for the watchers that it stops, so that a name never has two watchers.
func (m *Monitor) reconcile(ctx context.Context, running *sync.WaitGroup) {
	wanted := m.wantedByName()
	m.stopOthers(wanted)

	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.peers, func(t Target, _ *hosttls.Peer) bool { return wanted[t.Name] != t })
	maps.DeleteFunc(m.standings, func(name string, s Standing) bool { return wanted[name].Address != s.Address })
	var added []*watcher
	for name, t := range wanted {
		if m.watchers[name] == nil {
			w := newWatcher(m, t)
			w.resume(m.standings[name])
			m.watchers[name] = w
			added = append(added, w)
		}
	}
	for _, w := range added {
		watching, cancel := context.WithCancel(ctx)
		w.cancel = cancel
		delay := spread(len(added), m.cfg.Interval)
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

// stopOthers stops the watchers whose targets aren't in wanted or differ there, and
// waits for them.
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

// spread returns the delay of the first check of one of n new targets: 0 if there are
// few targets, and otherwise a random part of 2 ms per target, so that the hosts of a
// large region aren't all checked at the same time.
func spread(n int, interval time.Duration) time.Duration {
	const few = 16
	if n <= few {
		return 0
	}
	return rand.N(min(time.Duration(n)*2*time.Millisecond, interval))
}

// timeoutText returns the error text of a check that took too long.
func timeoutText(d time.Duration) string { return fmt.Sprintf("timeout after %s", d) }

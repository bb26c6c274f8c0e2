package gslb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/dnswire"
	"tokenring/health"
	"tokenring/hosttls"
	"tokenring/notify"
	"tokenring/statefile"
	"tokenring/steer"
)

// A Node probes the regions of a plan, and has a Server answer by what it finds. Its loop owns the
// state; others see the table that is in force.
type Node struct {
	plan    *Plan
	server  *Server
	monitor *health.Monitor
	file    string
	log     zerolog.Logger
	dirty   notify.Note
	first   time.Duration // for how long the first round of probes may take
	targets []health.Target
	known   known
}

// Options are what a Node needs besides its configuration.
type Options struct {
	Name     string // of the server, as it is told who asks for it
	StateDir string
	Logger   zerolog.Logger
}

// The names of the files in the state directory.
const (
	stateFile  = "gslb.json"
	cookieFile = "dns-cookie.key"
)

// NewNode opens the sockets of a configuration whose defaults are filled in, and reads what was
// known of the regions. The caller calls Run.
func NewNode(ctx context.Context, c *Config, o Options) (*Node, error) {
	var wrong error
	plan := NewPlan(c, func(key, message, hint string) {
		wrong = errors.Join(wrong, fmt.Errorf("gslb.%s: %s; %s", key, message, hint))
	})
	if plan == nil {
		return nil, wrong
	}
	if err := statefile.MakeDir(o.StateDir); err != nil {
		return nil, err
	}
	n := &Node{plan: plan, file: filepath.Join(o.StateDir, stateFile), log: o.Logger, dirty: notify.NewNote(), first: 2 * c.Probe.Timeout}
	var err error
	if n.known, err = loadKnown(n.file); err != nil && !errors.Is(err, statefile.ErrCorrupt) {
		return nil, err
	} else if err != nil {
		n.log.Error().Err(err).Msg("what was known of the regions can't be read: all probes begin anew")
	}
	if err := n.openMonitor(c); err != nil {
		return nil, err
	}
	var cookies *dnswire.CookieSecret
	if *c.Limits.Cookies {
		if cookies, err = cookieSecret(filepath.Join(o.StateDir, cookieFile)); err != nil {
			return nil, err
		}
	}
	if n.server, err = Listen(ctx, c, o.Name); err != nil {
		return nil, err
	}
	n.server.cookies = cookies
	return n, nil
}

// cookieSecret returns the secret of cookies, which the first start makes.
func cookieSecret(path string) (*dnswire.CookieSecret, error) {
	text, err := statefile.KeepSecret(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte("tokenring cookies of the DNS\x00" + text))
	return (*dnswire.CookieSecret)(sum[:16]), nil
}

// openMonitor makes the monitor, which goes on from what was known.
func (n *Node) openMonitor(c *Config) error {
	p := &c.Probe
	path := p.Path
	if p.Protocol == ProtocolTCP {
		path = ""
	}
	host := cmp.Or(p.Host, hostOf(n.plan.Services[0].Name.String()))
	n.monitor = health.New(health.Config{
		Path: &path, Interval: p.Interval, Timeout: p.Timeout, Rise: p.Rise, Fall: p.Fall, Host: host, Expect: p.Expect,
	}, n.log, func(string, health.Status) { n.dirty.Leave() })
	if p.Protocol == ProtocolHTTPS {
		tls := hosttls.Config{CA: p.CA, ServerName: host}
		material, err := tls.Read()
		if err != nil {
			return fmt.Errorf("gslb.probe.ca: %w", err)
		}
		n.monitor.SetTLS(hosttls.New(tls, material))
	}
	for i := range n.plan.Regions {
		r := &n.plan.Regions[i]
		for j, a := range r.Addresses {
			n.targets = append(n.targets, health.Target{Name: targetName(r, j), Address: net.JoinHostPort(a.Addr.String(), strconv.Itoa(p.Port)), Host: host})
		}
	}
	n.monitor.Restore(n.known.Checks)
	return nil
}

// hostOf returns a name of the DNS as URLs have it.
func hostOf(name string) string { return name[:len(name)-1] }

// Server returns the server of n.
func (n *Node) Server() *Server { return n.server }

// Table returns what is in force; nil until the first round of probes is over.
func (n *Node) Table() *Table { return n.server.table.Load() }

// Run probes the regions, and answers queries once each address has been probed, until ctx ends. It
// returns when all that it has started has ended.
func (n *Node) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	n.monitor.Watch(n.targets)
	group.Go(func() error { return n.monitor.Run(ctx) })
	n.firstRound(ctx)
	group.Go(func() error { return n.server.Serve(ctx) })
	group.Go(func() error { return n.loop(ctx) })
	return group.Wait()
}

// firstRound waits until each address has been probed, so that no answer is made of guesses, and
// puts the first table in force.
func (n *Node) firstRound(ctx context.Context) {
	late := time.NewTimer(n.first)
	defer late.Stop()
	for waits := true; waits && !n.probed(n.monitor.State()); {
		select {
		case <-ctx.Done():
			waits = false
		case <-late.C:
			n.log.Warn().Msg("not every address could be probed in time: those that weren't count as up")
			waits = false
		case <-n.dirty:
		}
	}
	n.update(time.Now())
}

// probed reports whether there is a verdict about each address, of this process or an earlier one.
func (n *Node) probed(checks health.State) bool {
	for _, t := range n.targets {
		if !checks[t.Name].Known {
			return false
		}
	}
	return true
}

// loop puts a new table in force when what is known of the regions changes.
func (n *Node) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.dirty:
		case <-timer.C:
		}
		if again := n.update(time.Now()); !again.IsZero() {
			timer.Reset(time.Until(again))
		}
	}
}

// update takes the results of probes into account. It returns when it is to be called again if
// there is none; the zero time for never.
func (n *Node) update(now time.Time) (again time.Time) {
	checks := n.monitor.State()
	n.note(checks, now)
	state, again := n.plan.stateAt(&n.known, now)
	before := n.Table()
	if before != nil && reflect.DeepEqual(before.state, state) {
		return again
	}
	n.known.Serial = max(n.known.Serial+1, uint32(now.Unix()))
	n.server.Use(NewTable(n.plan, state, n.known.Serial))
	if err := n.known.write(n.file); err != nil {
		n.log.Error().Err(err).Msg("what is known of the regions can't be written: a start would begin anew")
	}
	return again
}

// note keeps the results of probes, which are n's from now on, and when verdicts have changed.
func (n *Node) note(checks health.State, now time.Time) {
	for i := range n.plan.Regions {
		r := &n.plan.Regions[i]
		for j := range r.Addresses {
			name := targetName(r, j)
			// A first verdict changes nothing that was told to anybody.
			if old, is := n.known.Checks[name], checks[name]; old.Known && is.Known && old.Up != is.Up {
				n.known.Changed[r.Name] = now
			}
		}
	}
	n.known.Checks = checks
}

// Plan returns what the answers follow from, besides the state.
func (t *Table) Plan() *Plan { return t.plan }

// State returns the state of the plan's regions.
func (t *Table) State() steer.State { return t.state }

// Serial returns the zone's serial.
func (t *Table) Serial() uint32 { return t.serial }

// Plan returns what n was configured with.
func (n *Node) Plan() *Plan { return n.plan }

// Checks returns the standings of the addresses of a region, in their order.
func (n *Node) Checks(region *steer.Region) []health.Standing {
	checks := n.monitor.State()
	all := make([]health.Standing, len(region.Addresses))
	for i := range all {
		all[i] = checks[targetName(region, i)]
	}
	return all
}

package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/route"
)

// A Drain has hosts drained.
type Drain struct {
	Hosts    []string
	Zone     string         // all hosts of the zone that are ready, instead of Hosts
	Deadline *time.Duration // from now until sessions are closed; nil: they stay until they end
	Rate     int            // terminals that are closed in a second then; 0: the balancer's default
	Wait     bool           // until no terminal is left
	OneByOne bool           // the next host when the one before is empty; implies Wait

	Reason, By string // for the other operators
	Confirmed  bool   // also if it moves more of the tokens than admin.confirm_share, or leaves too little
}

// Check returns an error if d is wrong, as far as it can be checked without a balancer.
func (d Drain) Check() error {
	switch {
	case (len(d.Hosts) == 0) == (d.Zone == ""):
		return errors.New("lb ctl drain: name the hosts, or give --zone")
	case d.Deadline != nil && (*d.Deadline < 0 || *d.Deadline > route.MaxDrain):
		return fmt.Errorf("lb ctl drain: --deadline: %v is not in 0s..%v", *d.Deadline, route.MaxDrain)
	case d.Deadline == nil && d.Rate != 0:
		return errors.New("lb ctl drain: --rate needs --deadline: without one no terminal is closed")
	case d.Rate < 0 || d.Rate > route.MaxDrainRate:
		return fmt.Errorf("lb ctl drain: --rate: %d is not in 1..%d", d.Rate, route.MaxDrainRate)
	}
	for _, host := range d.Hosts {
		if err := checkHost(host); err != nil {
			return err
		}
	}
	return nil
}

// change returns what d orders for one host.
func (d Drain) change() Change {
	change := State("drain")
	if d.Deadline != nil {
		change["deadline"] = d.Deadline.String()
	}
	if d.Rate != 0 {
		change["rate"] = d.Rate
	}
	return change
}

// Drain drains hosts one after the other, and writes what becomes of them. If ctx ends while
// it waits, the drains go on.
func (c *Client) Drain(ctx context.Context, d Drain, out Output) error {
	hosts := d.Hosts
	if d.Zone != "" {
		var err error
		if hosts, err = c.readyIn(ctx, d.Zone); err != nil {
			return err
		}
	}
	for i, name := range hosts {
		o := Override{Host: name, Change: d.change(), Reason: d.Reason, By: d.By, Confirmed: d.Confirmed}
		if err := c.Override(ctx, o, out); len(hosts) == 1 && err != nil {
			return err
		} else if err != nil {
			return fmt.Errorf("%s: %w%s", name, err, notDrained(hosts[i+1:]))
		}
		if d.OneByOne {
			if err := c.awaitEmpty(ctx, []string{name}, out); err != nil {
				return fmt.Errorf("%w%s", err, notDrained(hosts[i+1:]))
			}
		}
	}
	if d.Wait && !d.OneByOne {
		return c.awaitEmpty(ctx, hosts, out)
	}
	return nil
}

// notDrained says that nothing was changed of the hosts that are left.
func notDrained(left []string) string {
	if len(left) == 0 {
		return ""
	}
	return "\nnot drained: " + strings.Join(left, ", ")
}

// readyIn returns the ready hosts of a zone.
func (c *Client) readyIn(ctx context.Context, zone string) (names []string, _ error) {
	list, err := read[hostList](c.get(ctx, "/v1/hosts"))
	if err != nil {
		return nil, err
	}
	for _, h := range list.Hosts {
		if h.Zone == zone && h.State == string(route.Ready) {
			names = append(names, h.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no ready host is in the zone %q; lb ctl hosts --format json shows the zones", zone)
	}
	return names, nil
}

// How often the hosts are looked at while they drain, and how often that is told though
// nothing has changed.
const (
	drainPoll = time.Second
	drainTell = time.Minute
)

// awaitEmpty waits until hosts in drain have no terminal, and tells how it goes on.
func (c *Client) awaitEmpty(ctx context.Context, hosts []string, out Output) error {
	p := progress{out: out, most: map[string]int{}}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		list, err := read[hostList](c.get(ctx, "/v1/hosts"))
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("the drain goes on; lb ctl hosts shows it, and lb ctl ready ends it: %w", context.Cause(ctx))
		case errors.As(err, new(*refusal)):
			return err
		case err != nil: // the balancer may be restarting
			err = p.tell("the balancer doesn't answer: "+err.Error(), time.Now())
		default:
			var left int
			if left, err = p.hosts(list.Hosts, hosts); err == nil && left == 0 {
				return nil
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// A progress tells how drains go on.
type progress struct {
	out  Output
	most map[string]int // by host: how many terminals it had at the most
	last string         // what was told last
	at   time.Time
}

// hosts tells how many terminals hosts in drain have left, and returns how many those are. It
// is an error if a host isn't in drain any more.
func (p *progress) hosts(all []host, names []string) (left int, _ error) {
	var lines []string
	for _, name := range names {
		i := slices.IndexFunc(all, func(h host) bool { return h.Name == name })
		if i < 0 {
			continue // it has gone, and its terminals with it
		}
		h := &all[i]
		if h.State == string(route.Ready) {
			return 0, fmt.Errorf("%s isn't in drain any more: somebody has made it ready", name)
		}
		n := h.terminals()
		left += n
		p.most[name] = max(p.most[name], n)
		lines = append(lines, fmt.Sprintf("%s  %s  %s", name, bar(p.most[name]-n, p.most[name]), h.prospect(n)))
	}
	return left, p.tell(strings.Join(lines, "\n"), time.Now())
}

// tell writes a text if it is another one than the last, or if that was long ago.
func (p *progress) tell(text string, now time.Time) error {
	if p.out.JSON || text == p.last && now.Sub(p.at) < drainTell {
		return nil
	}
	p.last, p.at = text, now
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// bar draws which part of something is done.
func bar(done, all int) string {
	const width = 20
	filled := width
	if all > 0 {
		filled = done * width / all
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", width-filled) + "]"
}

// prospect says how many terminals are left on h, and when none will be.
func (h *host) prospect(left int) string {
	text := count(left, "terminal") + " left"
	switch d := h.Drain; {
	case left == 0:
		return "empty"
	case d == nil:
		return text + "; they stay until they end"
	case d.Closing:
		return fmt.Sprintf("%s; they are closed, %d in a second", text, d.Rate)
	default:
		rate := max(1, d.Rate)
		end := d.Deadline.Add(time.Duration((left+rate-1)/rate) * time.Second)
		return fmt.Sprintf("%s; empty at %s at the latest", text, instant(end))
	}
}

// A drain is how the drain of a host ends.
type drain struct {
	Deadline time.Time
	Rate     int
	Closing  bool
}

// terminals returns how many terminals h has through all balancers.
func (h *host) terminals() int { return int(h.Sessions + h.AtPeers) }

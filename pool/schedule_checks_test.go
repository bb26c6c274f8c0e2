package pool

import (
	"time"

	"tokenring/route"
)

// A simCheck is the check of one host by one process: see package health.
type simCheck struct {
	known, up bool
	against   int
}

// check checks a host, tells the machine, and checks it again later.
func (p *simProcess) check(host string) {
	if p.retired.Load() {
		return
	}
	const interval, timeout = 2 * time.Second, time.Second
	c, h := p.checks[host], p.w.host(host)
	result := p.w.reach(p.name, h)
	took, why := p.w.net.delay(p.name, host)+p.w.net.delay(host, p.name), ""
	switch {
	case result == simRefused:
		why = "connection refused"
	case result == simTimeout || h.frozen || took > timeout:
		took, why = timeout, "timeout after 1s"
	}
	p.w.after(took, func() {
		c.hear(why == "")
		r := CheckResult{Address: h.spec.Address, Verdict: route.Down, Error: why, Refused: result == simRefused, At: p.now()}
		if c.up {
			r.Verdict = route.Up
		}
		p.step(checksEvent{host: r})
	})
	pause := interval
	if c.against > 0 {
		pause /= 2
	}
	p.w.after(max(took, pause*9/10+time.Duration(p.w.rng.Int64N(int64(pause/5)))), func() { p.check(host) })
}

func (c *simCheck) hear(ok bool) {
	const rise, fall = 2, 3
	need := fall
	if ok {
		need = rise
	}
	switch {
	case !c.known:
		c.known, c.up = true, ok
	case ok == c.up:
		c.against = 0
	default:
		if c.against++; c.against >= need {
			c.up, c.against = ok, 0
		}
	}
}

// checkNew begins to check the hosts that aren't checked yet.
func (p *simProcess) checkNew() {
	for _, h := range p.snapshot.Load().Hosts {
		if p.checks[h.Name] == nil && h.Address != "" {
			p.checks[h.Name] = &simCheck{}
			p.check(h.Name)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// A measurement is one question that is put to every proxy.
type measurement struct {
	letter  string
	title   string
	tls     bool
	figures []figure
	trial   trial
	seldom  bool // every third round is enough: it takes long, and varies little

	saturating bool // the load is as much as the proxy can take
}

// A trial gets the answer: it takes one sample of each proxy, in the order
// given, each from a fresh process. It returns as many results.
type trial interface {
	take(ctx context.Context, s *stage, m measurement, all []proxy) []result
}

// A result is a sample, or why there is none.
type result struct {
	sample sample
	err    error
}

// A scale is how much of everything there is.
type scale struct {
	rounds         int
	warmUp, window time.Duration
	pause          time.Duration // from the last thing that was done to a reading of memory
	idle           []int         // idle terminals
	talking, wave  int           // terminals that talk; terminals that all come at once
	every          time.Duration // the time between two messages of a terminal
}

func fullScale(rounds int, window time.Duration) scale {
	return scale{
		rounds: rounds, warmUp: 400 * time.Millisecond, window: window, pause: 15 * time.Second,
		idle: []int{3000, 8000}, talking: 2000, wave: 3000, every: time.Second,
	}
}

// smokeScale is just enough to see whether everything works.
func smokeScale() scale {
	return scale{
		rounds: 1, warmUp: 300 * time.Millisecond, window: time.Second, pause: 300 * time.Millisecond,
		idle: []int{200}, talking: 100, wave: 100, every: 100 * time.Millisecond,
	}
}

// descriptors is how many a proxy needs: two for a terminal, and some to spare.
func (s scale) descriptors() uint64 {
	const spare = 1000
	return uint64(2*max(slices.Max(s.idle), s.talking+s.wave) + spare)
}

// A stage is what all figures are taken on.
type stage struct {
	scale
	dir      string
	ip       string // the proxies'
	ports    int    // the last visit's first
	core     int    // the proxy's
	ides     *hosts
	profiles string // the directory for profiles of lb; "" for none
	progress io.Writer
}

// open takes every figure while the hosts serve.
func (s *stage) open(ctx context.Context, all []proxy, questions []measurement) (*report, error) {
	g, ctx := errgroup.WithContext(ctx)
	ctx, done := context.WithCancel(ctx)
	g.Go(func() error { return s.ides.serve(ctx) })
	r, err := s.run(ctx, all, questions)
	done()
	return r, errors.Join(err, g.Wait())
}

// run takes every figure. The proxies take turns, and another one begins each
// round, so that whatever else the machine does meets them all alike. A figure
// that can't be taken is reported as missing.
func (s *stage) run(ctx context.Context, all []proxy, questions []measurement) (*report, error) {
	r := &report{}
	for _, m := range questions {
		r.sections = append(r.sections, newSection(m, all))
	}
	for round := range s.rounds {
		order := slices.Concat(all[round%len(all):], all[:round%len(all)])
		for i, m := range questions {
			if m.seldom && round%3 != 0 {
				continue
			}
			results := m.trial.take(ctx, s, m, order)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			for k, got := range results {
				r.sections[i].add(order[k].name, got)
			}
		}
	}
	return r, nil
}

// tell says on the progress output what has come of a trial.
func (s *stage) tell(m measurement, proxy string, got result) {
	said := fmt.Sprint(got.err)
	if got.err == nil {
		var values []string
		for i, f := range m.figures {
			values = append(values, fmt.Sprintf("%s %.*f %s", f.name, f.digits, got.sample.values[i], f.unit))
		}
		said = strings.Join(values, ", ")
	}
	fmt.Fprintf(s.progress, "%s (%s) %s, %s: %s\n", time.Now().Format(time.TimeOnly), m.letter, m.title, proxy, said)
}

// A visit is a fresh process of a proxy that does its job. Its end must be
// called.
type visit struct {
	job     job
	running *process
	ends    []func() // of what was started for it
}

func (v *visit) end() {
	for _, end := range slices.Backward(v.ends) {
		end()
	}
}

// visit starts a proxy in front of the hosts, waits until it is ready, and makes
// sure that it does the job.
func (s *stage) visit(ctx context.Context, p proxy, m measurement, hosts []host) (*visit, error) {
	s.ports += 2 // others each time: the proxy before may not have let go of its own
	v := &visit{job: job{TLS: m.tls, Dir: s.dir, Hosts: hosts}}
	v.job.Address, v.job.Admin = fmt.Sprintf("%s:%d", s.ip, s.ports), fmt.Sprintf("%s:%d", s.ip, s.ports+1)
	var err error
	if v.running, err = p.start(ctx, v.job, s.core); err != nil {
		return nil, err
	}
	v.ends = append(v.ends, v.running.stop)
	err = s.check(ctx, v.job, v.running)
	if err == nil && s.profiles != "" && p.name == subject {
		err = v.profile(ctx, s.profiles, m)
	}
	if err != nil {
		v.end()
		return nil, err
	}
	return v, nil
}

// check waits until the proxy is ready, and makes sure that it does the job.
func (s *stage) check(ctx context.Context, j job, running *process) error {
	p, err := newProbe(j)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.ready(ctx, running); err != nil {
		return err
	}
	if err := p.sameJob(ctx); err != nil {
		return fmt.Errorf("it doesn't do the job: %w", err)
	}
	return nil
}

// visitWithHosts is visit with hosts in a process of their own.
func (s *stage) visitWithHosts(ctx context.Context, p proxy, m measurement) (*visit, error) {
	ides, err := cast(ctx, "hosts", target{})
	if err != nil {
		return nil, err
	}
	said, err := ides.hear()
	if err != nil {
		ides.end()
		return nil, err
	}
	v, err := s.visit(ctx, p, m, said.Hosts)
	if err != nil {
		ides.end()
		return nil, err
	}
	v.ends = append([]func(){ides.end}, v.ends...)
	return v, nil
}

// terminals starts a process of terminals, which opens so many of them.
func (v *visit) terminals(ctx context.Context, open order) (*player, error) {
	t, err := v.cast(ctx, "terminals")
	if err != nil {
		return nil, err
	}
	return t, t.must(open)
}

// cast starts a role towards the proxy, which ends with the visit.
func (v *visit) cast(ctx context.Context, role string) (*player, error) {
	p, err := cast(ctx, role, v.job.target())
	if err != nil {
		return nil, err
	}
	v.ends = append(v.ends, p.end)
	return p, nil
}

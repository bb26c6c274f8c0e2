package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// A measurement is one question that is put to every proxy: what does meter
// show per unit of load?
type measurement struct {
	title string
	per   string // one unit of the load
	tls   bool
	load  load
	meter meter
}

// A stage is what all figures are taken on.
type stage struct {
	dir      string
	core     int // the proxy's
	ides     *hosts
	window   time.Duration
	rounds   int
	progress io.Writer
}

func (s *stage) measurements() []measurement {
	small := wrk{ides: s.ides, path: "/environment", connections: 64, tokens: 4096, window: s.window}
	return []measurement{
		{title: "Plain, small answers, 64 keep-alive connections", per: "request", load: small, meter: cpu},
		{title: "TLS 1.3, small answers, 64 keep-alive connections", per: "request", tls: true, load: small, meter: cpu},
	}
}

// open takes every figure while the hosts serve.
func (s *stage) open(ctx context.Context, all []proxy) (*report, error) {
	g, ctx := errgroup.WithContext(ctx)
	ctx, done := context.WithCancel(ctx)
	g.Go(func() error { return s.ides.serve(ctx) })
	r, err := s.run(ctx, all, s.measurements())
	done()
	return r, errors.Join(err, g.Wait())
}

// run takes every figure. The proxies take turns, and another one begins each
// round, so that whatever else the machine does meets them all alike. A figure
// that can't be taken is reported as missing.
func (s *stage) run(ctx context.Context, all []proxy, questions []measurement) (*report, error) {
	r := &report{}
	for _, m := range questions {
		sec := newSection(m, all)
		for round := range s.rounds {
			for i := range all {
				turn := (i + round) % len(all)
				p := all[turn]
				got, err := s.take(ctx, p, m)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				if err != nil {
					fmt.Fprintf(s.progress, "%s, round %d, %s: %v\n", m.title, round+1, p.name, err)
					sec.series[turn].missing++
					continue
				}
				fmt.Fprintf(s.progress, "%s, round %d, %s: %.1f\n", m.title, round+1, p.name, got.value)
				sec.series[turn].samples = append(sec.series[turn].samples, got)
			}
		}
		r.sections = append(r.sections, sec)
	}
	return r, nil
}

// A reading is one look at a process.
type reading struct {
	at    time.Time
	value float64 // the meter's
	cpu   time.Duration
}

func (m meter) look(pid int) (reading, error) {
	used, err := cpuTime(pid)
	if err != nil {
		return reading{}, err
	}
	value, err := m.read(pid)
	return reading{at: time.Now(), value: value, cpu: used}, err
}

// take takes one figure from a fresh process of the proxy.
func (s *stage) take(ctx context.Context, p proxy, m measurement) (sample, error) {
	const patience = 30 * time.Second // for all but the window: start, checks, warm-up, end
	ctx, cancel := context.WithTimeout(ctx, s.window+patience)
	defer cancel()
	j, err := s.job(m)
	if err != nil {
		return sample{}, err
	}
	running, err := p.start(ctx, j, s.core)
	if err != nil {
		return sample{}, err
	}
	defer running.stop()
	if err := s.check(ctx, j, running); err != nil {
		return sample{}, err
	}
	var readings []reading
	out, err := m.load.run(ctx, j, func() error {
		now, err := m.meter.look(running.pid())
		readings = append(readings, now)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	return newSample(readings, out)
}

func (s *stage) job(m measurement) (job, error) {
	ports, err := freePorts(2)
	if err != nil {
		return job{}, err
	}
	return job{TLS: m.tls, Port: ports[0], AdminPort: ports[1], Dir: s.dir, Hosts: s.ides.list()}, nil
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

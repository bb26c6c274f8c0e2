package main

import (
	"context"
	"fmt"
	"time"
)

// inTurn is a trial of one proxy after the other.
type inTurn struct {
	ownHosts bool // in a process of their own
	sample   func(ctx context.Context, v *visit) (sample, error)
}

func (t inTurn) take(ctx context.Context, s *stage, m measurement, all []proxy) []result {
	results := make([]result, len(all))
	for i, p := range all {
		results[i].sample, results[i].err = t.one(ctx, s, m, p)
		s.tell(m, p.name, results[i])
	}
	return results
}

func (t inTurn) one(ctx context.Context, s *stage, m measurement, p proxy) (sample, error) {
	const patience = 90 * time.Second // for all but the window: start, checks, opening, end
	ctx, cancel := context.WithTimeout(ctx, s.window+patience)
	defer cancel()
	v, err := s.enter(ctx, p, m, t.ownHosts)
	if err != nil {
		return sample{}, err
	}
	defer v.end()
	return t.sample(ctx, v)
}

// enter makes a visit.
func (s *stage) enter(ctx context.Context, p proxy, m measurement, ownHosts bool) (*visit, error) {
	if ownHosts {
		return s.visitWithHosts(ctx, p, m)
	}
	return s.visit(ctx, p, m, s.ides.list())
}

// costOf takes the CPU time for each unit of a load.
func costOf(l load) func(context.Context, *visit) (sample, error) {
	return func(ctx context.Context, v *visit) (sample, error) {
		var readings []reading
		out, err := l.run(ctx, v.job, v.mark(&readings))
		if err != nil {
			return sample{}, err
		}
		used, err := newSpell(readings)
		if err != nil {
			return sample{}, err
		}
		each, err := used.per(out.units)
		return sample{values: []float64{each}, busy: used.busy(), failures: out.failures}, err
	}
}

// mark returns a function that adds a reading.
func (v *visit) mark(readings *[]reading) func() error {
	return func() error {
		now, err := look(v.running.pid())
		*readings = append(*readings, now)
		return err
	}
}

// must is call for an order that has to be carried out wholly.
func (p *player) must(o order) error {
	got, err := p.call(o)
	if err == nil && got.Failures > 0 {
		err = fmt.Errorf("%s: order %s: %d failures, the first: %s", p.role, o.Do, got.Failures, got.Fault)
	}
	return err
}

// openRate and greetRate are how many terminals open, or send their first
// message, in a second. The former is what a busy proxy still manages over TLS.
const (
	openRate  = 1000
	greetRate = 2000
)

// chatter opens the terminals that talk, and has them begin.
func (s *stage) chatter(ctx context.Context, v *visit) (*player, error) {
	t, err := v.terminals(ctx, order{Do: "open", Count: s.talking, Rate: openRate})
	if err != nil {
		return nil, err
	}
	if err := t.must(order{Do: "chat", Every: s.every}); err != nil {
		return nil, err
	}
	if err := pause(ctx, s.every); err != nil { // each has had its first turn
		return nil, err
	}
	return t, t.must(order{Do: "take"})
}

// talk takes the cost and the round trip of the messages of many terminals.
func (s *stage) talk(ctx context.Context, v *visit) (sample, error) {
	t, err := s.chatter(ctx, v)
	if err != nil {
		return sample{}, err
	}
	used, err := s.await(ctx, v)
	if err != nil {
		return sample{}, err
	}
	got, err := t.call(order{Do: "take"})
	if err != nil {
		return sample{}, err
	}
	each, err := used.per(got.Count)
	values := []float64{each, in(time.Microsecond, got.P50), in(time.Microsecond, got.P99)}
	return sample{values: values, busy: used.busy(), failures: got.Failures}, err
}

// await returns what the proxy uses in the window. A proxy that has so little to
// do that its clock hardly ticks is watched for longer.
func (s *stage) await(ctx context.Context, v *visit) (spell, error) {
	const least = 3 * tick
	var readings []reading
	mark := v.mark(&readings)
	if err := mark(); err != nil {
		return spell{}, err
	}
	for {
		if err := pause(ctx, s.window); err != nil {
			return spell{}, err
		}
		if err := mark(); err != nil {
			return spell{}, err
		}
		used, err := newSpell(readings)
		if err != nil || used.cpu >= least {
			return used, err
		}
		readings = readings[:1]
	}
}

// flood takes the round trips before and during a wave of new terminals.
func (s *stage) flood(ctx context.Context, v *visit) (sample, error) {
	t, err := s.chatter(ctx, v)
	if err != nil {
		return sample{}, err
	}
	w, err := v.cast(ctx, "wave")
	if err != nil {
		return sample{}, err
	}
	if err := pause(ctx, s.window); err != nil {
		return sample{}, err
	}
	before, err := t.call(order{Do: "take"})
	if err != nil {
		return sample{}, err
	}
	var readings []reading
	mark := v.mark(&readings)
	if err := mark(); err != nil {
		return sample{}, err
	}
	wave, err := w.call(order{Do: "open", Count: s.wave})
	if err != nil {
		return sample{}, err
	}
	if err := mark(); err != nil {
		return sample{}, err
	}
	return s.aftermath(ctx, t, before, wave, readings)
}

// aftermath takes what the wave has done, once the echoes that it delayed are
// back.
func (s *stage) aftermath(ctx context.Context, t *player, before, wave outturn, readings []reading) (sample, error) {
	if wave.Failures > 0 {
		return sample{}, fmt.Errorf("%d of %d new terminals failed, the first with: %s", wave.Failures, s.wave, wave.Fault)
	}
	if err := pause(ctx, s.every/10); err != nil {
		return sample{}, err
	}
	during, err := t.call(order{Do: "take"})
	if err != nil {
		return sample{}, err
	}
	used, err := newSpell(readings)
	var values []float64
	for _, d := range []time.Duration{before.P50, before.P99, before.Max, during.P50, during.P99, during.Max, wave.Took} {
		values = append(values, in(time.Millisecond, d))
	}
	return sample{values: values, busy: used.busy(), failures: before.Failures + during.Failures}, err
}

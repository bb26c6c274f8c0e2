package health

import (
	"context"
	"math/rand/v2"
	"time"

	"tokenring/notify"
)

// minSpacing is the least time from the end of a check to the next check of the same
// target, even if it is suspected.
const minSpacing = 100 * time.Millisecond

// A watcher checks one target at one address. Only its goroutine uses its fields until
// done is closed.
type watcher struct {
	m       *Monitor
	target  Target
	verdict verdict
	gate    gate
	status  Status // as last reported
	cancel  context.CancelFunc
	done    chan struct{}
	sooner  notify.Note // check sooner
}

func newWatcher(m *Monitor, t Target) *watcher {
	return &watcher{m: m, target: t, status: Status{Address: t.Address}, done: make(chan struct{}), sooner: notify.NewNote()}
}

// run checks the target until ctx ends: first after delay, and then at the intervals
// that pace returns.
func (w *watcher) run(ctx context.Context, delay time.Duration) {
	for next := time.Now().Add(delay); w.wait(ctx, next); {
		start := time.Now()
		r := w.m.check(ctx, w.target, &w.gate)
		if ctx.Err() != nil {
			return // the check may have failed because ctx ended
		}
		w.record(r, start, time.Now())
		next = start.Add(jitter(pace(w.m.cfg.Interval, w.verdict.against > 0)))
	}
}

// wait returns true when the next check is due, and false when ctx has ended. A
// suspicion from before a check doesn't cause another check after it.
func (w *watcher) wait(ctx context.Context, next time.Time) bool {
	earliest := time.Now()
	if !w.status.At.IsZero() {
		earliest = w.status.At.Add(minSpacing)
	}
	timer := time.NewTimer(time.Until(later(next, earliest)))
	defer timer.Stop()
	sooner := w.sooner
	for {
		select {
		case <-ctx.Done():
			return false
		case <-sooner:
			sooner = nil
			timer.Reset(time.Until(earliest))
		case <-timer.C:
			w.sooner.Clear()
			return true
		}
	}
}

// record updates the verdict and the status with a result, and reports the status.
func (w *watcher) record(r result, start, end time.Time) {
	w.m.count(r)
	changed := false
	if r.local {
		w.m.shortage.Do(func() {
			w.m.log.Warn().Str("host", w.target.Name).Str("why", r.err).Msg("hosts can't be checked, verdicts stay as they are")
		})
	} else {
		changed = w.verdict.update(r.err == "", w.m.cfg.Rise, w.m.cfg.Fall)
	}
	was := w.status
	w.status.Gate = w.gate.seen
	w.status.Error, w.status.Refused, w.status.At, w.status.Latency = r.err, r.refused, end, end.Sub(start)
	if changed {
		w.status.Known, w.status.Up = true, w.verdict.up
	}
	if w.status.Known != was.Known || w.status.Up != was.Up {
		w.status.Since = end
		w.logVerdict()
	}
	w.m.keep(w.target.Name, w.standing())
	w.m.report(w.target.Name, w.status)
}

func (w *watcher) logVerdict() {
	e := w.m.log.Info()
	if !w.status.Up {
		e = w.m.log.Warn().Str("error", w.status.Error)
	}
	e.Str("host", w.target.Name).Str("address", w.target.Address).
		Bool("up", w.status.Up).Dur("latency", w.status.Latency).Msg("check verdict changed")
}

// pace returns the time from one check to the next. While results contradict the
// verdict it is a quarter of the interval, but at least 100 ms.
func pace(interval time.Duration, doubtful bool) time.Duration {
	if !doubtful {
		return interval
	}
	return min(interval, max(interval/4, minSpacing))
}

// jitter returns a random duration within a tenth of d, so that the checks of many
// balancers don't come at the same time.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// latest returns the largest result of jitter for d.
func latest(d time.Duration) time.Duration { return d + d/10 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

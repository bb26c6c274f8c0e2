package health

import (
	"context"
	"math/rand/v2"
	"time"
)

// minSpacing is the least time from the end of a check to the next one of the
// same target, however loudly it is suspected.
const minSpacing = 100 * time.Millisecond

// A watcher checks one target at one address. Its fields belong to its
// goroutine until done is closed, and then to whoever waited for that.
type watcher struct {
	m       *Monitor
	target  Target
	verdict verdict
	status  Status // as last reported
	cancel  context.CancelFunc
	done    chan struct{}
	nudge   chan struct{} // room for one: check sooner
}

func newWatcher(m *Monitor, t Target) *watcher {
	return &watcher{m: m, target: t, status: Status{Address: t.Address}, done: make(chan struct{}), nudge: make(chan struct{}, 1)}
}

// run checks the target, first after delay and then at the pace that its
// verdict asks for, until ctx ends.
func (w *watcher) run(ctx context.Context, delay time.Duration) {
	for next := time.Now().Add(delay); w.wait(ctx, next); {
		start := time.Now()
		r := w.m.check(ctx, w.target)
		if ctx.Err() != nil {
			return // the result tells of our leaving, not of the host
		}
		w.take(r, start, time.Now())
		next = start.Add(jitter(pace(w.m.cfg.Interval, w.verdict.against > 0)))
	}
}

// wait returns true when the next check is due, and false when ctx ended.
// Evidence from before a check is answered by that check.
func (w *watcher) wait(ctx context.Context, next time.Time) bool {
	earliest := time.Now()
	if !w.status.At.IsZero() {
		earliest = w.status.At.Add(minSpacing)
	}
	timer := time.NewTimer(time.Until(later(next, earliest)))
	defer timer.Stop()
	nudge := w.nudge
	for {
		select {
		case <-ctx.Done():
			return false
		case <-nudge:
			nudge = nil
			timer.Reset(time.Until(earliest))
		case <-timer.C:
			forget(w.nudge)
			return true
		}
	}
}

// take turns a result into a status, and tells whoever wants to know.
func (w *watcher) take(r result, start, end time.Time) {
	w.m.count(r)
	changed := false
	if r.ours {
		w.m.short.Do(func() {
			w.m.log.Warn().Str("host", w.target.Name).Str("why", r.err).Msg("hosts can't be checked: what was known of them stays")
		})
	} else {
		changed = w.verdict.hear(r.err == "", w.m.cfg.Rise, w.m.cfg.Fall)
	}
	was := w.status
	w.status.Error, w.status.At, w.status.Latency = r.err, end, end.Sub(start)
	if changed {
		w.status.Known, w.status.Up = true, w.verdict.up
	}
	if w.status.Known != was.Known || w.status.Up != was.Up {
		w.status.Since = end
		w.logVerdict()
	}
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

// pace is the time from one check to the next: a quarter of the interval, but
// not under 100 ms, while results contradict the verdict.
func pace(interval time.Duration, doubtful bool) time.Duration {
	if !doubtful {
		return interval
	}
	return min(interval, max(interval/4, minSpacing))
}

// jitter spreads d by up to a tenth each way, so that checks of many hosts by
// many balancers don't fall into step.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// latest is the most that jitter makes of d.
func latest(d time.Duration) time.Duration { return d + d/10 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forget takes a notice away if there is one.
func forget(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

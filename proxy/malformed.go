package proxy

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/http1"
)

// A malformedLog says which hosts send answers that are refused, and why: each
// host once a minute at most. Safe for concurrent use.
type malformedLog struct {
	log zerolog.Logger

	mu    sync.Mutex
	hosts map[string]*malformed // by name
}

// malformed is what is known of one host's refused answers.
type malformed struct {
	logged time.Time // when the last line was written
	unsaid int       // answers since then
}

// How often one host has a line, and how long it is remembered without one.
const (
	malformedEvery  = time.Minute
	malformedForget = time.Hour
)

func newMalformedLog(log zerolog.Logger) *malformedLog {
	return &malformedLog{log: log, hosts: map[string]*malformed{}}
}

// note takes note of an answer that was refused for a reason, a constant text.
func (l *malformedLog) note(host, reason string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hosts[host]
	if h == nil {
		maps.DeleteFunc(l.hosts, func(_ string, h *malformed) bool { return now.Sub(h.logged) > malformedForget })
		h = new(malformed)
		l.hosts[host] = h
	}
	if now.Sub(h.logged) < malformedEvery {
		h.unsaid++
		return
	}
	l.log.Warn().Str("host", host).Str("reason", reason).Int("suppressed", h.unsaid).Msg("refused a host's answer")
	h.logged, h.unsaid = now, 0
}

// refusedAnswer notes and counts an answer of the exchange's host that was refused,
// if err says that it was.
func (x *exchange) refusedAnswer(err error) {
	var bad *http1.Error
	if errors.As(err, &bad) {
		x.srv.p.opt.Metrics.responsesRefused.WithLabelValues(bad.Reason).Inc()
		x.srv.p.malformed.note(x.host.Name, bad.Reason, time.Now())
	}
}

// countRepairs counts what of the last answer on l was set right. A repair ends the
// link's life, so that it is counted once.
func (p *Proxy) countRepairs(l *link) {
	if l.in.Repaired() == 0 {
		return
	}
	for text := range l.in.Repaired().Texts() {
		p.opt.Metrics.responsesRepaired.WithLabelValues(text).Inc()
	}
}

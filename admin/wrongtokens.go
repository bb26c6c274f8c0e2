package admin

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"tokenring/netaddr"
)

const (
	maxSources = 1024 // of wrong tokens; the source that has been quiet for longest is forgotten first

	signInBurst = 10 // wrong tokens in a row from one source, then one per signInEvery
	signInEvery = 2 * time.Second
	retrySignIn = "2" // signInEvery for a Retry-After field

	sourceLogEvery = time.Minute // between log lines about one source
	logEvery       = time.Second // between log lines about all sources, after logBurst
	logBurst       = 10
)

// How a wrong token was sent.
const (
	viaBearer = "bearer"
	viaSignIn = "sign-in"
)

// wrongTokens remembers the sources of wrong tokens. It counts and logs wrong tokens,
// and says which sources must wait. It never delays or refuses the right token. Safe
// for concurrent use.
type wrongTokens struct {
	log   zerolog.Logger
	total *prometheus.CounterVec
	lines *rate.Limiter

	mu     sync.Mutex
	known  map[netip.Prefix]*list.Element
	recent list.List // of *tokenSource, the source of the latest wrong token in front
}

// A tokenSource is a source of wrong tokens.
type tokenSource struct {
	source   netip.Prefix
	attempts *rate.Limiter
	lines    *rate.Limiter
	unlogged int // attempts since the last line
}

func newWrongTokens(log zerolog.Logger) *wrongTokens {
	w := &wrongTokens{
		log: log,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lb_admin_refused_total", Help: "Wrong tokens at the admin endpoint, by how they came: as a bearer token, or from the sign-in page.",
		}, []string{"by"}),
		lines: rate.NewLimiter(rate.Every(logEvery), logBurst),
		known: map[netip.Prefix]*list.Element{},
	}
	for _, via := range []string{viaBearer, viaSignIn} {
		w.total.WithLabelValues(via) // a series from the start
	}
	return w
}

// note counts a wrong token from an address. It reports whether the source has
// attempts left. If not, the source must wait.
func (w *wrongTokens) note(via, remote string) (allowed bool) {
	w.total.WithLabelValues(via).Inc()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sourceLocked(netaddr.SourceOf(remote))
	s.unlogged++
	if s.lines.Allow() && w.lines.Allow() {
		w.log.Warn().Stringer("source", s.source).Str("by", via).Int("since_last_line", s.unlogged).Msg("wrong admin token")
		s.unlogged = 0
	}
	return s.attempts.Allow()
}

func (w *wrongTokens) sourceLocked(source netip.Prefix) *tokenSource {
	if e := w.known[source]; e != nil {
		w.recent.MoveToFront(e)
		return e.Value.(*tokenSource)
	}
	if w.recent.Len() >= maxSources {
		delete(w.known, w.recent.Remove(w.recent.Back()).(*tokenSource).source)
	}
	s := &tokenSource{
		source:   source,
		attempts: rate.NewLimiter(rate.Every(signInEvery), signInBurst),
		lines:    rate.NewLimiter(rate.Every(sourceLogEvery), 1),
	}
	w.known[source] = w.recent.PushFront(s)
	return s
}

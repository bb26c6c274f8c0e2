package admin

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

const (
	maxSources = 1024 // of wrong tokens; the one that has been quiet for longest gives way

	signInBurst = 10 // wrong tokens in a row from one source, then one per signInEvery
	signInEvery = 2 * time.Second
	retrySignIn = "2" // signInEvery for a Retry-After field

	sourceLogEvery = time.Minute // between log lines about one source
	logEvery       = time.Second // between log lines about all sources, after logBurst
	logBurst       = 10
)

// How a wrong token came.
const (
	viaBearer = "bearer"
	viaSignIn = "sign-in"
)

// refusals knows from where wrong tokens have come: it counts and logs them, and
// says which of them are to wait. It never delays or refuses the right token. Safe for
// concurrent use.
type refusals struct {
	log   zerolog.Logger
	total *prometheus.CounterVec
	lines *rate.Limiter

	mu     sync.Mutex
	known  map[netip.Prefix]*list.Element
	recent list.List // of *refused, the one heard of last in front
}

// A refused is a source of wrong tokens.
type refused struct {
	source   netip.Prefix
	attempts *rate.Limiter
	lines    *rate.Limiter
	unlogged int // attempts since the last line
}

func newRefusals(log zerolog.Logger) *refusals {
	r := &refusals{
		log: log,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lb_admin_refused_total", Help: "Wrong tokens at the admin endpoint, by how they came: as a bearer token, or from the sign-in page.",
		}, []string{"by"}),
		lines: rate.NewLimiter(rate.Every(logEvery), logBurst),
		known: map[netip.Prefix]*list.Element{},
	}
	for _, via := range []string{viaBearer, viaSignIn} {
		r.total.WithLabelValues(via) // a series from the start
	}
	return r
}

// note takes down that a wrong token has come from an address. It reports whether
// the source has attempts left; if not, it is to wait.
func (r *refusals) note(via, remote string) (allowed bool) {
	r.total.WithLabelValues(via).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.sourceLocked(sourceOf(remote))
	f.unlogged++
	if f.lines.Allow() && r.lines.Allow() {
		r.log.Warn().Stringer("source", f.source).Str("by", via).Int("since_last_line", f.unlogged).Msg("wrong admin token")
		f.unlogged = 0
	}
	return f.attempts.Allow()
}

func (r *refusals) sourceLocked(source netip.Prefix) *refused {
	if e := r.known[source]; e != nil {
		r.recent.MoveToFront(e)
		return e.Value.(*refused)
	}
	if r.recent.Len() >= maxSources {
		delete(r.known, r.recent.Remove(r.recent.Back()).(*refused).source)
	}
	f := &refused{
		source:   source,
		attempts: rate.NewLimiter(rate.Every(signInEvery), signInBurst),
		lines:    rate.NewLimiter(rate.Every(sourceLogEvery), 1),
	}
	r.known[source] = r.recent.PushFront(f)
	return f
}

// sourceOf returns what counts as one source: an IPv4 address, or the 64 bits of
// an IPv6 address that name a network, for whoever has one has all of it. What is
// no address counts as one source, too.
func sourceOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	source, _ := ip.Prefix(bits) // bits are within the address
	return source
}

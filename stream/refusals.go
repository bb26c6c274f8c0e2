package stream

import (
	"maps"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/loglimit"
	"tokenring/netaddr"
)

// A Reason says in a word why a connection to the listener of streams was refused. It is
// meant for the label of a metric.
type Reason string

// The reasons.
const (
	Busy         Reason = "busy"      // there are too many at a time, or too many a second from there
	BadHandshake Reason = "handshake" // it isn't TLS 1.3, shows no key, or doesn't finish in time
	UnknownKey   Reason = "key"       // no peer has its key
	BadHello     Reason = "hello"     // it has another name than the peer with its key, or another secret of digests
)

// refusals count and log the connections that were refused. They are safe for concurrent use.
type refusals struct {
	log   zerolog.Logger
	lines loglimit.Limiter // by reason and source

	mu      sync.Mutex
	counted map[Reason]uint64
}

func newRefusals(log zerolog.Logger) *refusals {
	return &refusals{log: log, counted: map[Reason]uint64{Busy: 0, BadHandshake: 0, UnknownKey: 0, BadHello: 0}}
}

// add counts a connection that was refused.
func (r *refusals) add(reason Reason, from net.Addr, err error) {
	r.mu.Lock()
	r.counted[reason]++
	r.mu.Unlock()
	source := netaddr.SourceOf(from.String()).String()
	if f, log := r.lines.Add(string(reason)+" "+source, time.Now()); log {
		f.On(r.log.Warn()).Str("from", source).Str("reason", string(reason)).Err(err).Msg("a stream is refused")
	}
}

func (r *refusals) counts() map[Reason]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counted)
}

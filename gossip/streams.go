package gossip

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"tokenring/netaddr"
)

// The bounds of the streams that others open. All that are open take fewer files than a
// balancer keeps for itself.
const (
	maxStreams       = 48          // of members, and as many of others, at a time
	maxSourceStreams = 16          // of one source at a time
	sourceRate       = 4 << 20     // bytes per second of one source
	largeMessages    = 2           // messages of the greatest size that there is memory for at a time
	maxSources       = 1024        // that are remembered, beside those with streams
	firstBuffer      = 16 << 10    // for a message; it grows as bytes come
	idleSource       = time.Minute // after which a source is forgotten
)

// What is wrong with streams, or with their source.
var (
	errSource = fmt.Errorf("it has %d streams at a time already", maxSourceStreams)
	errAll    = fmt.Errorf("there are %d streams of members, or of others, at a time already", maxStreams)
	errRate   = fmt.Errorf("it sends more than %d bytes a second", sourceRate)
)

// A streamLimiter bounds what streams of others cost: how many there are, in total and of
// one source, and how much memory their messages take, from before they come until
// memberlist is done with them. What others take is not at the expense of members.
type streamLimiter struct {
	member  func(netip.Addr) bool
	largest int64 // message, in bytes

	mu      sync.Mutex
	members budget
	others  budget
	sources map[netip.Prefix]*source
}

// A budget is what streams have together. The limiter's mu guards streams.
type budget struct {
	streams int
	memory  *semaphore.Weighted
}

// A source is where streams come from: a machine, as a rule.
type source struct {
	budget
	last time.Time // when a stream began
	rate *rate.Limiter
}

// newStreamLimiter returns a limiter for messages of at most largest bytes. member reports
// whether a member is at an address.
func newStreamLimiter(largest int, member func(netip.Addr) bool) *streamLimiter {
	budgetOf := func(messages int64) budget { return budget{memory: semaphore.NewWeighted(messages * int64(largest))} }
	return &streamLimiter{
		member:  member,
		members: budgetOf(largeMessages),
		others:  budgetOf(largeMessages),
		largest: int64(largest),
		sources: map[netip.Prefix]*source{},
	}
}

// A permit is that of one stream, with what it has taken.
type permit struct {
	limiter *streamLimiter
	source  *source
	budget  *budget
	memory  int64
}

// admit returns a permit for a stream. Errors are errSource and errAll.
func (l *streamLimiter) admit(from netip.Addr, now time.Time) (*permit, error) {
	from = from.Unmap()
	p := &permit{limiter: l, budget: &l.others}
	if l.member(from) {
		p.budget = &l.members
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.source = l.sourceLocked(netaddr.Source(from), now)
	if p.source.streams >= maxSourceStreams {
		return nil, errSource
	}
	if p.budget.streams >= maxStreams {
		return nil, errAll
	}
	p.budget.streams++
	p.source.streams++
	p.source.last = now
	return p, nil
}

func (l *streamLimiter) sourceLocked(at netip.Prefix, now time.Time) *source {
	if s := l.sources[at]; s != nil {
		return s
	}
	netaddr.MakeRoom(l.sources, maxSources,
		func(s *source) bool { return s.streams > 0 },
		func(s *source) bool { return now.Sub(s.last) > idleSource })
	s := &source{budget: budget{memory: semaphore.NewWeighted(l.largest)}, rate: rate.NewLimiter(sourceRate, int(2*l.largest))}
	l.sources[at] = s
	return s
}

// reserve waits until there is memory for a message, or ctx ends. It may be called once.
func (p *permit) reserve(ctx context.Context, size int) error {
	if err := p.source.memory.Acquire(ctx, int64(size)); err != nil {
		return err
	}
	if err := p.budget.memory.Acquire(ctx, int64(size)); err != nil {
		p.source.memory.Release(int64(size))
		return err
	}
	p.memory = int64(size)
	return nil
}

// received waits until n more bytes are within the rate of the source. Its errors are
// errRate and os.ErrDeadlineExceeded.
func (p *permit) received(ctx context.Context, n int) error {
	err := p.source.rate.WaitN(ctx, n)
	deadline, bounded := ctx.Deadline()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, bounded && !time.Now().Before(deadline): // ctx may notice its end late
		return os.ErrDeadlineExceeded
	}
	return errRate
}

// free returns what the stream has taken. It may be called once.
func (p *permit) free() {
	if p.memory > 0 {
		p.source.memory.Release(p.memory)
		p.budget.memory.Release(p.memory)
	}
	p.limiter.mu.Lock()
	defer p.limiter.mu.Unlock()
	p.source.streams--
	p.budget.streams--
}

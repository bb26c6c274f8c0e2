package quota

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/netaddr"
)

// A Status says which limits there are, how many sources and keys are known, and who has met a limit.
type Status struct {
	Source  *SourceConfig // nil if sources have no limits
	Key     *KeyConfig    // nil if keys have none
	Sources int           // that differ from new ones
	Keys    int           // likewise
	Top     []Offender    // the most refusals first
}

// An Offender is a source or a key that has met a limit lately.
type Offender struct {
	Source  netip.Prefix    // not valid for a key
	Key     balancer.Digest // the zero Digest for a source
	Limit   Limit
	Refused uint32    // since it has been without a refusal for ten minutes
	Last    time.Time // when it met one of its limits last
}

const mostOffenders = 50

// Status returns the status at a time. It visits all that is known, so it is for operators' questions only.
// Of nil it is the zero Status.
func (q *Quotas) Status(now time.Time) Status {
	if q == nil {
		return Status{}
	}
	var s Status
	if q.sources != nil {
		s.Source = &q.source
		s.Sources = q.offenders(&s, q.sources, SourceConnections, now)
	}
	if q.keys != nil {
		s.Key = &q.key
		s.Keys = q.offenders(&s, q.keys, KeyRequests, now)
	}
	slices.SortFunc(s.Top, func(a, b Offender) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), b.Last.Compare(a.Last), cmp.Compare(a.Limit, b.Limit))
	})
	s.Top = s.Top[:min(len(s.Top), mostOffenders)]
	return s
}

// offenders adds those of a table, whose first limit is given. It returns how many entries the table has.
func (q *Quotas) offenders(s *Status, t *table, first Limit, now time.Time) (entries int) {
	at := now.Sub(q.began)
	t.each(at, func(e *entry) {
		entries++
		if !e.refusedLately(at) {
			return
		}
		for place, n := range e.refused {
			if n == 0 {
				continue
			}
			one := Offender{Limit: first + Limit(place), Refused: n, Last: q.began.Add(e.last)}
			if t == q.sources {
				one.Source = netaddr.Source(netip.AddrFrom16(e.id).Unmap())
			} else {
				one.Key = balancer.Digest(e.id)
			}
			s.Top = append(s.Top, one)
		}
	})
	return entries
}

// Package quota says how much one source of clients, and all requests with one key, may use: connections,
// requests in a time, and open terminals. What it knows has a bound, however many sources there are.
package quota

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"tokenring/balancer"
	"tokenring/netaddr"
)

// A Limit is one that a client can meet.
type Limit uint8

// The limits.
const (
	None Limit = iota
	SourceConnections
	SourceNewConnections
	SourceRequests
	SourceTerminals
	KeyRequests
	KeyTerminals

	Most // how many limits there are, and None
)

var names = [Most]string{
	SourceConnections: "per_source.connections", SourceNewConnections: "per_source.new_connections",
	SourceRequests: "per_source.requests", SourceTerminals: "per_source.terminals",
	KeyRequests: "per_key.requests", KeyTerminals: "per_key.terminals",
}

var details = [Most]string{
	SourceRequests:  "too many requests come from your address",
	SourceTerminals: "too many terminals are open from your address",
	KeyRequests:     "too many requests come for this session",
	KeyTerminals:    "too many terminals of this session are open",
}

// Detail returns what a client is told that has met a limit of requests or terminals.
func (l Limit) Detail() string { return details[l] }

// String returns the key of a limit below `limits` in lb.yaml.
func (l Limit) String() string { return names[l] }

// Limits returns all limits.
func Limits() []Limit {
	return []Limit{SourceConnections, SourceNewConnections, SourceRequests, SourceTerminals, KeyRequests, KeyTerminals}
}

// place returns the index of a limit among those of its table.
func (l Limit) place() int {
	if l >= KeyRequests {
		return int(l - KeyRequests)
	}
	return int(l - SourceConnections)
}

// A Refusal says which limit was met. The zero Refusal says that none was.
type Refusal struct {
	Limit Limit
	Wait  time.Duration // until it would be let in; 0 if that can't be known
}

// Refused reports whether a limit was met.
func (r Refusal) Refused() bool { return r.Limit != None }

// Seconds returns for how long a client is asked to wait.
func (r Refusal) Seconds() int {
	const unknown = 10
	if r.Wait == 0 {
		return unknown
	}
	return int(math.Ceil(r.Wait.Seconds()))
}

// Quotas are the limits, and what is used of them. A nil *Quotas has no limits. It is safe for concurrent
// use.
type Quotas struct {
	source SourceConfig
	key    KeyConfig
	began  time.Time
	paces
	held    held
	sources *table // nil if sources have no limits
	keys    *table // nil if keys have none
}

// paces are the paces of the rates.
type paces struct{ connections, requests, keyRequests pace }

// New returns the quotas of two configurations, of which each may be nil. It returns nil if both are. An
// error says which rate can't be used.
func New(source *SourceConfig, key *KeyConfig) (*Quotas, error) {
	if source == nil && key == nil {
		return nil, nil
	}
	q := &Quotas{began: time.Now()}
	if source != nil {
		q.source, q.sources = *source, newTable()
	}
	if key != nil {
		q.key, q.keys = *key, newTable()
	}
	for _, of := range []struct {
		limit Limit
		text  string
		burst time.Duration
		pace  *pace
	}{
		{SourceNewConnections, q.source.NewConnections, q.source.Burst, &q.connections},
		{SourceRequests, q.source.Requests, q.source.Burst, &q.requests},
		{KeyRequests, q.key.Requests, q.key.Burst, &q.keyRequests},
	} {
		rate, err := ParseRate(of.text)
		if err != nil {
			return nil, fmt.Errorf("limits.%s: %w", of.limit, err)
		}
		*of.pace = rate.pace(of.burst)
	}
	return q, nil
}

// idOf returns the id of the source of an address.
func idOf(from netip.Addr) id { return netaddr.Source(from.Unmap().WithZone("")).Addr().As16() }

// Connect counts a new connection of an owner until Closed, unless it is refused. The zero Addr is a client
// without limits.
func (q *Quotas) Connect(o Owner, from netip.Addr, now time.Time) Refusal {
	if q == nil || q.sources == nil || !from.IsValid() {
		return Refusal{}
	}
	s, r := q.connect(idOf(from), now.Sub(q.began))
	q.held.add(o, slots{connection: s})
	return r
}

func (q *Quotas) connect(of id, now time.Duration) (slot, Refusal) {
	s := q.sources.lock(of)
	defer s.mu.Unlock()
	e := s.entryLocked(of, now)
	if most := q.source.Connections; most > 0 && int(e.open[openConnections]) >= most {
		return slot{}, e.refusal(Refusal{Limit: SourceConnections}, now)
	}
	if wait := q.connections.take(&e.due[dueConnection], now); wait > 0 {
		return slot{}, e.refusal(Refusal{SourceNewConnections, wait}, now)
	}
	return e.openLocked(q.sources, openConnections), Refusal{}
}

// Passed counts a connection that another process of the balancer has let in, whatever the limits are.
func (q *Quotas) Passed(o Owner, from netip.Addr, now time.Time) {
	if q == nil || q.sources == nil || !from.IsValid() {
		return
	}
	of := idOf(from)
	s := q.sources.lock(of)
	one := s.entryLocked(of, now.Sub(q.began)).openLocked(q.sources, openConnections)
	s.mu.Unlock()
	q.held.add(o, slots{connection: one})
}

// refusal notes a refusal, and returns it.
func (e *entry) refusal(r Refusal, now time.Duration) Refusal {
	e.refuse(r.Limit, now)
	return r
}

// Request counts a request of a source, the zero Addr for a client without limits, and of a key, the zero
// Digest for none.
func (q *Quotas) Request(from netip.Addr, key balancer.Digest, now time.Time) Refusal {
	if q == nil {
		return Refusal{}
	}
	at := now.Sub(q.began)
	if q.requests != (pace{}) && from.IsValid() {
		if r := q.sources.request(idOf(from), q.requests, SourceRequests, at); r.Refused() {
			return r
		}
	}
	if q.keyRequests != (pace{}) && key != (balancer.Digest{}) {
		return q.keys.request(id(key), q.keyRequests, KeyRequests, at)
	}
	return Refusal{}
}

func (t *table) request(of id, p pace, l Limit, now time.Duration) Refusal {
	s := t.lock(of)
	defer s.mu.Unlock()
	e := s.entryLocked(of, now)
	if wait := p.take(&e.due[dueRequest], now); wait > 0 {
		return e.refusal(Refusal{l, wait}, now)
	}
	return Refusal{}
}

// Open counts a terminal that is about to open until Ended or Closed, unless it is refused. open is how
// many the key has, those in older processes included; for the rest, see Request.
func (q *Quotas) Open(o Owner, from netip.Addr, key balancer.Digest, open int, now time.Time) Refusal {
	if q == nil {
		return Refusal{}
	}
	at := now.Sub(q.began)
	var own slots
	var r Refusal
	if most := q.source.Terminals; most > 0 && from.IsValid() {
		if own.bySource, r = q.sources.open(idOf(from), most, SourceTerminals, at); r.Refused() {
			return r
		}
	}
	if most := q.key.Terminals; most > 0 && key != (balancer.Digest{}) {
		if open >= most {
			most = 0
		}
		if own.byKey, r = q.keys.open(id(key), most, KeyTerminals, at); r.Refused() {
			own.giveBack()
			return r
		}
	}
	q.held.add(o, own)
	return Refusal{}
}

func (t *table) open(of id, most int, l Limit, now time.Duration) (slot, Refusal) {
	s := t.lock(of)
	defer s.mu.Unlock()
	e := s.entryLocked(of, now)
	if int(e.open[openTerminals]) >= most {
		return slot{}, e.refusal(Refusal{Limit: l}, now)
	}
	return e.openLocked(t, openTerminals), Refusal{}
}

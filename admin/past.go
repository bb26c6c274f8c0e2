package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/ringlog"
	"tokenring/route"
)

// A momentBody says which ring was in force at a moment of the past.
type momentBody struct {
	At      time.Time   `json:"at"`
	Number  uint64      `json:"number" doc:"Of the ring in the history; numbers grow over restarts, whatever the clock says"`
	RingAt  time.Time   `json:"ring_at" doc:"When the ring came into force"`
	Until   *time.Time  `json:"until,omitempty" doc:"When the next ring came into force; missing: none has"`
	Cause   string      `json:"cause" doc:"Why the ring came"`
	Moved   *float64    `json:"moved,omitempty" doc:"The share of all tokens, 0 to 1, that it has moved; missing: not known, because no ring before it is"`
	Change  *changeBody `json:"change,omitempty" doc:"The last change of what its hosts could do before that moment; missing: there was none"`
	Unknown []string    `json:"unknown" doc:"What isn't known of that moment, a sentence each"`
}

// A pastBody is a moment with all hosts that were known.
type pastBody struct {
	momentBody
	Hosts []pastHostBody `json:"hosts"`
}

type pastHostBody struct {
	Host      string     `json:"host"`
	Weight    int        `json:"weight"`
	State     string     `json:"state"`
	Verdict   string     `json:"verdict"`
	InRing    bool       `json:"in_ring"`
	WhyNot    string     `json:"why_not,omitempty" doc:"Why it wasn't in the ring, or why its checks failed"`
	SlowStart *time.Time `json:"slow_start_until,omitempty" doc:"When it had all its tokens, if it was in slow start"`
}

// A changeBody is a change of what hosts could do, which left the ring as it was.
type changeBody struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	Cause  string    `json:"cause"`
}

// A historyBody has the rings, the newest first.
type historyBody struct {
	Pool  string        `json:"pool,omitempty" doc:"The pool whose rings they are; missing for the main one"`
	Rings []oldRingBody `json:"rings"`
}

type oldRingBody struct {
	Number  uint64       `json:"number" doc:"Grows over restarts, whatever the clock says"`
	At      time.Time    `json:"at" doc:"When it came into force"`
	Until   *time.Time   `json:"until,omitempty" doc:"When the next one did; missing: it is in force"`
	Digest  string       `json:"ring_digest"`
	Cause   string       `json:"cause"`
	Hosts   int          `json:"hosts" doc:"How many hosts it had; GET /v1/ring?at=… names them"`
	Joined  []string     `json:"joined,omitempty" doc:"The hosts that the ring before didn't have, or had with another weight or id"`
	Left    []string     `json:"left,omitempty" doc:"The hosts of the ring before that it doesn't have"`
	Moved   *float64     `json:"moved,omitempty" doc:"The share of all tokens, 0 to 1, that it has moved; missing: not known, because no ring before it is"`
	Changes []changeBody `json:"changes" doc:"What happened to hosts while it was in force: tokens go to other hosts then, too"`
}

type historyOutput struct{ Body historyBody }

type historyInput struct {
	Pool string `query:"pool" maxLength:"40" doc:"The rings of this pool; missing for the main one"`
}

func (s *Server) getRingHistory(_ context.Context, in *historyInput) (*historyOutput, error) {
	p, err := s.poolAsked(in.Pool)
	if err != nil {
		return nil, err
	}
	out := &historyOutput{Body: historyBody{Pool: p.Name, Rings: []oldRingBody{}}}
	for _, r := range p.Region.RingLog().Rings() {
		b := oldRingBody{
			Number: r.Number, At: r.At, Until: when(r.Until), Digest: r.Digest, Cause: r.Cause, Hosts: r.Hosts, Joined: r.Joined, Left: r.Left, Moved: r.Moved,
			Changes: make([]changeBody, 0, len(r.Changes)),
		}
		for _, c := range r.Changes {
			b.Changes = append(b.Changes, changeBody(c))
		}
		out.Body.Rings = append(out.Body.Rings, b)
	}
	return out, nil
}

// pastRings makes the snapshots of earlier moments again. It keeps the last one, because
// operators ask for many tokens. The zero value is ready for use. Safe for concurrent use.
type pastRings struct {
	mu   sync.Mutex
	log  *ringlog.Log // that view is of
	view *ringlog.View
	snap *route.Snapshot
}

// at returns the ring of a pool as it was at a moment. seed is that of the pool's hash. With 1,000 hosts that takes a tenth of a second,
// with maglev some seconds; other callers wait for it.
func (p *pastRings) at(log *ringlog.Log, seed string, at time.Time) (*ringlog.View, *route.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log == log && p.view.At.Equal(at) {
		return p.view, p.snap, nil
	}
	view, err := log.View(at)
	if err != nil {
		return nil, nil, err
	}
	snap, err := view.Snapshot(seed)
	if err != nil {
		return nil, nil, err
	}
	p.log, p.view, p.snap = log, view, snap
	return view, snap, nil
}

// past returns the ring of a pool as it was at a time that an operator has written. Its errors
// are those of the API.
func (s *Server) past(p Pool, text string) (*ringlog.View, *route.Snapshot, error) {
	at, err := ringlog.ParseTime(text, time.Now())
	if err != nil {
		return nil, nil, huma.Error422UnprocessableEntity(err.Error())
	}
	view, snap, err := s.pastRings.at(p.Region.RingLog(), p.Hash.Seed, at)
	switch {
	case errors.Is(err, ringlog.ErrNotRebuilt):
		return nil, nil, huma.Error409Conflict(err.Error())
	case err != nil:
		return nil, nil, huma.Error404NotFound(err.Error())
	}
	return view, snap, nil
}

// pastRing returns the ring of a moment.
func pastRing(v *ringlog.View, snap *route.Snapshot) ringBody {
	b := ringBodyOf(snap, v.Hash)
	b.Past = &pastBody{momentBody: momentOf(v), Hosts: make([]pastHostBody, 0, len(v.Hosts))}
	for _, h := range v.Hosts {
		b.Past.Hosts = append(b.Past.Hosts, pastHostOf(h, v.At))
	}
	return b
}

func pastHostOf(h ringlog.Host, at time.Time) pastHostBody {
	b := pastHostBody{Host: h.Name, Weight: h.Weight, State: string(h.State), Verdict: h.Check.String(), InRing: h.InRing, WhyNot: h.WhyNot}
	if h.InRing {
		b.WhyNot = h.Error
	}
	if slow := route.NewSlowStart(h.Since, h.Lasts); h.InRing && !slow.Over(at) {
		b.SlowStart = when(slow.End())
	}
	return b
}

func momentOf(v *ringlog.View) momentBody {
	b := momentBody{At: v.At, Number: v.Ring.Number, RingAt: v.Ring.At, Until: when(v.Ring.Until), Cause: v.Ring.Cause, Moved: v.Ring.Moved, Unknown: append([]string{}, v.Notes...)}
	if v.Change.Number > 0 {
		b.Change = new(changeBody(v.Change))
	}
	return b
}

// explainPast says where a new request with a key of a pool went at a time that an operator has
// written. digest is the key's.
func (s *Server) explainPast(p Pool, text string, key []byte, digest balancer.Digest) (*explainOutput, error) {
	v, snap, err := s.past(p, text)
	if err != nil {
		return nil, err
	}
	b := explainKey(snap, key, sessionBody{}, nil, route.Placement{})
	b.TokenDigest, b.Pool, b.Past = digest.String(), p.Name, new(momentOf(v))
	b.Past.Unknown = append(b.Past.Unknown, ringlog.NoSessions)
	if v.Hash.BoundedLoad > 0 {
		b.Past.Unknown = append(b.Past.Unknown, ringlog.NoLoads)
	}
	if p.Cookie != "" {
		b.Past.Unknown = append(b.Past.Unknown, fmt.Sprintf("A client whose cookie %s named another host went there instead, if that one could serve.", p.Cookie))
	}
	return &explainOutput{Body: b}, nil
}

package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/pool"
)

// maxRoutes is how many routes an answer lists. There are as many as pairs of
// hosts when nearly all keys move.
const maxRoutes = 1000

type whatifInput struct {
	Body struct {
		Leave   []string       `json:"leave,omitempty" maxItems:"4096" doc:"Hosts that would leave the ring"`
		Join    []joinBody     `json:"join,omitempty" maxItems:"256" doc:"Hosts that would join it, known or not"`
		Weights map[string]int `json:"weights,omitempty" doc:"Other weights for hosts in the ring, 0 to 256, by name; 0 takes a host's keys away"`
		Policy  string         `json:"policy,omitempty" enum:"consistent,rendezvous,maglev,ketama,haproxy" doc:"Another policy, with its parameters from lb.yaml; default: the one in force"`
	}
}

type joinBody struct {
	Name   string  `json:"name"`
	Weight *int    `json:"weight,omitempty" minimum:"1" maximum:"256" doc:"Default: what a known host has, its own if operators gave it 0; else 1"`
	ID     *uint32 `json:"id,omitempty" doc:"The number by which the policy haproxy places it; default: what a known host has"`
}

// A whatifBody says what a change of the ring would do.
type whatifBody struct {
	Method            string      `json:"method" enum:"exact,independent" doc:"exact: the two rings were compared piece by piece. independent: they place tokens by different hashes, so that where one was says nothing about where it goes"`
	Moved             float64     `json:"moved" doc:"The share of all tokens that would have another host, 0 to 1"`
	Ideal             float64     `json:"ideal" doc:"The share that must, for the hosts to have their fair shares"`
	Astray            float64     `json:"astray" doc:"The part of moved between hosts whose weights stay as they are"`
	Sessions          int         `json:"sessions" doc:"Terminals open through this balancer"`
	SessionsMoved     int         `json:"sessions_moved" doc:"Those that would come to another host when they reconnect than they would without the change. A change of the ring itself cuts none"`
	SessionsAstray    int         `json:"sessions_astray" doc:"Those that aren't on their token's host at present, whatever changes: on one in drain, or since before a host joined. They find theirs when they reconnect"`
	SessionsExact     bool        `json:"sessions_exact" doc:"Whether the terminals were counted; else the numbers are those to be expected, rounded"`
	Routes            []routeBody `json:"routes" doc:"From where to where, the largest first"`
	RoutesLeftOut     int         `json:"routes_left_out" doc:"How many small ones aren't listed"`
	Before            tableBody   `json:"before"`
	After             tableBody   `json:"after"`
	ConfirmShare      float64     `json:"confirm_share" doc:"admin.confirm_share of lb.yaml"`
	NeedsConfirmation bool        `json:"needs_confirmation" doc:"Whether it would move more than that"`
}

type routeBody struct {
	From     string  `json:"from" doc:"Empty where there are no hosts"`
	To       string  `json:"to" doc:"Empty where there are no hosts"`
	Share    float64 `json:"share" doc:"Of all tokens; 0 if only terminals go this way whose tokens had been sent where there was room"`
	Sessions int     `json:"sessions"`
}

type tableBody struct {
	Digest string          `json:"digest"`
	Policy string          `json:"policy"`
	Slots  int             `json:"slots"`
	Hosts  []tableHostBody `json:"hosts"`
}

type tableHostBody struct {
	Host     string  `json:"host"`
	Weight   int     `json:"weight"`
	Share    float64 `json:"share"`
	Sessions int     `json:"sessions" doc:"Terminals: before, those that are open there; after, those that would be if all reconnected"`
}

type whatifOutput struct{ Body whatifBody }

func (s *Server) whatif(ctx context.Context, in *whatifInput) (*whatifOutput, error) {
	takeTime(ctx)
	snap := s.deps.Region.Snapshot()
	change, err := in.change(snap)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	done, err := s.planner.ask(ctx)
	if err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	defer done()
	p, err := s.plan(snap, change, in.Body.Policy)
	if err != nil {
		return nil, err
	}
	return &whatifOutput{Body: s.whatifOf(p)}, nil
}

// change returns what is asked about, as a change of the hosts that snap has in
// the ring.
func (in *whatifInput) change(snap *pool.Snapshot) (balancer.Change, error) {
	b := &in.Body
	c := balancer.Change{Leave: b.Leave, Weights: b.Weights}
	if len(b.Leave)+len(b.Join)+len(b.Weights) == 0 && b.Policy == "" {
		return c, errors.New("nothing would change: name hosts in leave, join or weights, or a policy")
	}
	if err := in.checkNames(snap); err != nil {
		return c, err
	}
	for _, j := range b.Join {
		host, err := j.host(snap)
		if err != nil {
			return c, err
		}
		c.Join = append(c.Join, host)
	}
	return c, nil
}

// checkNames wants each host once, and in the ring if it is to leave or to get
// another weight.
func (in *whatifInput) checkNames(snap *pool.Snapshot) error {
	names := slices.Clone(in.Body.Leave)
	for name := range in.Body.Weights {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch h := snap.Host(name); {
		case h == nil:
			return fmt.Errorf("no host is called %q; GET /v1/hosts lists them", name)
		case !h.InRing:
			return fmt.Errorf("host %q isn't in the ring now (%s), so that it can't leave it or weigh more or less there; name it in join to ask what it would do", name, h.WhyNot)
		}
	}
	for _, j := range in.Body.Join {
		names = append(names, j.Name)
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return fmt.Errorf("host %q is there twice; name it once, in leave, join or weights", names[i])
		}
	}
	return nil
}

// host returns the host that would join. What isn't said of a known one is as it
// is known.
func (j joinBody) host(snap *pool.Snapshot) (balancer.Host, error) {
	if err := pool.CheckName(j.Name); err != nil {
		return balancer.Host{}, fmt.Errorf("join: %w", err)
	}
	host := balancer.Host{Name: j.Name, Weight: 1}
	if h := snap.Host(j.Name); h != nil {
		if h.InRing {
			return host, fmt.Errorf("host %q can't join: it is in the ring already; weights can give it another weight", j.Name)
		}
		host.ID, host.Weight = h.ID, cmp.Or(h.Weight, h.Announced) // one of weight 0 doesn't join
	}
	if j.Weight != nil {
		host.Weight = *j.Weight
	}
	if j.ID != nil {
		host.ID = *j.ID
	}
	return host, nil
}

func (s *Server) whatifOf(p plan) whatifBody {
	b := whatifBody{
		Method:            string(p.Method),
		Moved:             p.Moved,
		Ideal:             p.Ideal,
		Astray:            p.Astray,
		Sessions:          p.shift.open,
		SessionsMoved:     whole(p.shift.moved),
		SessionsAstray:    p.shift.astray,
		SessionsExact:     p.shift.exact,
		Before:            tableOf(p.before, p.shift.before),
		After:             tableOf(p.after, p.shift.after),
		ConfirmShare:      s.deps.ConfirmShare,
		NeedsConfirmation: p.beyond(s.deps.ConfirmShare),
	}
	b.Routes, b.RoutesLeftOut = p.routes()
	return b
}

// routes lists the routes of keys, then those of terminals alone, but no more than
// maxRoutes, and says how many it leaves out.
func (p plan) routes() (list []routeBody, leftOut int) {
	list = []routeBody{} // rather than null in JSON
	for _, r := range p.Routes[:min(len(p.Routes), maxRoutes)] {
		list = append(list, routeBody{From: r.From, To: r.To, Share: r.Share, Sessions: whole(p.shift.on(way{r.From, r.To}))})
	}
	rest := p.shift.rest(p.Routes)
	for _, w := range rest[:min(len(rest), maxRoutes-len(list))] {
		list = append(list, routeBody{From: w.from, To: w.to, Sessions: whole(p.shift.on(w))})
	}
	return list, len(p.Routes) + len(rest) - len(list)
}

func tableOf(t *balancer.Table, sessions map[string]float64) tableBody {
	b := tableBody{Digest: t.Digest(), Policy: t.Policy(), Slots: t.Slots(), Hosts: make([]tableHostBody, 0, len(t.Hosts()))}
	shares := t.Shares()
	for i, h := range t.Hosts() {
		b.Hosts = append(b.Hosts, tableHostBody{Host: h.Name, Weight: h.Weight, Share: shares[i], Sessions: whole(sessions[h.Name])})
	}
	return b
}

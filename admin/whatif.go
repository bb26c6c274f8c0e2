package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/route"
)

// maxRoutes is how many routes an answer lists. When nearly all keys move, there are as
// many routes as pairs of hosts.
const maxRoutes = 1000

type whatifInput struct {
	Body struct {
		Pool    string         `json:"pool,omitempty" maxLength:"40" doc:"The pool whose ring it is about; missing for the main one"`
		Leave   []string       `json:"leave,omitempty" maxItems:"4096" doc:"Hosts that would leave the ring"`
		Join    []joinBody     `json:"join,omitempty" maxItems:"256" doc:"Hosts that would join it, known or new"`
		Weights map[string]int `json:"weights,omitempty" doc:"Other weights for hosts in the ring, 0 to 256, by name; with 0 a host has no keys"`
		Policy  string         `json:"policy,omitempty" enum:"consistent,rendezvous,maglev,ketama,haproxy" doc:"Another policy, with its parameters from lb.yaml; default: the policy in force"`
	}
}

type joinBody struct {
	Name   string  `json:"name"`
	Weight *int    `json:"weight,omitempty" minimum:"1" maximum:"256" doc:"Default: the weight of the known host, or its own weight if operators gave it 0; 1 for a new host"`
	ID     *uint32 `json:"id,omitempty" doc:"The number by which the policy haproxy places it; default: that of the known host"`
}

// A whatifBody says what a change of the ring would move.
type whatifBody struct {
	Pool              string      `json:"pool,omitempty" doc:"The pool whose ring it is; missing for the main one"`
	Method            string      `json:"method" enum:"exact,independent" doc:"exact: the two rings were compared slot by slot. independent: they place tokens by different hashes, so that a token's host in one ring says nothing about its host in the other"`
	Moved             float64     `json:"moved" doc:"The share of all tokens that would have another host, 0 to 1"`
	Ideal             float64     `json:"ideal" doc:"The share of all tokens that must move so that all hosts have their fair shares"`
	Astray            float64     `json:"astray" doc:"The part of moved that moves between hosts whose weights stay as they are"`
	Sessions          int         `json:"sessions" doc:"Terminals open through this balancer"`
	SessionsMoved     int         `json:"sessions_moved" doc:"Terminals that would get another host when they reconnect than without the change. The change itself cuts none"`
	SessionsAstray    int         `json:"sessions_astray" doc:"Terminals that aren't on their token's host now, with or without the change: their host is in drain, or another host has joined since they opened. They get their token's host when they reconnect"`
	SessionsExact     bool        `json:"sessions_exact" doc:"Whether the terminals were counted; else the numbers are expected values, rounded"`
	Routes            []routeBody `json:"routes" doc:"From which host to which, the largest first"`
	RoutesLeftOut     int         `json:"routes_left_out" doc:"How many small routes aren't listed"`
	Before            tableBody   `json:"before"`
	After             tableBody   `json:"after"`
	ConfirmShare      float64     `json:"confirm_share" doc:"admin.confirm_share of lb.yaml"`
	NeedsConfirmation bool        `json:"needs_confirmation" doc:"Whether the change would move more than that"`
}

type routeBody struct {
	From     string  `json:"from" doc:"Empty where there are no hosts"`
	To       string  `json:"to" doc:"Empty where there are no hosts"`
	Share    float64 `json:"share" doc:"Of all tokens; 0 if only terminals move here, whose tokens were placed elsewhere because a host was full"`
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
	Sessions int     `json:"sessions" doc:"Terminals: before, those that are open there; after, those that would be there if all reconnected"`
}

type whatifOutput struct{ Body whatifBody }

func (s *Server) whatif(ctx context.Context, in *whatifInput) (*whatifOutput, error) {
	extendDeadline(ctx)
	p, err := s.poolAsked(in.Body.Pool)
	if err != nil {
		return nil, err
	}
	if p.Hash.Keyless() {
		return nil, keylessPool(p)
	}
	snap := p.Region.Snapshot()
	change, err := in.change(snap)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	done, err := s.forecaster.ask(ctx)
	if err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	defer done()
	f, err := s.forecast(p, snap, change, in.Body.Policy)
	if err != nil {
		return nil, err
	}
	b := s.whatifOf(f)
	b.Pool = p.Name
	return &whatifOutput{Body: b}, nil
}

// change returns the change that the question is about. It changes the hosts that snap
// has in the ring.
func (in *whatifInput) change(snap *route.Snapshot) (balancer.Change, error) {
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

// checkNames returns an error if the question has a host twice, or if a host that would
// leave or get another weight isn't in the ring.
func (in *whatifInput) checkNames(snap *route.Snapshot) error {
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
			return fmt.Errorf("host %q isn't in the ring now (%s), so it can't leave or get another weight; to ask what it would move when it joins, name it in join", name, h.WhyNot)
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

// host returns the host that would join. If snap knows the host, fields that j leaves
// out are those of the known host.
func (j joinBody) host(snap *route.Snapshot) (balancer.Host, error) {
	if err := route.CheckHostName(j.Name); err != nil {
		return balancer.Host{}, fmt.Errorf("join: %w", err)
	}
	host := balancer.Host{Name: j.Name, Weight: 1}
	if h := snap.Host(j.Name); h != nil {
		if h.InRing {
			return host, fmt.Errorf("host %q can't join: it is in the ring already; weights can give it another weight", j.Name)
		}
		host.ID, host.Weight = h.ID, cmp.Or(h.Weight, h.Counted) // a host of weight 0 can't join
	}
	if j.Weight != nil {
		host.Weight = *j.Weight
	}
	if j.ID != nil {
		host.ID = *j.ID
	}
	return host, nil
}

func (s *Server) whatifOf(f forecast) whatifBody {
	b := whatifBody{
		Method:            string(f.Method),
		Moved:             f.Moved,
		Ideal:             f.Ideal,
		Astray:            f.Astray,
		Sessions:          f.impact.open,
		SessionsMoved:     whole(f.impact.moved),
		SessionsAstray:    f.impact.astray,
		SessionsExact:     f.impact.exact,
		Before:            tableOf(f.before, f.impact.before),
		After:             tableOf(f.after, f.impact.after),
		ConfirmShare:      s.deps.ConfirmShare,
		NeedsConfirmation: f.beyond(s.deps.ConfirmShare),
	}
	b.Routes, b.RoutesLeftOut = f.routes()
	return b
}

// routes lists the routes of keys, then those of terminals alone. It lists at most
// maxRoutes, and returns how many it leaves out.
func (f forecast) routes() (list []routeBody, leftOut int) {
	list = []routeBody{} // rather than null in JSON
	for _, r := range f.Routes[:min(len(f.Routes), maxRoutes)] {
		list = append(list, routeBody{From: r.From, To: r.To, Share: r.Share, Sessions: whole(f.impact.terminals(move{r.From, r.To}))})
	}
	rest := f.impact.rest(f.Routes)
	for _, w := range rest[:min(len(rest), maxRoutes-len(list))] {
		list = append(list, routeBody{From: w.from, To: w.to, Sessions: whole(f.impact.terminals(w))})
	}
	return list, len(f.Routes) + len(rest) - len(list)
}

func tableOf(t *balancer.Table, sessions map[string]float64) tableBody {
	b := tableBody{Digest: t.Digest(), Policy: t.Policy(), Slots: t.Slots(), Hosts: make([]tableHostBody, 0, len(t.Hosts()))}
	shares := t.Shares()
	for i, h := range t.Hosts() {
		b.Hosts = append(b.Hosts, tableHostBody{Host: h.Name, Weight: h.Weight, Share: shares[i], Sessions: whole(sessions[h.Name])})
	}
	return b
}

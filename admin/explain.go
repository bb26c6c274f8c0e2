package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/route"
)

type explainInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"16384" doc:"The token as it is in the URL, with its percent-encoding; UTF-8. lb hashes it and doesn't keep it"`
		Pool  string `json:"pool,omitempty" maxLength:"40" doc:"The pool that would serve the request; missing for the main one"`
		At    string `json:"at,omitempty" maxLength:"40" doc:"A moment of the past, as for GET /v1/ring: where a request with the token, and without a session, would have gone then"`
	}
}

// An explainBody says which host a token goes to. It has the token's digest, not the
// token.
type explainBody struct {
	Pool        string          `json:"pool,omitempty" doc:"The pool whose hosts these are; missing for the main one"`
	TokenDigest string          `json:"token_digest" doc:"The token's digest in logs"`
	RingDigest  string          `json:"ring_digest"`
	Policy      string          `json:"policy"`
	Slot        int             `json:"slot" doc:"The slot of the ring that the token is in; -1 if the ring is empty"`
	Slots       int             `json:"slots"`
	SlotShare   float64         `json:"slot_share" doc:"The share of all tokens that is in the slot, 0 to 1"`
	Point       *uint32         `json:"point,omitempty" doc:"With the policies ketama and haproxy: the position, on the ring of 2^32, of the owner's point that the token belongs to"`
	Owner       string          `json:"owner,omitempty" doc:"The host that owns the slot"`
	WouldOwn    string          `json:"would_own,omitempty" doc:"The host outside the ring that would own the token if it were in it: one in drain, for example"`
	Host        string          `json:"host,omitempty" doc:"The host that a request would go to now; missing if no host can serve it"`
	Rule        string          `json:"rule" enum:"owner,fallback,slow-start,session,session-at-peer,lingering,second-chance,overflow,placed,frozen,moving,none"`
	Reason      string          `json:"reason" doc:"The rule in plain words"`
	Session     *sessionBody    `json:"session,omitempty" doc:"The token's live session through this balancer"`
	Stays       []stayBody      `json:"stays,omitempty" doc:"Which hosts the token has used through other balancers, or lately: the first one counts if it has no live session here"`
	Candidates  []candidateBody `json:"candidates" doc:"The hosts in the order in which they would be tried, then the hosts outside the ring"`
	Past        *momentBody     `json:"past,omitempty" doc:"With at: of which moment the answer is, and what it doesn't know"`

	stays bool // see route.Explanation.Stays
}

type sessionBody struct {
	Host    string `json:"host"`
	Tunnels int    `json:"tunnels" doc:"Terminals open"`
}

type stayBody struct {
	Host     string    `json:"host"`
	Rule     string    `json:"rule" enum:"session-at-peer,lingering"`
	Balancer string    `json:"balancer,omitempty" doc:"The other balancer that has the session, or has told of the last use; missing if it was a use of this one"`
	Since    time.Time `json:"since" doc:"Since when the session is known, or when the token was used last"`
}

type candidateBody struct {
	Host    string `json:"host"`
	Role    string `json:"role" enum:"owner,successor,fallback,outside" doc:"The successor is the host that gets the slot when its owner is gone"`
	State   string `json:"state"`
	Verdict string `json:"verdict"`
	Chosen  bool   `json:"chosen"`
	WhyNot  string `json:"why_not,omitempty" doc:"Why the token doesn't go to it"`
}

type explainOutput struct{ Body explainBody }

func (s *Server) explain(_ context.Context, in *explainInput) (*explainOutput, error) {
	if strings.ContainsRune(in.Body.Token, utf8.RuneError) { // JSON has it in place of other bytes
		return nil, huma.Error422UnprocessableEntity("the token isn't UTF-8, and JSON can't carry it: another token has arrived")
	}
	p, err := s.poolAsked(in.Body.Pool)
	if err != nil {
		return nil, err
	}
	key := []byte(in.Body.Token)
	digest := p.Digester.Digest(key)
	switch {
	case p.Hash.Keyless():
		return nil, keylessPool(p)
	case in.Body.At != "":
		return s.explainPast(p, in.Body.At, key, digest)
	}
	host, tunnels := s.deps.Sessions(digest)
	snap := p.Region.Snapshot()
	b := explainKey(snap, key, sessionBody{Host: host, Tunnels: tunnels}, s.deps.Stays(digest), s.deps.Placement(digest))
	b.TokenDigest, b.Pool = digest.String(), p.Name
	if h := s.full[p.Name].ownerOutsideRing(snap, key); h != nil {
		b.WouldOwn = h.Name
		b.Reason += fmt.Sprintf(" %s would own the token, but isn't in the ring: %s.", h.Name, h.WhyNot)
	}
	if p.Cookie != "" && !b.stays && b.Rule != string(route.RuleSecondChance) {
		b.Reason += fmt.Sprintf(" A client whose cookie %s names another host goes there instead, if that one can serve.", p.Cookie)
	}
	return &explainOutput{Body: b}, nil
}

// keylessPool refuses a question about the tokens of a pool whose requests have none.
func keylessPool(p Pool) error {
	return huma.Error422UnprocessableEntity(fmt.Sprintf("the hosts of the pool %s serve by the policy %s: a token has no host there", p.Name, p.Hash.Policy))
}

// explainKey returns the explanation of snap for key. live is the key's live session here,
// elsewhere are its others and its last uses, and before is its earlier placement.
func explainKey(snap *route.Snapshot, key []byte, live sessionBody, elsewhere []route.Stay, before route.Placement) explainBody {
	var stay route.Stay
	switch {
	case live.Tunnels > 0:
		stay = route.Stay{Host: live.Host, Rule: route.RuleSession}
	case len(elsewhere) > 0:
		stay = elsewhere[0]
	}
	e := snap.Explain(snap.Key(key), stay, before, time.Now())
	b := explainBody{
		RingDigest: snap.Table.Digest(),
		Policy:     snap.Table.Policy(),
		Slot:       e.Slot,
		Slots:      e.Slots,
		SlotShare:  e.Share,
		Point:      e.Point,
		Owner:      e.Owner,
		Rule:       string(e.Rule),
		Reason:     e.Reason,
		stays:      e.Stays,
		Candidates: make([]candidateBody, 0, len(e.Candidates)), // [] rather than null in JSON
	}
	if e.Host != nil {
		b.Host = e.Host.Name
	}
	if live.Tunnels > 0 {
		b.Session = &live
	}
	for _, at := range elsewhere {
		b.Stays = append(b.Stays, stayBody{Host: at.Host, Rule: string(at.Rule), Balancer: at.Peer, Since: at.Since.UTC()})
	}
	for _, c := range e.Candidates {
		b.Candidates = append(b.Candidates, candidateOf(c))
	}
	return b
}

func candidateOf(c route.Candidate) candidateBody {
	b := candidateBody{Host: c.Name, Role: string(c.Role), Chosen: c.Chosen, WhyNot: c.WhyNot}
	if c.Host != nil {
		b.State, b.Verdict = string(c.Host.State), c.Host.Verdict.String()
	}
	return b
}

// A fullTable is the table with all known hosts in the ring, also those that drain or
// fail their checks. It gives the host that would own a token if it were in the ring.
// A value with hash set is ready for use. Safe for concurrent use.
type fullTable struct {
	hash balancer.Config

	mu    sync.Mutex
	hosts []balancer.Host // of table
	table *balancer.Table // the last one; nil if the policy has no room for hosts
}

// fullTables returns one for each pool, by its name.
func (d *Deps) fullTables() map[string]*fullTable {
	all := map[string]*fullTable{"": {hash: d.Hash}}
	for name, p := range d.Pools {
		all[name] = &fullTable{hash: p.Hash}
	}
	return all
}

// ownerOutsideRing returns the host outside the ring of snap that would own key if it
// were in the ring. It is nil if there is no such host, or if the policy has no room
// for all hosts.
func (f *fullTable) ownerOutsideRing(snap *route.Snapshot, key []byte) *route.Host {
	table := f.of(snap)
	if table == nil {
		return nil
	}
	owner := table.Owner(key)
	if owner < 0 {
		return nil
	}
	if h := snap.Host(table.Hosts()[owner].Name); h != nil && !h.InRing {
		return h
	}
	return nil
}

// of returns the table of all hosts of snap. It is nil if all hosts are in the ring, or
// if the policy has no room for them. With 1,000 hosts a new table takes a tenth of a
// second, with maglev some seconds; other callers wait for it.
func (f *fullTable) of(snap *route.Snapshot) *balancer.Table {
	hosts := make([]balancer.Host, 0, len(snap.Hosts))
	outside := false
	for _, h := range snap.Hosts {
		host := h.TableHost()
		host.Weight = cmp.Or(h.Weight, h.Counted)
		hosts = append(hosts, host)
		outside = outside || !h.InRing
	}
	if !outside {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(hosts, f.hosts) {
		return f.table
	}
	f.hosts, f.table = hosts, nil
	if forecaster, err := balancer.NewForecaster(f.hash); err == nil { // as for the ring itself
		f.table, _ = forecaster.Build(hosts) // nil if there is no room for them
	}
	return f.table
}

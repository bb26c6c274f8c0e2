package admin

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/pool"
)

type explainInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"16384" doc:"As it stands in the URL, percent-encoding included; UTF-8. It is hashed and forgotten"`
	}
}

// An explainBody says where a token goes. It names the token by its digest only.
type explainBody struct {
	TokenDigest string          `json:"token_digest" doc:"The name that logs have for the token"`
	RingDigest  string          `json:"ring_digest"`
	Policy      string          `json:"policy"`
	Slot        int             `json:"slot" doc:"The piece of the ring that the token falls into; -1 if the ring is empty"`
	Slots       int             `json:"slots"`
	SlotShare   float64         `json:"slot_share" doc:"The part of all tokens that falls into the slot, 0 to 1"`
	Point       *uint32         `json:"point,omitempty" doc:"With the policies ketama and haproxy: where on the ring of 2^32 the owner's point is to which the token belongs"`
	Owner       string          `json:"owner,omitempty" doc:"The host that owns the slot"`
	WouldOwn    string          `json:"would_own,omitempty" doc:"The host outside the ring that would own the token if it were in it: one in drain, for example"`
	Host        string          `json:"host,omitempty" doc:"The host that a request would go to now; missing if none can serve"`
	Rule        string          `json:"rule" enum:"owner,fallback,warming,session,overflow,placed,frozen,moving,none"`
	Reason      string          `json:"reason" doc:"The rule in plain words"`
	Session     *sessionBody    `json:"session,omitempty" doc:"The token's live session through this balancer"`
	Candidates  []candidateBody `json:"candidates" doc:"The hosts in the order in which they would be tried, then those outside the ring"`
}

type sessionBody struct {
	Host    string `json:"host"`
	Tunnels int    `json:"tunnels" doc:"Terminals open"`
}

type candidateBody struct {
	Host    string `json:"host"`
	Role    string `json:"role" enum:"owner,heir,fallback,outside" doc:"The heir is who takes over the slot when its owner is gone"`
	State   string `json:"state"`
	Verdict string `json:"verdict"`
	Chosen  bool   `json:"chosen"`
	WhyNot  string `json:"why_not,omitempty" doc:"Why it isn't the one"`
}

type explainOutput struct{ Body explainBody }

func (s *Server) explain(_ context.Context, in *explainInput) (*explainOutput, error) {
	if strings.ContainsRune(in.Body.Token, utf8.RuneError) { // what stands in JSON for other bytes
		return nil, huma.Error422UnprocessableEntity("the token isn't UTF-8, and JSON can't carry it: what has arrived is another one")
	}
	key := []byte(in.Body.Token)
	host, tunnels := s.deps.Sessions(key)
	snap := s.deps.Region.Snapshot()
	b := explainKey(snap, key, sessionBody{Host: host, Tunnels: tunnels}, s.deps.Placement(key))
	b.TokenDigest = s.deps.Digester.Digest(key)
	if h := s.all.outsider(snap, key); h != nil {
		b.WouldOwn = h.Name
		b.Reason += fmt.Sprintf(" %s would own the token, but isn't in the ring: %s.", h.Name, h.WhyNot)
	}
	if s.deps.Cookie != "" && b.Rule != string(pool.RuleSession) {
		b.Reason += fmt.Sprintf(" A client whose cookie %s names another host goes there instead, if that one can serve.", s.deps.Cookie)
	}
	return &explainOutput{Body: b}, nil
}

// explainKey translates what the pool says of key, whose live session and placement
// are given.
func explainKey(snap *pool.Snapshot, key []byte, live sessionBody, before pool.Placement) explainBody {
	if live.Tunnels == 0 {
		live.Host = ""
	}
	e := snap.Explain(key, live.Host, before, time.Now())
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
		Candidates: make([]candidateBody, 0, len(e.Candidates)), // [] rather than null in JSON
	}
	if e.Host != nil {
		b.Host = e.Host.Name
	}
	if live.Tunnels > 0 {
		b.Session = &live
	}
	for _, c := range e.Candidates {
		b.Candidates = append(b.Candidates, candidateOf(c))
	}
	return b
}

func candidateOf(c pool.Candidate) candidateBody {
	b := candidateBody{Host: c.Name, Role: string(c.Role), Chosen: c.Chosen, WhyNot: c.WhyNot}
	if c.Host != nil {
		b.State, b.Verdict = string(c.Host.State), c.Host.Verdict.String()
	}
	return b
}

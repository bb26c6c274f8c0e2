package admin

import (
	"context"
	"fmt"

	"tokenring/balancer"
	"tokenring/pool"
)

// The rules that the proxy adds to those of balancer and pool: a live session
// keeps its host.
const ruleSession balancer.Rule = "session"

type explainInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"16384" doc:"As it stands in the URL, percent-encoding included. It is hashed and forgotten"`
	}
}

// An explainBody says where a token goes. It names the token by its digest only.
type explainBody struct {
	TokenDigest string          `json:"token_digest" doc:"The name that logs have for the token"`
	RingDigest  string          `json:"ring_digest"`
	Slot        int             `json:"slot" doc:"The piece of the ring that the token falls into; -1 if the ring is empty"`
	Slots       int             `json:"slots"`
	Owner       string          `json:"owner,omitempty" doc:"The host that owns the slot"`
	Host        string          `json:"host,omitempty" doc:"The host that a request would go to now; missing if none can serve"`
	Rule        string          `json:"rule" enum:"owner,fallback,session,frozen,none"`
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
	key := []byte(in.Body.Token)
	host, tunnels := s.deps.Sessions(key)
	b := explainKey(s.deps.Region.Snapshot(), key, sessionBody{Host: host, Tunnels: tunnels})
	b.TokenDigest = s.deps.Digester.Digest(key)
	return &explainOutput{Body: b}, nil
}

// explainKey decides as the proxy does for a new request with key, and says why.
func explainKey(snap *pool.Snapshot, key []byte, live sessionBody) explainBody {
	b := explainBody{
		RingDigest: snap.Table.Digest(),
		Slot:       snap.Table.Slot(key),
		Slots:      snap.Table.Slots(),
	}
	if i := snap.Table.Owner(key); i >= 0 {
		b.Owner = snap.Table.Hosts()[i].Name
	}
	if live.Tunnels > 0 {
		b.Session = &live
	}
	choice, ok := snap.Choose(key, nil)
	switch kept := snap.Host(live.Host); {
	case live.Tunnels > 0 && keeps(kept):
		b.Host, b.Rule = kept.Name, string(ruleSession)
	case ok:
		b.Host, b.Rule = choice.Host.Name, string(choice.Rule)
	default:
		b.Rule = string(choice.Rule)
	}
	b.Reason = reason(snap, b)
	b.Candidates = candidates(snap, key, b)
	return b
}

// keeps reports whether live sessions stay on h: on a draining host they do.
func keeps(h *pool.Host) bool {
	return h != nil && h.State != pool.Maint && h.Verdict != pool.Down
}

// reason puts the outcome of b into a sentence.
func reason(snap *pool.Snapshot, b explainBody) string {
	switch b.Rule {
	case string(ruleSession):
		text := fmt.Sprintf("%s has a live session of this token, which stays where it is.", b.Host)
		if b.Owner != "" && b.Owner != b.Host {
			text += fmt.Sprintf(" Without it, %s would own the token.", b.Owner)
		}
		return text
	case string(balancer.RuleOwner):
		return fmt.Sprintf("%s owns slot %d of %d, and serves.", b.Host, b.Slot, b.Slots)
	case string(balancer.RuleFallback):
		return fmt.Sprintf("%s owns slot %d of %d, but can't serve: %s. %s is next in line.", b.Owner, b.Slot, b.Slots, whyNot(snap.Host(b.Owner)), b.Host)
	case string(pool.RuleFrozen):
		return fmt.Sprintf("The ring is frozen, and %s, which owns slot %d of %d, is among the hosts that vanished. "+
			"Its session may live on there, so no other host gets the token; requests are answered with 503.", b.Owner, b.Slot, b.Slots)
	}
	if len(snap.Hosts) == 0 {
		return "No hosts are known, so requests are answered with 503."
	}
	return "None of the hosts can serve, so requests are answered with 503."
}

// candidates lists the hosts in the order in which key tries them, then those
// outside the ring.
func candidates(snap *pool.Snapshot, key []byte, outcome explainBody) []candidateBody {
	list := make([]candidateBody, 0, len(snap.Hosts))
	placed := make(map[string]bool, len(snap.Hosts))
	for rank, i := range snap.Table.Candidates(key) {
		name := snap.Table.Hosts()[i].Name
		placed[name] = true
		list = append(list, candidate(snap.Host(name), name, role(rank), outcome))
	}
	for _, h := range snap.Hosts {
		if !placed[h.Name] {
			list = append(list, candidate(h, h.Name, "outside", outcome))
		}
	}
	return list
}

func role(rank int) string {
	switch rank {
	case 0:
		return "owner"
	case 1:
		return "heir"
	}
	return "fallback"
}

// candidate says how name, which is h unless h is nil, stands in outcome.
func candidate(h *pool.Host, name, role string, outcome explainBody) candidateBody {
	c := candidateBody{Host: name, Role: role, Chosen: name == outcome.Host}
	if h != nil {
		c.State, c.Verdict = string(h.State), h.Verdict.String()
	}
	switch {
	case c.Chosen:
	case h == nil || !h.Serving():
		c.WhyNot = whyNot(h)
	case outcome.Rule == string(ruleSession):
		c.WhyNot = "the live session is elsewhere"
	case outcome.Rule == string(pool.RuleFrozen):
		c.WhyNot = "the ring is frozen"
	default:
		c.WhyNot = "a host before it serves"
	}
	return c
}

// whyNot says why h, which isn't serving, doesn't serve.
func whyNot(h *pool.Host) string {
	switch {
	case h == nil:
		return "no longer known; the next ring is being built"
	case !h.InRing:
		return h.WhyNot
	case h.CheckError != "":
		return "its checks fail: " + h.CheckError
	}
	return "its checks fail"
}

package admin

import (
	"context"
	"net/netip"
	"time"

	"tokenring/route"
)

// A poolKeyBody says which secrets the gossips have.
type poolKeyBody struct {
	Gossips []gossipBody `json:"gossips" doc:"pool, of hosts and balancers, and peers, of balancers only, as far as they are configured"`
}

// A gossipBody says which secrets a gossip has on this balancer, and who uses which.
type gossipBody struct {
	Gossip  string             `json:"gossip" enum:"pool,peers"`
	Secrets []gossipKeyBody    `json:"secrets" doc:"Those in use on this balancer; it sends with the first, and reads all"`
	Since   time.Time          `json:"since" doc:"Since when it uses these"`
	Problem string             `json:"problem,omitempty" doc:"Why what the file of the secret holds now isn't in use"`
	Members []gossipMemberBody `json:"members" doc:"The members, and other addresses from which came what a secret decrypts"`
}

type gossipKeyBody struct {
	Digest string `json:"digest" doc:"A short name of the secret, the same on every machine"`
	Sends  bool   `json:"sends" doc:"Whether this balancer sends with it"`
	Heard  int    `json:"heard" doc:"How many members, of those that aren't lost, were last heard with it"`
}

type gossipMemberBody struct {
	Role    string         `json:"role,omitempty" enum:"host,balancer" doc:"Missing: it is no member"`
	Name    string         `json:"name,omitempty"`
	Address netip.AddrPort `json:"address" doc:"Of its gossip"`
	Lost    bool           `json:"lost" doc:"Whether gossip has lost it"`
	Secret  string         `json:"secret,omitempty" doc:"The digest of the secret with which its last packet was encrypted; missing if none has come"`
	HeardAt *time.Time     `json:"heard_at,omitempty" doc:"When that packet came"`
}

type poolKeyOutput struct{ Body poolKeyBody }

func (s *Server) getPoolKey(context.Context, *struct{}) (*poolKeyOutput, error) {
	b := poolKeyBody{Gossips: []gossipBody{}}
	for _, use := range s.deps.Secrets() {
		b.Gossips = append(b.Gossips, gossipOf(use))
	}
	return &poolKeyOutput{b}, nil
}

func gossipOf(use route.SecretUse) gossipBody {
	b := gossipBody{Gossip: use.Gossip, Secrets: []gossipKeyBody{}, Since: use.Since, Problem: use.Problem, Members: []gossipMemberBody{}}
	heard := map[string]int{}
	for _, m := range use.Members {
		b.Members = append(b.Members, gossipMemberOf(m))
		if !m.Lost && m.Host+m.Balancer != "" {
			heard[m.Secret]++
		}
	}
	for i, digest := range use.Secrets {
		b.Secrets = append(b.Secrets, gossipKeyBody{Digest: digest, Sends: i == 0, Heard: heard[digest]})
	}
	return b
}

func gossipMemberOf(m route.SecretMember) gossipMemberBody {
	b := gossipMemberBody{Address: m.Address, Lost: m.Lost, Secret: m.Secret, HeardAt: when(m.HeardAt)}
	switch {
	case m.Host != "":
		b.Role, b.Name = "host", m.Host
	case m.Balancer != "":
		b.Role, b.Name = "balancer", m.Balancer
	}
	return b
}

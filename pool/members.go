package pool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tokenring/statefile"
)

// A remembered is a member of a gossip as a balancer knew it last. It is kept for
// two uses alone: to call it as a seed when everybody else is silent, and to know
// which hosts are missing. Nobody is sent to a host that is only remembered.
type remembered struct {
	Node   string         `json:"node"` // in memberlist: host/ide-1
	Gossip netip.AddrPort `json:"gossip"`
	Seen   time.Time      `json:"seen"` // when it was there, or belonged in the ring, the last time

	// Of a host: whether it belonged in the ring, and what a table knows of it.
	InRing  bool   `json:"in_ring,omitempty"`
	ID      uint32 `json:"id,omitempty"`
	Address string `json:"address,omitempty"`
	Weight  int    `json:"weight,omitempty"`
	Zone    string `json:"zone,omitempty"`
}

// maxRemembered bounds the members of one gossip on disk.
const maxRemembered = 4096

// meta returns what the member announced, as far as it is remembered.
func (r remembered) meta() meta {
	m := meta{ID: r.ID, Address: r.Address, Weight: r.Weight, Zone: r.Zone}
	for _, role := range []role{roleHost, roleLB} {
		if name, ok := strings.CutPrefix(r.Node, role.prefix()); ok {
			m.Role, m.Name = role, name
		}
	}
	return m
}

// check says what is wrong with r.
func (r remembered) check() error {
	if err := r.meta().check(); err != nil {
		return err
	}
	if !r.Gossip.IsValid() || r.Gossip.Port() == 0 || r.Gossip.Addr().IsUnspecified() {
		return fmt.Errorf("nobody gossips at %s", r.Gossip)
	}
	if r.Seen.Before(minAt) || r.Seen.After(maxAt) {
		return fmt.Errorf("it was seen at %s", r.Seen)
	}
	if r.InRing && r.meta().Role != roleHost {
		return errors.New("a balancer is no host of the ring")
	}
	return nil
}

// A membership is the members of both gossips, as they are kept on disk.
type membership struct {
	Version int          `json:"version"`
	Pool    []remembered `json:"pool"`
	Peers   []remembered `json:"peers"`
}

const (
	membersName    = "members.json"
	membersVersion = 1
)

// loadMembership reads the membership in dir. No file means an empty one; so does
// a corrupt one, with an error that wraps errCorrupt: see loadFile.
func loadMembership(dir string) (membership, error) {
	var m membership
	err := loadFile(dir, membersName, func(b []byte) (err error) {
		m, err = parseMembership(b)
		return err
	})
	if err != nil {
		return membership{}, fmt.Errorf("read members: %w", err)
	}
	return m, nil
}

// parseMembership reads a file's bytes. If one thing in it doesn't pass check, it
// is an error: a file isn't to be believed in parts.
func parseMembership(b []byte) (membership, error) {
	var m membership
	if err := json.Unmarshal(b, &m); err != nil {
		return membership{}, err
	}
	if m.Version != membersVersion {
		return membership{}, fmt.Errorf("members of version %d, this software knows %d", m.Version, membersVersion)
	}
	if len(m.Pool) > maxRemembered || len(m.Peers) > maxRemembered {
		return membership{}, fmt.Errorf("%d members and %d peers, at most %d are possible", len(m.Pool), len(m.Peers), maxRemembered)
	}
	for _, r := range slices.Concat(m.Pool, m.Peers) {
		if err := r.check(); err != nil {
			return membership{}, fmt.Errorf("member %.80q: %w", r.Node, err)
		}
	}
	return m, nil
}

// save writes m to dir, which must exist: see statefile.Write.
func (m membership) save(dir string) error {
	m.Version = membersVersion
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return statefile.Write(filepath.Join(dir, membersName), b)
}

// membership returns who is to be remembered now.
func (p *Pool) membership(now time.Time) membership {
	return membership{
		Version: membersVersion,
		Pool:    remember(p.roster.list(), p.Snapshot().Host, now),
		Peers:   remember(p.peers.roster.list(), func(string) *Host { return nil }, now),
	}
}

// remember returns the members that are to be remembered, sorted by node. Those
// that left on purpose aren't. host finds a host by name, nil if there is none. A
// host that a frozen ring keeps a place for is as good as there.
func remember(members map[string]member, host func(name string) *Host, now time.Time) []remembered {
	all := make([]remembered, 0, len(members))
	for node, m := range members {
		if m.left() || m.meta.Leaving {
			continue
		}
		r := remembered{Node: node, Gossip: m.at, Seen: now, ID: m.meta.ID, Address: m.meta.Address, Weight: m.meta.Weight, Zone: m.meta.Zone}
		if h := host(m.meta.Name); h != nil && m.meta.Role == roleHost {
			r.InRing = h.InRing
		}
		if m.recalled || m.lost && !r.InRing {
			r.Seen = m.lostAt
		}
		r.Seen = r.Seen.UTC().Round(0)
		if r.check() == nil {
			all = append(all, r)
		}
	}
	if len(all) > maxRemembered {
		slices.SortFunc(all, func(a, b remembered) int { return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.Node, b.Node)) })
		all = all[:maxRemembered]
	}
	slices.SortFunc(all, func(a, b remembered) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// recent returns those of all who were seen within patience. Who was seen in what is
// the future now, because a clock was wrong, counts as seen just now.
func recent(all []remembered, now time.Time, patience time.Duration) []remembered {
	var young []remembered
	for _, r := range all {
		if now.Sub(r.Seen) > patience {
			continue
		}
		if r.Seen.After(now) {
			r.Seen = now
		}
		young = append(young, r)
	}
	return young
}

// same reports whether m says of nobody anything else than n does, but for when
// they were seen, which may differ by less than slack.
func (m membership) same(n membership, slack time.Duration) bool {
	alike := func(a, b remembered) bool {
		apart := b.Seen.Sub(a.Seen).Abs()
		a.Seen = b.Seen
		return a == b && apart < slack
	}
	return slices.EqualFunc(m.Pool, n.Pool, alike) && slices.EqualFunc(m.Peers, n.Peers, alike)
}

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

	Unknown string `json:"-"` // see Decision.Unknown
}

var rememberedFields = fieldsOf[remembered]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (r *remembered) UnmarshalJSON(b []byte) (err error) {
	type plain remembered
	if err = json.Unmarshal(b, (*plain)(r)); err == nil {
		r.Unknown, err = unknownFields(b, rememberedFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (r remembered) MarshalJSON() ([]byte, error) {
	type plain remembered
	return withUnknown(plain(r), r.Unknown)
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
	return checkUnknown(r.Unknown)
}

// A membership is the members of both gossips, as they are kept on disk.
type membership struct {
	Version int          `json:"version"`
	Pool    []remembered `json:"pool"`
	Peers   []remembered `json:"peers"`
}

const membersName = "members.json"

// loadMembership reads the membership in dir, and what else is in its file: as
// loadMemory does.
func loadMembership(dir string) (membership, leftover, error) {
	var m membership
	l, err := loadFile(dir, membersName, func(b []byte) (l leftover, err error) {
		m, l, err = parseMembership(b)
		return l, err
	})
	if err != nil {
		return m, l, fmt.Errorf("read members: %w", err)
	}
	return m, l, nil
}

// parseMembership returns the members in a file, and what else is in it. After an
// error there are none.
func parseMembership(b []byte) (membership, leftover, error) {
	m := membership{Version: stateVersion}
	into := func(list *[]remembered) func(json.RawMessage) error {
		return func(b json.RawMessage) error {
			return take(b, remembered.check, func(r remembered) bool {
				*list = append(*list, r)
				return true
			})
		}
	}
	l, err := parseLists(b, map[string]func(json.RawMessage) error{"pool": into(&m.Pool), "peers": into(&m.Peers)})
	if err == nil && (len(m.Pool) > maxRemembered || len(m.Peers) > maxRemembered) {
		err = fmt.Errorf("%d members and %d peers, at most %d are possible", len(m.Pool), len(m.Peers), maxRemembered)
	}
	if err != nil {
		return membership{}, l, err
	}
	return m, l, nil
}

// save writes m to dir, which must exist, with what else the file is to hold: see
// statefile.Write.
func (m membership) save(dir string, l leftover) error {
	b, err := encodeJSON(m)
	if err == nil {
		b, err = l.addTo(b)
	}
	if err != nil {
		return err
	}
	return statefile.Write(filepath.Join(dir, membersName), b)
}

// keep gives m's members the unknown fields that a file has of them.
func (m membership) keep(file membership) {
	for _, lists := range [][2][]remembered{{m.Pool, file.Pool}, {m.Peers, file.Peers}} {
		unknown := map[string]string{}
		for _, r := range lists[1] {
			unknown[r.Node] = r.Unknown
		}
		for i, r := range lists[0] {
			lists[0][i].Unknown = unknown[r.Node]
		}
	}
}

// membership returns who is to be remembered now.
func (p *Pool) membership(now time.Time) membership {
	return membership{
		Version: stateVersion,
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

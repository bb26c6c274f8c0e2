package gossip

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/statefile"
)

// CacheName is the name of the file, in the state directory, that keeps the members.
const CacheName = "members.json"

// How often a change of the members is written, and how old the times in the file may
// get while nothing else changes.
const (
	cacheEvery = 5 * time.Second
	cacheStale = 5 * time.Minute
)

// maxCached bounds the members of one gossip on disk.
const maxCached = 4096

// A CachedMember is a member of a gossip as a balancer knew it last. It is kept for
// two uses alone: to call it as a seed when no other member answers, and to know
// which hosts are missing. No request goes to a host that is only cached.
type CachedMember struct {
	Node   string         `json:"node"` // in memberlist: host/ide-1
	Gossip netip.AddrPort `json:"gossip"`
	Seen   time.Time      `json:"seen"` // when it was there, or belonged in the ring, the last time

	InRing     bool `json:"in_ring,omitempty"` // it is a host, and belonged in the ring
	route.Spec      // the host; of a balancer the name alone. On disk, Node has the name

	Key      route.HostKey `json:"key,omitzero"`       // zero if the host doesn't sign
	Sequence uint64        `json:"sequence,omitempty"` // of its last announcement, if it signs

	Unknown string `json:"-"` // a JSON object of what a later version has added, "" for nothing
}

var cachedFields = func() map[string]bool {
	names := statefile.FieldNames[CachedMember]()
	delete(names, "name")
	return names
}()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (c *CachedMember) UnmarshalJSON(b []byte) (err error) {
	type plain CachedMember
	if err = json.Unmarshal(b, (*plain)(c)); err == nil {
		_, c.Name = announcement.SplitNode(c.Node)
		c.Unknown, err = statefile.UnknownFields(b, cachedFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (c CachedMember) MarshalJSON() ([]byte, error) {
	type plain CachedMember
	c.Name = ""
	return statefile.WithUnknown(plain(c), c.Unknown)
}

// Metadata returns what the member announced, as far as it is cached.
func (c CachedMember) Metadata() announcement.Metadata {
	role, _ := announcement.SplitNode(c.Node)
	m := announcement.Metadata{Role: role, Spec: c.Spec}
	if !c.Key.IsZero() || c.Sequence != 0 {
		m.Signature = announcement.Signature{Key: c.Key, Sequence: c.Sequence, Gossip: c.Gossip}
	}
	return m
}

// check says what is wrong with c.
func (c CachedMember) check() error {
	if err := c.Metadata().Check(); err != nil {
		return err
	}
	if !c.Gossip.IsValid() || c.Gossip.Port() == 0 || c.Gossip.Addr().IsUnspecified() {
		return fmt.Errorf("no member gossips at %s", c.Gossip)
	}
	if !statefile.ValidTime(c.Seen) {
		return fmt.Errorf("it was seen at %s", c.Seen)
	}
	if c.InRing && c.Metadata().Role != announcement.HostRole {
		return errors.New("a balancer is no host of the ring")
	}
	return statefile.CheckUnknown(c.Unknown)
}

// CachedMembers are the members of both gossips of a balancer, as they are kept on
// disk.
type CachedMembers struct {
	Version int            `json:"version"`
	Pool    []CachedMember `json:"pool"`
	Peers   []CachedMember `json:"peers"`

	Sequences []announcement.Sequence `json:"sequences,omitempty"` // of hosts, also of those that have left
	Ring      []json.RawMessage       `json:"ring,omitempty"`      // what the balancer keeps of its ring: objects
}

// NewCachedMembers returns the members of both gossips, for Cache.Run.
func NewCachedMembers(pool, peers []CachedMember) CachedMembers {
	return CachedMembers{Version: statefile.Version, Pool: pool, Peers: peers}
}

// ToCache returns the members that are to be cached, sorted by node. Members that left
// on purpose aren't. inRing reports whether a host belongs in the ring: one for which a
// frozen ring keeps its place counts as seen now.
func ToCache(members map[string]Member, inRing func(host string) bool, now time.Time) []CachedMember {
	all := make([]CachedMember, 0, len(members))
	for node, m := range members {
		if m.Metadata.Leaving {
			continue
		}
		c := CachedMember{Node: node, Gossip: m.Addr, Seen: now, Spec: m.Metadata.Spec, Key: m.Metadata.Key, Sequence: m.Metadata.Sequence}
		c.InRing = m.Metadata.Role == announcement.HostRole && inRing(m.Metadata.Name)
		if m.Cached || m.Lost && !c.InRing {
			c.Seen = m.LostAt
		}
		c.Seen = c.Seen.UTC().Round(0)
		if c.check() == nil {
			all = append(all, c)
		}
	}
	if len(all) > maxCached {
		slices.SortFunc(all, func(a, b CachedMember) int { return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.Node, b.Node)) })
		all = all[:maxCached]
	}
	slices.SortFunc(all, func(a, b CachedMember) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// recent returns those of all that were seen within patience. A member that was seen in
// what is the future now, because a clock was wrong, counts as seen just now.
func recent(all []CachedMember, now time.Time, patience time.Duration) []CachedMember {
	var young []CachedMember
	for _, c := range all {
		if now.Sub(c.Seen) > patience {
			continue
		}
		if c.Seen.After(now) {
			c.Seen = now
		}
		young = append(young, c)
	}
	return young
}

// equal reports whether m says of no member anything else than n does, but for the
// times when they were seen, which may differ by less than slack.
func (m CachedMembers) equal(n CachedMembers, slack time.Duration) bool {
	alike := func(a, b CachedMember) bool {
		apart := b.Seen.Sub(a.Seen).Abs()
		a.Seen = b.Seen
		return a == b && apart < slack
	}
	return slices.EqualFunc(m.Pool, n.Pool, alike) && slices.EqualFunc(m.Peers, n.Peers, alike) && slices.Equal(m.Sequences, n.Sequences) &&
		slices.EqualFunc(m.Ring, n.Ring, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// takeUnknown gives m's members the unknown fields that file has of them.
func (m CachedMembers) takeUnknown(file CachedMembers) {
	for _, lists := range [][2][]CachedMember{{m.Pool, file.Pool}, {m.Peers, file.Peers}} {
		unknown := map[string]string{}
		for _, c := range lists[1] {
			unknown[c.Node] = c.Unknown
		}
		for i, c := range lists[0] {
			lists[0][i].Unknown = unknown[c.Node]
		}
	}
}

// loadCache reads the members in dir, and what else is in their file; see
// statefile.Load for the errors.
func loadCache(dir string) (CachedMembers, statefile.Unknown, error) {
	var m CachedMembers
	u, err := statefile.Load(filepath.Join(dir, CacheName), func(b []byte) (u statefile.Unknown, err error) {
		m, u, err = parseCache(b)
		return u, err
	})
	if err != nil {
		return m, u, fmt.Errorf("read members: %w", err)
	}
	return m, u, nil
}

// parseCache returns the members in a file, and what else is in it. After an error
// there are none.
func parseCache(b []byte) (CachedMembers, statefile.Unknown, error) {
	m := NewCachedMembers(nil, nil)
	into := func(list *[]CachedMember) func(json.RawMessage) error {
		return statefile.Entry(CachedMember.check, func(c CachedMember) { *list = append(*list, c) })
	}
	u, err := statefile.ParseLists(b, map[string]func(json.RawMessage) error{
		"pool": into(&m.Pool), "peers": into(&m.Peers),
		"ring": func(entry json.RawMessage) error {
			m.Ring = append(m.Ring, entry)
			return nil
		},
		"sequences": statefile.Entry(announcement.Sequence.Check, func(s announcement.Sequence) { m.Sequences = append(m.Sequences, s) }),
	})
	if err == nil && (max(len(m.Pool), len(m.Peers)) > maxCached || len(m.Sequences) > announcement.MaxSequences || len(m.Ring) > maxCached+1) {
		err = fmt.Errorf("%d members, %d peers and %d sequences, at most %d of each are possible", len(m.Pool), len(m.Peers), len(m.Sequences), maxCached)
	}
	if err != nil {
		return CachedMembers{}, u, err
	}
	return m, u, nil
}

// save writes m to dir, which must exist, with what else the file is to hold: see
// statefile.Write.
func (m CachedMembers) save(dir string, u statefile.Unknown) error {
	b, err := statefile.EncodeJSON(m)
	if err == nil {
		b, err = u.AddTo(b)
	}
	if err != nil {
		return err
	}
	return statefile.Write(filepath.Join(dir, CacheName), b)
}

// A Cache keeps the members of a balancer's gossips on disk, so that a restart finds
// them without seeds. One goroutine at a time may use it.
type Cache struct {
	dir     string // "": there is no disk
	log     zerolog.Logger
	file    CachedMembers     // what the file holds
	unknown statefile.Unknown // what else it holds
	off     bool              // it can't be read: it isn't written over
	failing bool              // the last attempt to write it has failed
}

// OpenCache reads the members of earlier runs in dir; dir "" stands for a Cache that
// keeps none. A file that can't be read is logged, and is no reason not to start:
// without it the configured seeds have to do.
func OpenCache(dir string, log zerolog.Logger) *Cache {
	c := &Cache{dir: dir, log: log}
	if dir == "" {
		return c
	}
	m, unknown, err := loadCache(dir)
	switch {
	case errors.Is(err, statefile.ErrLater):
		log.Error().Err(err).Msg("only a part of the members of earlier runs may be known: the configured seeds have to find the others")
	case errors.Is(err, statefile.ErrCorrupt):
		log.Error().Err(err).Msg("members of earlier runs are forgotten: the configured seeds have to find them")
	case err != nil:
		log.Error().Err(err).Msg("members of earlier runs are forgotten, and those of this run won't be kept: the configured seeds have to find them")
		c.off = true
		return c
	}
	c.file, c.unknown = m, unknown
	return c
}

// Pool returns the members of the gossip of hosts and balancers that the file holds.
func (c *Cache) Pool() []CachedMember { return c.file.Pool }

// Peers returns the members of the gossip among balancers that the file holds.
func (c *Cache) Peers() []CachedMember { return c.file.Peers }

// Sequences returns the numbers of hosts' announcements that the file holds.
func (c *Cache) Sequences() []announcement.Sequence { return c.file.Sequences }

// Ring returns what the file holds of the ring.
func (c *Cache) Ring() []json.RawMessage { return c.file.Ring }

// Run writes down what current returns until ctx ends, and then once more.
func (c *Cache) Run(ctx context.Context, current func(now time.Time) CachedMembers) {
	if c.dir == "" || c.off {
		return
	}
	ticker := time.NewTicker(cacheEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		c.update(current(time.Now()))
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	c.update(current(time.Now()))
}

// update writes m to disk if that holds something else.
func (c *Cache) update(m CachedMembers) {
	m.takeUnknown(c.file)
	if m.equal(c.file, cacheStale) {
		return
	}
	err := m.save(c.dir, c.unknown)
	if err == nil {
		c.file = m
	} else if !c.failing {
		c.log.Warn().Err(err).Msg("members can't be written to disk: the next start has to find them by the configured seeds")
	}
	c.failing = err != nil
}

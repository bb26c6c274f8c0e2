package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/loglimit"
	"tokenring/notify"
	"tokenring/route"
)

// A Member is what gossip knows about one node. It is a copy: memberlist never
// sees it.
type Member struct {
	Metadata announcement.Metadata
	Addr     netip.AddrPort // of its gossip
	Lost     bool           // memberlist holds it for dead, or it has left
	LostAt   time.Time      // since when it is lost
	Cached   bool           // lost, and known from an earlier run alone

	since time.Time // when it came into the list
}

// Left reports whether m has gone on purpose.
func (m Member) Left() bool { return m.Lost && m.Metadata.Leaving }

// A members keeps the members of one gossip. memberlist calls its Notify methods, most
// of them with its own locks held: they copy, leave a note, and never call memberlist.
type members struct {
	self       string // our own node
	filter     Filter
	signatures signatures
	log        zerolog.Logger
	refusals   *refusals
	conflicts  loglimit.Limiter // by name
	places     *places          // by which nodes are found; nil if they needn't be

	changed notify.Note
	watched notify.Notes // likewise, for others than the first receiver

	mu      sync.Mutex
	all     map[string]Member    // by node; ourselves not among them
	dropped map[string]time.Time // from a full list, by node: until when they aren't taken again
	own     ownEntry             // ours in the list of the last member that exchanged state
	merges  int                  // how many have
	ours    string               // what memberlist announces for us
}

func newMembers(self string, filter Filter, signatures signatures, log zerolog.Logger) *members {
	l := &members{
		self:       self,
		filter:     filter,
		signatures: signatures,
		log:        log,
		changed:    notify.NewNote(),
		all:        map[string]Member{},
		dropped:    map[string]time.Time{},
	}
	l.refusals = newRefusals(l.at, log)
	return l
}

// noteChange tells all receivers that the list has changed.
func (l *members) noteChange() {
	l.changed.Leave()
	l.watched.Leave()
}

// list returns a copy of the members by node.
func (l *members) list() map[string]Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.all)
}

// anyAt reports whether a member gossips at an IP address.
func (l *members) anyAt(at netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.all {
		if m.Addr.Addr() == at {
			return true
		}
	}
	return false
}

// at returns the node of the member at a gossip address, with the address, "" if there is
// none. If no port is known, it must be the only member at the IP address.
func (l *members) at(addr netip.AddrPort) (node string, at netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := 0
	for name, m := range l.all {
		if m.Addr == addr || addr.Port() == 0 && m.Addr.Addr() == addr.Addr() {
			node, at = name, m.Addr
			found++
		}
	}
	if found > 1 {
		return "", addr
	}
	return node, at
}

// forget drops a member, unless it has come back.
func (l *members) forget(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, ok := l.all[node]; ok && m.Lost {
		delete(l.all, node)
	}
}

// addCached adds members of an earlier run, as lost ones, and returns those that it has
// added. Members that are here, or may not come in any more, are left out.
func (l *members) addCached(cached []CachedMember) (added []CachedMember) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range cached {
		m := c.Metadata()
		if _, here := l.all[c.Node]; here || c.Node == l.self || l.filter.admit(m, c.Gossip) != nil {
			continue
		}
		if drop, err := l.findRoomLocked(m, time.Now()); err != nil || drop != "" {
			continue
		}
		if keys := l.signatures.keys; keys != nil && m.Role == announcement.HostRole && !keys.Restore(m) {
			continue
		}
		l.all[c.Node] = Member{Metadata: m, Addr: c.Gossip, Lost: true, LostAt: c.Seen, Cached: true}
		added = append(added, c)
	}
	return added
}

// lastOwnEntry returns our entry in the list of the last member that exchanged state,
// and how many have done so.
func (l *members) lastOwnEntry() (own ownEntry, merges int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own, l.merges
}

// announces reports whether memberlist announces metadata for us.
func (l *members) announces(metadata []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ours == string(metadata)
}

// prune drops the members that need not be called again: those that left on purpose,
// and those that have been lost for longer than patience.
func (l *members) prune(now time.Time, patience time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.all, func(_ string, m Member) bool {
		return m.Left() || m.Lost && now.Sub(m.LostAt) > patience
	})
}

// NotifyJoin implements memberlist.EventDelegate. It is also called for
// ourselves, before Create returns.
func (l *members) NotifyJoin(n *memberlist.Node) { l.keep(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (l *members) NotifyUpdate(n *memberlist.Node) { l.keep(n) }

// NotifyLeave implements memberlist.EventDelegate. What the node announced last
// says whether it left on purpose.
func (l *members) NotifyLeave(n *memberlist.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.all[n.Name]
	if !ok || m.Lost {
		return
	}
	m.Lost, m.LostAt = true, time.Now()
	l.all[n.Name] = m
	l.noteChange()
}

func (l *members) keep(n *memberlist.Node) {
	if n.Name == l.self {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ours = string(n.Meta)
		return
	}
	m, err := announcement.Decode(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it before
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := Member{Metadata: m, Addr: addrOf(n), since: time.Now()}
	if old, here := l.all[n.Name]; here && !old.Cached {
		kept.since = old.since
	}
	l.all[n.Name] = kept
	l.noteChange()
}

// addrOf returns the address of a node's gossip; the zero value for nonsense.
func addrOf(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}

// NotifyAlive implements memberlist.AliveDelegate: an error keeps the node, or
// its change, out. It harms no other node.
func (l *members) NotifyAlive(n *memberlist.Node) error {
	if n.Name == l.self {
		return nil
	}
	reason, err := l.admit(n)
	switch {
	case err == nil:
		l.refusals.admitted(n.Name)
	case !errors.Is(err, announcement.ErrOld) && !errors.Is(err, announcement.ErrUnreached):
		l.refusals.refuse(reason, n.Name, addrOf(n), err)
	}
	return err
}

// admit says why a node may not be a member, nil if it may.
func (l *members) admit(n *memberlist.Node) (Reason, error) {
	m, err := announcement.Decode(n.Meta)
	if err != nil {
		return BadMetadata, err
	}
	if n.Name != m.Node() {
		return BadName, fmt.Errorf("it announces the name %q", m.Node())
	}
	if err := checkProtocol(n); err != nil {
		return BadProtocol, err
	}
	if err := l.filter.admit(m, addrOf(n)); err != nil {
		return NotAdmitted, err
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isReachedLocked(m, addrOf(n), now) {
		return Unreached, announcement.ErrUnreached
	}
	drop, err := l.findRoomLocked(m, now)
	if err != nil {
		return TooMany, err
	}
	if m.Role == announcement.HostRole && l.signatures.keys != nil {
		if reason, err := l.verifyLocked(m, n); err != nil {
			return reason, err
		}
	}
	if drop != "" {
		l.dropLocked(drop, now)
	}
	return "", nil
}

// NotifyMerge implements memberlist.MergeDelegate. An error refuses all that a
// joining member knows, so it is only for strangers: a pool in which no node is
// of our kind. A list without nodes is a question (inspect.Question), and no stranger's. What
// is wrong with single nodes is NotifyAlive's business.
func (l *members) NotifyMerge(peers []*memberlist.Node) error {
	own := ownEntryOf(peers, l.self)
	l.mu.Lock()
	l.own = own
	l.merges++
	l.mu.Unlock()
	if len(peers) == 0 {
		return nil
	}
	for _, n := range peers {
		for _, kind := range []announcement.Role{announcement.HostRole, announcement.BalancerRole} {
			if strings.HasPrefix(n.Name, kind.Prefix()) {
				return nil
			}
		}
	}
	err := errors.New("it knows members of another pool alone")
	l.refusals.refuse(OtherPool, "", addrOf(peers[0]), err)
	return err
}

// NotifyConflict implements memberlist.ConflictDelegate: another node goes by a
// name that is taken. memberlist ignores it until the first has been dead for a
// while.
func (l *members) NotifyConflict(existing, other *memberlist.Node) {
	f, log := l.conflicts.Add(clip(existing.Name), time.Now())
	if !log {
		return
	}
	f.On(l.log.Warn()).Str("node", clip(existing.Name)).Stringer("known_at", addrOf(existing)).Stringer("claimed_at", addrOf(other)).
		Bool("same_metadata", bytes.Equal(existing.Meta, other.Meta)).Msg("two members go by one name")
}

// clip makes a foreign name fit for a log line.
func clip(name string) string {
	if len(name) > route.MaxName {
		name = name[:route.MaxName]
	}
	return strings.ToValidUTF8(name, "?")
}

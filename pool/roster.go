package pool

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// A member is what gossip knows about one node. It is a copy: memberlist never
// sees it.
type member struct {
	meta   meta
	at     netip.AddrPort // of its gossip
	lost   bool           // memberlist holds it for dead, or it has left
	lostAt time.Time      // since when it is lost

	recalled bool // lost, and known from an earlier run alone
}

// left reports whether m has gone on purpose.
func (m member) left() bool { return m.lost && m.meta.Leaving }

// The bounds of a pool.
const (
	maxBalancers = 256
	maxHosts     = 2048
)

// A doorman says which nodes with sound metadata may be members.
type doorman struct {
	only     role            // 0 for any
	static   map[string]bool // hosts of the config file, by name
	networks []netip.Prefix  // of service addresses; empty for any
	loopback bool            // loopback and link-local service addresses are fine without networks
}

// A roster keeps the members of one gossip pool. memberlist calls its Notify
// methods, most of them with its own locks held: they copy, leave a note, and
// never call memberlist.
type roster struct {
	self string // our own node
	door doorman
	log  zerolog.Logger
	told repeats // refusals, by what is refused

	changed chan struct{} // room for one: look again

	mu      sync.Mutex
	members map[string]member // by node; ourselves not among them

	mirror atomic.Pointer[reflection] // what the last member that exchanged state knew of us
}

func newRoster(self string, door doorman, log zerolog.Logger) *roster {
	return &roster{
		self:    self,
		door:    door,
		log:     log,
		changed: make(chan struct{}, 1),
		members: map[string]member{},
	}
}

// list returns a copy of the members by node.
func (r *roster) list() map[string]member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.members)
}

// forget drops a member, unless it has come back.
func (r *roster) forget(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok := r.members[node]; ok && m.lost {
		delete(r.members, node)
	}
}

// recall takes in members of an earlier run, as lost ones, and returns those that
// it has taken. They are called like other lost members. Those that may not come in any more aren't taken.
func (r *roster) recall(all []remembered) (taken []remembered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range all {
		m := old.meta()
		if _, here := r.members[old.Node]; here || old.Node == r.self || r.door.admit(m) != nil || r.roomLocked(m) != nil {
			continue
		}
		r.members[old.Node] = member{meta: m, at: old.Gossip, lost: true, lostAt: old.Seen, recalled: true}
		taken = append(taken, old)
	}
	return taken
}

// prune drops the members that nobody needs to call again: those that left on
// purpose, and those that have been lost for longer than patience.
func (r *roster) prune(now time.Time, patience time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.members, func(_ string, m member) bool {
		return m.left() || m.lost && now.Sub(m.lostAt) > patience
	})
}

// note tells whoever reads changed to look at list again.
func (r *roster) note() { note(r.changed) }

// NotifyJoin implements memberlist.EventDelegate. It is also called for
// ourselves, before Create returns.
func (r *roster) NotifyJoin(n *memberlist.Node) { r.keep(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.keep(n) }

// NotifyLeave implements memberlist.EventDelegate. What the node announced last
// says whether it left on purpose.
func (r *roster) NotifyLeave(n *memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[n.Name]
	if !ok || m.lost {
		return
	}
	m.lost, m.lostAt = true, time.Now()
	r.members[n.Name] = m
	r.note()
}

func (r *roster) keep(n *memberlist.Node) {
	if n.Name == r.self {
		return
	}
	m, err := decodeMeta(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it before
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[n.Name] = member{meta: m, at: addrOf(n)}
	r.note()
}

// addrOf returns the address of a node's gossip; the zero value for nonsense.
func addrOf(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}

// NotifyAlive implements memberlist.AliveDelegate: an error keeps the node, or
// its change, out. It harms nobody else.
func (r *roster) NotifyAlive(n *memberlist.Node) error {
	if n.Name == r.self {
		return nil
	}
	now := time.Now()
	err := r.admit(n)
	if err == nil {
		r.told.lapse(clip(n.Name), now)
		return nil
	}
	if f, tell := r.told.again(clip(n.Name), now); tell {
		f.on(r.log.Warn()).Str("node", clip(n.Name)).Stringer("from", addrOf(n)).Err(err).Msg("member refused")
	}
	return err
}

func (r *roster) admit(n *memberlist.Node) error {
	m, err := decodeMeta(n.Meta)
	if err != nil {
		return err
	}
	if n.Name != m.node() {
		return fmt.Errorf("it announces the name %q", m.node())
	}
	if err := speaksOurs(n); err != nil {
		return err
	}
	if err := r.door.admit(m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roomLocked(m)
}

// speaksOurs refuses a node whose protocol versions exclude ours. memberlist
// would let it in, and from then on refuse every state exchange that mentions
// it: one such node would keep all others apart.
func speaksOurs(n *memberlist.Node) error {
	const speak = memberlist.ProtocolVersion2Compatible
	protocol := n.PMin <= memberlist.ProtocolVersionMin && n.PMax >= speak && n.PCur >= memberlist.ProtocolVersionMin && n.PCur <= speak
	if !protocol || n.DMin != 0 || n.DMax != 0 || n.DCur != 0 {
		return fmt.Errorf("it speaks the protocol versions %d-%d, now %d", n.PMin, n.PMax, n.PCur)
	}
	return nil
}

// roomLocked refuses a node where there are absurdly many of its kind. Whether the
// ring has room for a host isn't decided here, where who came first would count: see
// share.
func (r *roster) roomLocked(m meta) error {
	limit, kind := maxHosts, "hosts"
	if m.Role == roleLB {
		limit, kind = maxBalancers, "balancers"
	}
	others := 0
	for node, other := range r.members {
		if other.meta.Role == m.Role && node != m.node() {
			others++
		}
	}
	if others >= limit {
		return fmt.Errorf("there are %d %s already", others, kind)
	}
	return nil
}

func (d doorman) admit(m meta) error {
	if d.only != 0 && m.Role != d.only {
		return fmt.Errorf("a %q has no business here", strings.TrimSuffix(m.Role.prefix(), "/"))
	}
	if m.Role != roleHost {
		return nil
	}
	if d.static[m.Name] {
		return errors.New("the config file has a host of that name")
	}
	ip := netip.MustParseAddrPort(m.Address).Addr() // checked by decodeMeta
	for _, network := range d.networks {
		if network.Contains(ip) {
			return nil
		}
	}
	if len(d.networks) > 0 {
		return fmt.Errorf("its service address %s is in no allowed network", m.Address)
	}
	if !d.loopback && (ip.IsLoopback() || ip.IsLinkLocalUnicast()) {
		return fmt.Errorf("its service address %s is local to the machine", m.Address)
	}
	return nil
}

// NotifyMerge implements memberlist.MergeDelegate. An error refuses all that a
// joining member knows, so it is only for strangers: a pool in which nobody is
// of our kind. What is wrong with single nodes is NotifyAlive's business.
func (r *roster) NotifyMerge(peers []*memberlist.Node) error {
	r.mirror.Store(reflectionOf(peers, r.self))
	for _, n := range peers {
		for _, kind := range []role{roleHost, roleLB} {
			if strings.HasPrefix(n.Name, kind.prefix()) {
				return nil
			}
		}
	}
	err := errors.New("a pool of something else")
	if f, tell := r.told.again("merge", time.Now()); tell {
		f.on(r.log.Warn()).Int("nodes", len(peers)).Err(err).Msg("merge refused")
	}
	return err
}

// NotifyConflict implements memberlist.ConflictDelegate: another node goes by a
// name that is taken. memberlist ignores it until the first has been dead for a
// while.
func (r *roster) NotifyConflict(existing, other *memberlist.Node) {
	f, tell := r.told.again("name "+clip(existing.Name), time.Now())
	if !tell {
		return
	}
	f.on(r.log.Warn()).Str("node", clip(existing.Name)).Stringer("known_at", addrOf(existing)).Stringer("claimed_at", addrOf(other)).
		Bool("same_metadata", bytes.Equal(existing.Meta, other.Meta)).Msg("two members go by one name")
}

// clip makes a foreign name fit for a log line.
func clip(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strings.ToValidUTF8(name, "?")
}

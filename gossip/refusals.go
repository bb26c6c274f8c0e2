package gossip

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect"
	"tokenring/loglimit"
	"tokenring/netaddr"
	"tokenring/notify"
)

// A Reason says in a word why something that came by gossip was refused. It is the label
// of a metric.
type Reason string

// The reasons.
const (
	BadMetadata Reason = "metadata" // it can't be read
	BadName     Reason = "name"     // it isn't the one that the metadata announces
	BadProtocol Reason = "protocol" // it would keep other members apart
	NotAdmitted Reason = "filter"   // Filter doesn't admit it
	TooMany     Reason = "room"     // there are too many of its kind
	OtherPool   Reason = "pool"     // all that it knows is of another pool

	NotSigned    = Reason(announcement.Unsigned)
	BadSignature = Reason(announcement.BadSignature)
	OtherKey     = Reason(announcement.OtherKey)

	Unreached Reason = "unreached" // it doesn't answer to its name at the gossip address that it names

	OtherLabel      = Reason(inspect.Label)
	OtherSecret     = Reason(inspect.Secret)
	Unencrypted     = Reason(inspect.Unencrypted)
	Malformed       = Reason(inspect.Malformed)
	HighIncarnation = Reason(inspect.Incarnation)

	TooManyStreams Reason = "streams"    // at a time, of one source or of all
	TooFast        Reason = "rate"       // too many bytes a second on the streams of one source, or too many packets
	Unfinished     Reason = "unfinished" // a message on a stream that has begun and doesn't end in time
)

var reasons = []Reason{
	BadMetadata, BadName, BadProtocol, NotAdmitted, TooMany, OtherPool, NotSigned, BadSignature, OtherKey, Unreached,
	OtherLabel, OtherSecret, Unencrypted, Malformed, HighIncarnation, TooManyStreams, TooFast, Unfinished,
}

// A Refusal is something that came by gossip and was refused at least once.
type Refusal struct {
	Reason Reason
	Host   string         // the name in question, or else that of the sender, without its role; "" if none is known
	From   netip.AddrPort // the gossip address that it came from, or that it names; port 0 if that isn't known
	Since  time.Time      // when it was refused first
	Last   time.Time      // when it was refused last, to a minute
}

// GoesOn reports whether a refusal isn't over yet.
func (r Refusal) GoesOn(now time.Time) bool { return now.Sub(r.Last) < refusalEnds }

const (
	refusalEnds = announcement.ClaimEnds // without another one, a refusal is over
	renoted     = time.Minute            // how old Last gets while a refusal goes on
	maxRefusals = 64                     // that are kept at a time; further ones are one for each reason
)

// refusals count, log and keep what one gossip has refused. They are safe for concurrent
// use.
type refusals struct {
	log     zerolog.Logger
	member  func(netip.AddrPort) (node string, at netip.AddrPort) // see members.at
	lines   loglimit.Limiter                                      // by refusalKey
	changed notify.Note                                           // list has changed; at most maxRefusals and the reasons in a minute

	mu     sync.Mutex
	totals map[Reason]uint64
	all    map[refusalKey]*Refusal
}

// A refusalKey tells refusals apart: by the name, or without one by the source.
type refusalKey struct {
	reason Reason
	about  string // "" for all others
}

func (k refusalKey) String() string { return string(k.reason) + " " + k.about }

func newRefusals(member func(netip.AddrPort) (string, netip.AddrPort), log zerolog.Logger) *refusals {
	r := &refusals{log: log, member: member, changed: notify.NewNote(), totals: map[Reason]uint64{}, all: map[refusalKey]*Refusal{}}
	for _, reason := range reasons {
		r.totals[reason] = 0
	}
	return r
}

// refuse takes note that something was refused: it counts it, logs it rarely, and keeps
// it for list. node is the name in memberlist that it is about, "" if that isn't known;
// from is the gossip address that it came from. why says more than the reason, and may
// be nil. Foreign bytes in it are quoted already.
func (r *refusals) refuse(reason Reason, node string, from netip.AddrPort, why error) {
	now, node := time.Now(), clip(node)
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	key := refusalKey{reason, node}
	if node == "" {
		key.about = netaddr.Source(from.Addr()).String()
	}
	r.mu.Lock()
	r.totals[reason]++
	r.keepLocked(key, node, from, now)
	r.mu.Unlock()
	f, log := r.lines.Add(key.String(), now)
	if !log {
		return
	}
	line := f.On(r.log.Warn()).Str("reason", string(reason)).Str("from", AddressText(from)).Err(why)
	sender, _ := r.member(from)
	if sender != "" && node == "" {
		line.Str("member", sender)
	}
	switch {
	case node != "":
		line.Str("node", node).Msg("member refused")
	case sender != "" && reason == OtherSecret:
		line.Msg("a member sends with another secret: has it, or has this machine, missed the change of the secret?")
	case reason == OtherLabel || reason == OtherSecret || reason == Unencrypted:
		line.Msg("a message came that isn't of this gossip: is it from a host or balancer whose secret or label is wrong?")
	default:
		line.Msg("message refused")
	}
}

// count counts further refusals for a reason, of which one was or is reported.
func (r *refusals) count(reason Reason, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals[reason] += uint64(times)
}

// AddressText returns at as text, without a port that isn't known; "many" for the zero
// value.
func AddressText(at netip.AddrPort) string {
	if !at.IsValid() {
		return "many"
	}
	if at.Port() == 0 {
		return at.Addr().String()
	}
	return at.String()
}

// keepLocked adds a refusal, or the time of another one, to those that go on.
func (r *refusals) keepLocked(key refusalKey, node string, from netip.AddrPort, now time.Time) {
	known := r.all[key]
	if known == nil {
		maps.DeleteFunc(r.all, func(_ refusalKey, other *Refusal) bool { return !other.GoesOn(now) })
		if len(r.all) >= maxRefusals {
			key.about, node, from = "", "", netip.AddrPort{}
			known = r.all[key]
		}
	}
	if known == nil {
		_, host := announcement.SplitNode(node)
		known = &Refusal{Reason: key.reason, Host: cmp.Or(host, node), From: from, Since: now}
		r.all[key] = known
	} else if now.Sub(known.Last) < renoted {
		return
	}
	known.Last = now
	r.changed.Leave()
}

// admitted takes note that all is well with a member: if it has been for a minute, the
// next refusal is logged at once.
func (r *refusals) admitted(node string) {
	now, node := time.Now(), clip(node)
	for _, reason := range reasons {
		r.lines.Lapse(refusalKey{reason, node}.String(), now)
	}
}

// list returns the refusals that go on, sorted by reason and name.
func (r *refusals) list(now time.Time) []Refusal {
	var all []Refusal
	r.mu.Lock()
	for _, refusal := range r.all {
		if refusal.GoesOn(now) {
			all = append(all, *refusal)
		}
	}
	r.mu.Unlock()
	for i, refusal := range all {
		if refusal.Host == "" {
			if node, at := r.member(refusal.From); node != "" {
				_, all[i].Host = announcement.SplitNode(node)
				all[i].From = at
			}
		}
	}
	slices.SortFunc(all, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Host, b.Host), a.From.Compare(b.From))
	})
	return all
}

// counts returns how often each reason was given.
func (r *refusals) counts() map[Reason]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.totals)
}

// Refused returns the note that is left when Refusals has changed; nil for a nil Gossip.
func (g *Gossip) Refused() notify.Note {
	if g == nil {
		return nil
	}
	return g.refusals.changed
}

// Refusals returns what was refused lately and may go on, sorted by reason and name; at
// most a hundred or so. A nil Gossip has none.
func (g *Gossip) Refusals() []Refusal {
	if g == nil {
		return nil
	}
	return g.refusals.list(time.Now())
}

// RefusedTotals returns how often something was refused, by reason. A nil Gossip has
// none.
func (g *Gossip) RefusedTotals() map[Reason]uint64 {
	if g == nil {
		return nil
	}
	return g.refusals.counts()
}

package pool

import (
	"cmp"
	"fmt"
	"time"

	"tokenring/balancer"
	"tokenring/peers"
	"tokenring/route"
)

// records are the registers, and how far they are written to disk.
type records struct {
	registers *peers.Set
	written   uint64    // the number of the last peers.Write
	saved     peers.Ack // the last acknowledgement of a write
	savedAt   time.Time // when it came
}

// saveRetry is the time after which a failed write to disk is tried again.
const saveRetry = 10 * time.Second

// registersEvent has registers that peers have sent.
type registersEvent []peers.Register

// apply takes the registers in, and passes on registers that are new. It contradicts a peer
// about a slow start if the host has been serving here before.
func (e registersEvent) apply(m *machine, now time.Time) bool {
	var news []peers.Register
	for _, r := range e {
		r = m.contradict(r)
		for _, last := range m.registers.Take(r, now) {
			news = append(news, last)
			if last.Version != r.Version {
				m.logConflict(r, last)
				continue
			}
			m.learned(last, now)
		}
	}
	m.save(news, now)
	return true
}

// logConflict logs that an override whose date may be wrong isn't in force.
func (m *machine) logConflict(r, kept peers.Register) {
	o, _ := r.Override()
	k, _ := kept.Override()
	m.log.Error().Str("host", o.Host).Str("origin", o.Origin).Time("at", o.At).Str("state", string(o.State)).Str("kept", string(k.State)).Str("kept_origin", k.Origin).
		Msg("an override isn't in force: its date may be wrong, and it was set without knowledge of the one that stays")
}

// learned logs a register of a peer that is new, and tells the gossip of keys.
func (m *machine) learned(r peers.Register, now time.Time) {
	if s, ok := r.SlowStart(); ok {
		m.log.Debug().Str("host", s.Host).Time("since", s.Since).Dur("lasts", s.Lasts).Msg("a peer has told of a slow start")
		return
	}
	if k, ok := r.HostKey(); ok {
		m.learnedKey(k)
		return
	}
	if p, ok := r.Precedence(); ok {
		m.log.Debug().Str("host", p.Host).Str("address", p.Address).Time("since", p.Since).Msg("a peer has told since when a host has had its address")
		return
	}
	o, ok := r.Override()
	if !ok {
		m.log.Debug().Stringer("topic", r.Topic).Msg("a peer has sent a register that this version doesn't know: it is kept and passed on")
		return
	}
	m.logOverride(o)
	if m.registers.Ahead(o, now) {
		m.log.Error().Str("host", o.Host).Str("origin", o.Origin).Time("at", o.At).Msg("the time of an override is in the future: the clock of its origin is wrong")
	}
}

// overrideEvent is a request of an operator of this balancer.
type overrideEvent struct {
	id       uint64 // of the request
	override route.Override
}

// apply puts the override in force. If something is wrong with it, the answer comes at
// once. Otherwise it comes when the override is in the table and on disk.
func (e overrideEvent) apply(m *machine, now time.Time) bool {
	write, err := m.override(e.override, now)
	m.await(e.id, write, err)
	return true
}

// override puts o in force. It returns the number of the peers.Write that has it.
func (m *machine) override(o route.Override, now time.Time) (write uint64, err error) {
	if m.find(o.Host) == nil {
		return 0, route.ErrUnknownHost
	}
	dated := m.registers.Date(o, m.name, now)
	news, err := dated.Registers()
	if err = cmp.Or(err, m.checkCapacity(o)); err != nil {
		return 0, fmt.Errorf("%w: %w", route.ErrOverride, err)
	}
	for _, r := range news {
		m.registers.Merge(r, now)
	}
	m.logOverride(dated)
	m.save(news, now)
	return m.written, nil
}

// checkCapacity returns an error if no table can hold all hosts with the weight of o. It
// counts hosts for which claims reports true, also if they are out of the ring at present,
// but no hosts for which there is no room already.
func (m *machine) checkCapacity(o route.Override) error {
	about := m.find(o.Host)
	if about == nil || o.Weight == nil {
		return nil
	}
	placed := m.own(about)
	if *o.Weight != route.OwnWeight {
		placed.Weight = *o.Weight
	}
	if err := m.checkRoom(placed); err != nil {
		return fmt.Errorf("the ring has no room for the weight %d of %s: %w", placed.Weight, o.Host, err)
	}
	return nil
}

// checkRoom returns an error if no table can hold a host beside the others. See
// checkCapacity for which count.
func (m *machine) checkRoom(placed balancer.Host) error {
	var hosts []balancer.Host
	for _, h := range m.hosts {
		if h.Name != placed.Name && m.claims(h) && m.Barred[h.Name] == "" && !m.capacity.Excludes(h.Name) {
			hosts = append(hosts, m.placed(h))
		}
	}
	return m.hash.Check(append(hosts, placed))
}

// logOverride logs an override that has come into force.
func (m *machine) logOverride(o peers.Override) {
	line := m.log.Info().Str("host", o.Host)
	if o.State != "" {
		line.Str("state", string(o.State))
	}
	switch {
	case o.Weight == nil:
	case *o.Weight == route.OwnWeight:
		line.Str("weight", "own")
	default:
		line.Int("weight", *o.Weight)
	}
	line.Str("reason", o.Reason).Str("by", o.By).Str("origin", o.Origin).Msg("operator's override")
}

// save has new registers sent to peers and written to disk. It drops registers that are
// too many, or that nothing needs any more.
func (m *machine) save(news []peers.Register, now time.Time) {
	if len(news) == 0 {
		return
	}
	dropped := m.registers.Prune()
	overrides, keys := 0, 0
	for _, topic := range dropped {
		switch topic.Kind {
		case peers.KindSlowStart, peers.KindPrecedence:
		case peers.KindHostKey:
			keys++
			m.setKey(peers.HostKey{Host: topic.Key})
		default:
			overrides++
		}
	}
	if overrides > 0 {
		m.log.Error().Int("overrides", overrides).Msg("the oldest overrides of unknown hosts are forgotten: there are too many")
	}
	if keys > 0 {
		m.log.Warn().Int("keys", keys).Msg("the oldest keys of unknown hosts are forgotten: there are too many")
	}
	dropped = append(dropped, m.registers.Expire(now)...)
	m.write(news, dropped)
}

// write adds a write to the effects: registers to send and to write to disk, and topics to
// drop there.
func (m *machine) write(news []peers.Register, dropped []peers.Topic) {
	m.written++
	m.effects.writes = append(m.effects.writes, peers.Write{Number: m.written, Registers: news, Dropped: dropped})
}

// ackEvent has the result of a write to disk.
type ackEvent peers.Ack

func (e ackEvent) apply(m *machine, now time.Time) bool {
	switch ack := peers.Ack(e); {
	case ack.Alarm() == m.saved.Alarm():
	case ack.Err != nil:
		m.log.Error().Err(ack.Err).Msg("overrides and slow starts are in force but not on disk")
	case ack.CompactErr != nil:
		m.log.Error().Err(ack.CompactErr).Msg(peers.FileName + " can't be written: changes are only in " + peers.JournalName)
	default:
		m.log.Info().Msg("overrides and slow starts are on disk again")
	}
	m.saved, m.savedAt = peers.Ack(e), now
	return true
}

// retryWrite has a failed write to disk tried again when it is time. It returns that time;
// zero if no write has failed.
func (m *machine) retryWrite(now time.Time) (next time.Time) {
	if m.saved.Alarm() == "" || m.saved.Number < m.written {
		return time.Time{}
	}
	if due := m.savedAt.Add(saveRetry); now.Before(due) {
		return due
	}
	m.write(nil, nil)
	return time.Time{}
}

// adminState returns the state of h: what an operator has set, or that the host itself says
// that it drains.
func (m *machine) adminState(h *host) route.AdminState {
	if m.drainsItself(h) {
		return route.AdminState{State: route.Drain, DrainEnd: route.DrainEnd{Deadline: h.Drain.Deadline}, ListedBy: h.by}
	}
	o := m.registers.State(h.Name)
	return route.AdminState{State: o.State, StateOverride: route.Attribution{By: o.By, Reason: o.Reason, Since: o.At}, DrainEnd: o.Drain, ListedBy: h.by}
}

// drainsItself reports whether h drains because it says so. Operators' overrides come first:
// another state than ready, and ready if it was set after the host had begun to drain.
func (m *machine) drainsItself(h *host) bool {
	o := m.registers.State(h.Name)
	return h.Drain.Drains() && !m.isForeign(h) && o.State == route.Ready && h.Drain.Since.After(o.At)
}

// logDrain logs what h has announced about a drain.
func (m *machine) logDrain(h *host) {
	line := m.log.Info().Str("host", h.Name)
	if !h.Drain.Drains() {
		line.Msg("host doesn't say any more that it drains")
		return
	}
	if !h.Drain.Deadline.IsZero() {
		line.Time("deadline", h.Drain.Deadline)
	}
	line.Msg("host says that it drains")
}

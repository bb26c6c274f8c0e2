package pool

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/route"
)

// hostKeys are the keys of hosts of the configuration. Those that were learned are
// registers.
type hostKeys struct {
	configured map[string]route.HostKey // by host; nil if the configuration has none
	file       string                   // what is wrong with the file; "" if nothing is
}

// A keySet is a key that the gossip is to be told.
type keySet struct {
	host string
	key  route.HostKey // zero: the next one is to be learned
}

// keyOf returns the key by which a host is known; zero if none is.
func (m *machine) keyOf(host string) route.HostKey {
	if key, ok := m.keys.configured[host]; ok {
		return key
	}
	known, _ := m.registers.HostKey(host)
	return known.Key
}

// isForeign reports whether h isn't what its key says: the last announcement that was
// taken has another key than the one that is known now, or none.
func (m *machine) isForeign(h *host) bool {
	key := m.keyOf(h.Name)
	return !h.listed() && !key.IsZero() && h.Key != key
}

// learnKeys keeps the keys of hosts that are in the ring. It waits for the first exchange
// with the peers, which may know the keys of these hosts for long.
func (m *machine) learnKeys(now time.Time) {
	if !m.peersJoined || m.arriving {
		return
	}
	var news []peers.Register
	for _, h := range m.hosts {
		_, configured := m.keys.configured[h.Name]
		known, _ := m.registers.HostKey(h.Name)
		if h.listed() || configured || !h.IsSigned() || !known.Key.IsZero() || !h.eligibility.InRing {
			continue
		}
		k := peers.HostKey{Host: h.Name, Key: h.Key, Number: known.Number, At: now, Origin: m.name, Machine: h.machine()}
		if r, err := k.Register(); err == nil && m.registers.Merge(r, now) {
			news = append(news, r)
			m.setKey(k)
			m.log.Info().Str("host", h.Name).Str("key", h.Key.Fingerprint()).Msg("the key of a host is known from now on")
		}
	}
	m.save(news, now)
}

// setKey has the gossip told of a key. If the next one is to be learned, what was announced
// with the last one counts as not signed.
func (m *machine) setKey(k peers.HostKey) {
	if h := m.find(k.Host); h != nil && k.Key.IsZero() {
		h.Signature = announcement.Signature{}
	}
	m.effects.keys = append(m.effects.keys, keySet{k.Host, k.Key})
}

// learnedKey takes in what a peer has said of a key.
func (m *machine) learnedKey(k peers.HostKey) {
	m.setKey(k)
	line := m.log.Debug()
	if h := m.find(k.Host); k.By != "" || h != nil && m.isForeign(h) {
		line = m.log.Warn()
	}
	line.Str("host", k.Host).Str("key", k.Key.Fingerprint()).Str("by", k.By).Str("origin", k.Origin).Msg("a peer knows the key of a host")
}

// configuredEvent has the keys of the configuration, or what is wrong with them.
type configuredEvent struct {
	keys map[string]route.HostKey
	err  error // keys is nil, and the ones before stay
}

func (e configuredEvent) apply(m *machine, _ time.Time) bool {
	if e.err != nil {
		m.log.Error().Err(e.err).Msg("pool.hosts_keys can't be used: the keys before stay in force")
		m.keys.file = e.err.Error()
		return true
	}
	m.log.Info().Int("keys", len(e.keys)).Msg("pool.hosts_keys has been read")
	m.keys.configured, m.keys.file = e.keys, ""
	m.effects.configured = e.keys
	return true
}

// keysAlarms says what is wrong with keys.
func (m *machine) keysAlarms() (alarms []string) {
	if m.keys.file != "" {
		alarms = append(alarms, fmt.Sprintf("pool.hosts_keys can't be used, and the keys before stay in force: %s", m.keys.file))
	}
	if foreign := m.names(m.isForeign); len(foreign) > 0 {
		alarms = append(alarms, fmt.Sprintf("%s has announced itself with another key than the one that is known, or without one, and is out of the ring: "+
			"see whether another machine has taken its name; if the host has a new key, take it with lb ctl rekey", route.ShortList(foreign)))
	}
	return alarms
}

// rekeyEvent is a request of an operator of this balancer for another key.
type rekeyEvent struct {
	id    uint64 // of the request
	rekey route.Rekey
}

// apply puts the key in force. If something is wrong with the request, the answer comes at
// once. Otherwise it comes when the key is on disk.
func (e rekeyEvent) apply(m *machine, now time.Time) bool {
	write, err := m.rekey(e.rekey, now)
	m.await(e.id, write, err)
	return true
}

// rekey puts r in force. It returns the number of the peers.Write that has it.
func (m *machine) rekey(r route.Rekey, now time.Time) (write uint64, err error) {
	known, ok := m.registers.HostKey(r.Host)
	if _, configured := m.keys.configured[r.Host]; configured {
		return 0, fmt.Errorf("%w: pool.hosts_keys has the key of %s; change it there", route.ErrRekey, r.Host)
	}
	switch h := m.find(r.Host); {
	case h != nil && h.listed():
		return 0, fmt.Errorf("%w: %s is listed, and such a host has no key", route.ErrRekey, r.Host)
	case h == nil && !ok && r.Key.IsZero():
		return 0, route.ErrUnknownHost
	}
	k := peers.HostKey{Host: r.Host, Key: r.Key, Number: known.Number + 1, At: now, Origin: m.name, By: r.By, Reason: r.Reason}
	register, err := k.Register()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", route.ErrRekey, err)
	}
	m.registers.Merge(register, now)
	m.setKey(k)
	m.log.Info().Str("host", r.Host).Str("key", r.Key.Fingerprint()).Str("by", r.By).Str("reason", r.Reason).Msg("operator's key of a host")
	m.save([]peers.Register{register}, now)
	return m.written, nil
}

// Rekey takes what an operator says of the key of a host, and returns the key that is known
// from now on; zero if the next one is to be learned. It returns when that is on disk, or
// when ctx or Run ends. Errors are route.ErrUnknownHost and route.ErrRekey (wrapped).
func (p *Pool) Rekey(ctx context.Context, r route.Rekey) (route.HostKey, error) {
	if err := r.Check(); err != nil {
		return route.HostKey{}, fmt.Errorf("%w: %w", route.ErrRekey, err)
	}
	if r.Key.IsZero() && !r.Forget {
		key, err := chooseClaim(r.Host, p.gossips.Keys.Claims(r.Host, time.Now()))
		if err != nil {
			return route.HostKey{}, err
		}
		r.Key = key
	}
	return r.Key, p.ask(ctx, request{rekey: &r})
}

// chooseClaim returns the one key with which a host was refused lately.
func chooseClaim(host string, claims []announcement.Claim) (route.HostKey, error) {
	switch len(claims) {
	case 0:
		return route.HostKey{}, fmt.Errorf("%w: %s hasn't been announced here with another key in the last minutes; say which key is right, or ask to have the known one forgotten", route.ErrRekey, host)
	case 1:
		return claims[0].Metadata.Key, nil
	}
	var all []string
	for _, c := range claims {
		all = append(all, fmt.Sprintf("%s from %s", c.Metadata.Key, c.Metadata.Gossip))
	}
	return route.HostKey{}, fmt.Errorf("%w: %s has been announced with several other keys: %s; say which is right", route.ErrRekey, host, strings.Join(all, ", "))
}

// applyKeys tells the gossip of keys.
func (p *Pool) applyKeys(e effects) {
	if p.gossips.Hosts == nil {
		return
	}
	if e.configured != nil {
		p.gossips.Hosts.ConfigureHostKeys(e.configured)
	}
	for _, k := range e.keys {
		p.gossips.Hosts.SetHostKey(k.host, k.key)
	}
}

// rememberKeys sets the keys of the last run.
func rememberKeys(keys *announcement.Keys, registers []peers.Register) {
	for _, r := range registers {
		if k, ok := r.HostKey(); ok {
			keys.SetKey(k.Host, k.Key)
		}
	}
}

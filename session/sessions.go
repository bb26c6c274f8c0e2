package session

import (
	"slices"
	"sync"

	"tokenring/balancer"
	"tokenring/route"
)

// Sessions knows the host of every key that has live terminals. It makes sure that all
// terminals of a key through this balancer are on one host, so that a user stays on that
// host while the ring changes. Each terminal of a client without a token is a session of
// its own.
//
// It is sharded by the key's digest, so that no lock is shared by all connections. Make
// one with New. Its methods are safe for concurrent use.
type Sessions struct {
	shards  [shards]shard
	watches watches
}

// shards is the number of shards: a power of two, 256 at most.
const shards = 64

type shard struct {
	mu     sync.Mutex
	live   map[balancer.Digest]*session
	frozen bool // Freeze was called
}

// A session is the live terminals of one key. The digest doesn't change; the shard's lock
// guards the other fields. There may be hundreds of thousands of sessions, so it is kept
// small: 48 bytes.
type session struct {
	digest    balancer.Digest
	endpoint  *route.Endpoint // of all its terminals
	newest    *Terminal       // the head of a linked list
	hash      uint64          // of the key, if it is hashed
	terminals int32
	hashed    bool
	anonymous bool // the key isn't of a token
}

// A Terminal is a tunnel's entry in a session. The owner of the tunnel embeds it, so that
// it costs no allocation. Sessions keeps a pointer to it from Add to Remove. Tunnel must
// be set before Add. A Terminal must not be copied after Add.
type Terminal struct {
	Tunnel  Tunnel
	session *session  // nil before Add
	next    *Terminal // of the same session
}

// A Tunnel is what Sessions needs of a tunnel. Its methods are safe for concurrent use.
type Tunnel interface {
	// End ends the tunnel for a reason. It may call Sessions.Remove. It does nothing if
	// the tunnel has ended.
	End(why string)
	// Retired reports whether the tunnel's host now has another address, or isn't known
	// any more. It is called with a lock held: it must not block and must not call
	// Sessions.
	Retired() bool
	// Detail returns what the tunnel is like now. open is false before it is open and after
	// its end, and if it is in another process.
	Detail() (d Detail, open bool)
}

// Moved is the reason with which terminals are ended when their key has moved to another
// host, or their host to another address.
const Moved = "moved"

// New returns an empty Sessions.
func New() *Sessions {
	s := new(Sessions)
	for i := range s.shards {
		s.shards[i].live = make(map[balancer.Digest]*session)
	}
	return s
}

// Host returns the host of a key's terminals and their number. It returns "" and 0 if
// there are none.
func (s *Sessions) Host(key balancer.Digest) (host string, terminals int) {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	live := shard.live[key]
	if live == nil {
		return "", 0
	}
	return live.endpoint.Name, int(live.terminals)
}

// has reports whether a key has terminals.
func (s *Sessions) has(key balancer.Digest) bool {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.live[key] != nil
}

// Opening reports whether a key has terminals, none of which is open yet. Terminals of older
// processes count as open.
func (s *Sessions) Opening(key balancer.Digest) bool {
	var all []Tunnel
	shard := s.shard(key)
	shard.mu.Lock()
	if live := shard.live[key]; live != nil {
		all = live.tunnels(nil)
	}
	shard.mu.Unlock()
	return len(all) > 0 && !slices.ContainsFunc(all, func(t Tunnel) bool {
		_, elsewhere := t.(*older)
		_, open := t.Detail()
		return elsewhere || open
	})
}

// List returns all sessions, in no order. It calls away for each key to set Session.Away,
// and holds no lock meanwhile. It visits all sessions, so it is for operators' questions
// only.
func (s *Sessions) List(away func(key balancer.Digest) bool) []Session {
	var all []Session
	for i := range s.shards {
		shard := &s.shards[i]
		begin, keys := len(all), []balancer.Digest(nil)
		shard.mu.Lock()
		for key, live := range shard.live {
			all, keys = append(all, live.summary()), append(keys, key)
		}
		shard.mu.Unlock()
		for j, key := range keys { // without the lock, which Placements takes under its own
			all[begin+j].Away = away(key)
		}
	}
	return all
}

func (s *session) summary() Session {
	return Session{Host: s.endpoint.Name, Hash: s.hash, Keyed: s.hashed, Tunnels: int(s.terminals)}
}

// Add adds t to the session of a key, on the host at an endpoint. It must be called before
// anything is sent to that host, and once for each Terminal. It refuses t, and reports
// false, in three cases:
//
//   - Freeze was called.
//   - The key has terminals on another host, and keeps reports true for that host.
//   - The key has terminals at another address of the same host, and t's tunnel is
//     Retired, so that t's address is the old one.
//
// Otherwise it ends the key's terminals on another host or at another address, with the
// reason Moved. It calls keeps with a lock held: keeps must not block and must not call
// Sessions.
func (s *Sessions) Add(key Key, at *route.Endpoint, t *Terminal, keeps func(host string) bool) bool {
	displaced, ok := s.shard(key.Digest).enter(key, at, t, keeps)
	endAll(displaced, Moved)
	s.watches.changed(key.Digest)
	return ok
}

// Freeze makes Add refuse all terminals from now on. When it returns, no call of Add will
// succeed any more.
func (s *Sessions) Freeze() {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		s.shards[i].frozen = true
		s.shards[i].mu.Unlock()
	}
}

// frozen reports whether Freeze was called, as far as a key is concerned.
func (s *Sessions) frozen(key balancer.Digest) bool {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.frozen
}

// enter does what Add says, but returns the terminals that are to be ended.
func (s *shard) enter(key Key, at *route.Endpoint, t *Terminal, keeps func(host string) bool) (displaced []Tunnel, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.live[key.Digest]
	switch {
	case s.frozen:
		return nil, false
	case live == nil:
	case *live.endpoint == *at:
		live.add(key, t)
		return nil, true
	case live.endpoint.Name == at.Name && t.Tunnel.Retired():
		return nil, false
	case live.endpoint.Name != at.Name && keeps(live.endpoint.Name):
		return nil, false
	default:
		displaced = live.tunnels(nil)
	}
	live = &session{digest: key.Digest, endpoint: at, anonymous: key.Anonymous}
	live.add(key, t)
	s.live[key.Digest] = live
	return displaced, true
}

// add adds t to s. It also sets the hash of s, because there may have been no table for
// it when the first terminal was added.
func (s *session) add(key Key, t *Terminal) {
	t.session, t.next = s, s.newest
	s.newest = t
	s.terminals += t.weight()
	if key.Hashed() {
		s.hash, s.hashed = key.Hash(), true
	}
}

// Counts reports whether t is in the present session of its key, not in one that another has
// displaced, and that key is of a token.
func (s *Sessions) Counts(t *Terminal) bool {
	if t.session == nil {
		return false
	}
	shard := s.shard(t.session.digest)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.live[t.session.digest] == t.session && !t.session.anonymous
}

// Remove removes t from its session. It does nothing if Add has refused t, or if t was
// removed before. It may be called for a terminal that Sessions has ended.
func (s *Sessions) Remove(t *Terminal) {
	left := t.session
	if left == nil {
		return
	}
	shard := s.shard(left.digest)
	shard.mu.Lock()
	left.remove(t)
	if left.newest == nil && shard.live[left.digest] == left {
		delete(shard.live, left.digest)
	}
	shard.mu.Unlock()
	s.watches.changed(left.digest)
}

func (s *session) remove(t *Terminal) {
	for at := &s.newest; *at != nil; at = &(*at).next {
		if *at == t {
			*at = t.next
			s.terminals -= t.weight()
			return
		}
	}
}

// End ends, for a reason, all terminals on the endpoints for which the function which
// reports true. It visits all sessions, so it is only for changes of hosts. It calls the
// function with a lock held: the function must not block and must not call Sessions.
func (s *Sessions) End(which func(at *route.Endpoint) bool, why string) {
	s.visit(which, func(hit []Tunnel) { endAll(hit, why) })
}

// Probe has the tunnels of all sessions at the endpoints for which the function reports true find
// out whether the host still has them; see Prober. The function is as for End.
func (s *Sessions) Probe(which func(at *route.Endpoint) bool) {
	s.visit(which, func(hit []Tunnel) {
		for _, t := range hit {
			if p, ok := t.(Prober); ok {
				p.Probe()
			}
		}
	})
}

// A Prober is a Tunnel that can find out whether its host still has it: if not, it ends soon.
type Prober interface{ Probe() }

// visit calls do with the tunnels of all sessions at the endpoints for which which reports true,
// some at a time, without a lock.
func (s *Sessions) visit(which func(at *route.Endpoint) bool, do func([]Tunnel)) {
	for i := range s.shards {
		shard := &s.shards[i]
		var hit []Tunnel
		shard.mu.Lock()
		for _, live := range shard.live {
			if which(live.endpoint) {
				hit = live.tunnels(hit)
			}
		}
		shard.mu.Unlock()
		do(hit)
	}
}

// Tunnels returns the tunnels of all sessions, in no order, without those of older
// processes. It visits all sessions, so it is only for the end of a process.
func (s *Sessions) Tunnels() (all []Tunnel) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for _, live := range shard.live {
			all = live.tunnels(all)
		}
		shard.mu.Unlock()
	}
	return slices.DeleteFunc(all, func(t Tunnel) bool {
		_, elsewhere := t.(*older)
		return elsewhere
	})
}

// EndKeys ends, for a reason, all terminals of some keys.
func (s *Sessions) EndKeys(keys []balancer.Digest, why string) {
	var hit []Tunnel
	for _, key := range keys {
		shard := s.shard(key)
		shard.mu.Lock()
		if live := shard.live[key]; live != nil {
			hit = live.tunnels(hit)
		}
		shard.mu.Unlock()
	}
	endAll(hit, why)
}

// tunnels appends the tunnels of s to list.
func (s *session) tunnels(list []Tunnel) []Tunnel {
	for t := s.newest; t != nil; t = t.next {
		list = append(list, t.Tunnel)
	}
	return list
}

func (s *Sessions) shard(key balancer.Digest) *shard { return &s.shards[shardOf(key)] }

// shardOf returns the index of a key's shard. Digests are spread evenly over the shards.
func shardOf(key balancer.Digest) int { return int(key[0]) % shards }

// endAll ends tunnels. Those of an older process it ends together, and it waits until they
// have ended. It must not be called with a lock held, because a tunnel that ends calls
// Remove.
func endAll(tunnels []Tunnel, why string) {
	if len(tunnels) == 0 {
		return
	}
	elsewhere := map[*Elder][]balancer.Digest{}
	for _, t := range tunnels {
		if o, ok := t.(*older); ok {
			elsewhere[o.elder] = append(elsewhere[o.elder], o.session.digest)
		} else {
			t.End(why)
		}
	}
	var ending sync.WaitGroup
	for e, keys := range elsewhere {
		ending.Go(func() { e.owner.End(keys, why) })
	}
	ending.Wait()
}

// Digest returns the digest of t's session. It is the zero Digest if Add hasn't added t.
func (t *Terminal) Digest() balancer.Digest {
	if t.session == nil {
		return balancer.Digest{}
	}
	return t.session.digest
}

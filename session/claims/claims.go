// Package claims has the balancers of a region agree on the host of a key that stays nowhere
// yet: none of them knows a live session of it, and it doesn't linger. Before such a key is sent
// to a host, it is claimed for the host: the balancer notes the claim, and then asks its peers.
// So no two balancers that can ask each other send a key to two hosts, however much their rings
// differ.
//
// Like package session it never gets a token, and knows a key by its digest.
package claims

import (
	"context"
	"errors"
	"time"

	"tokenring/balancer"
	"tokenring/mutant"
)

// Claims are the claims of one balancer. Requests of one key share a claim, and so a host. It
// lasts until the last of them has ended.
//
// Two balancers that claim one key at the same moment find out by asking each other: each
// notes its claim before it asks. Then the one whose name is the smaller one goes first. The
// other one asks until it gets an answer, and takes that host.
//
//	lb-1  note a ── ask lb-2 ─────────────────▶ free ── a is held
//	lb-2     note b ── ask lb-1 ──▶ deciding … ask lb-1 ──▶ held a
//
// A balancer that has been asked by one that goes before it, while it asks itself, asks again:
// its peers may have answered before they were asked. So does one whose peers have the key on
// different hosts: one of these may have let it go since it answered. Only the greater name waits
// for the smaller one, so nobody waits for ever.
//
// Make them with New. Their methods are safe for concurrent use.
type Claims struct {
	name  string
	times times
	table table
	asker *asker // nil: there are no peers
}

// times are how long claims wait for what.
type times struct {
	patience time.Duration // for a peer's answer, and for a stream to a peer that lives
	claim    time.Duration // for all that a claim waits for
	dispute  time.Duration // for peers to agree that have the key on different hosts
	minPause time.Duration // before a peer that decides is asked again; it doubles
	maxPause time.Duration
}

var defaultTimes = times{patience: time.Second, claim: 2 * time.Second, dispute: 250 * time.Millisecond, minPause: time.Millisecond, maxPause: 20 * time.Millisecond}

// Peers are the other balancers, and how they are asked. Its methods must be safe for
// concurrent use.
type Peers interface {
	// Open returns the names of the peers that can be asked, and until when it is worth waiting
	// for others, which live and can't be asked yet; the zero Time if there are none.
	Open() (names []string, until time.Time)
	// Ask asks a peer a question of 32 KiB at most, and returns its answer. Its error is ErrLost
	// if the connection to the peer was lost meanwhile.
	Ask(ctx context.Context, peer string, question []byte) ([]byte, error)
}

// ErrLost is an error of Peers.Ask: see there.
var ErrLost = errors.New("the connection to it was lost")

// ErrUsed says that a key can't be claimed for another host: a request of it has still to end
// on the host of its claim.
var ErrUsed = errors.New("a request of this key is in progress on another host")

// New returns the Claims of the balancer with a name. Without peers, nil, nobody is asked.
func New(name string, p Peers) *Claims {
	c := &Claims{name: name, times: defaultTimes}
	if p != nil {
		c.asker = newAsker(p, c.times)
	}
	return c
}

// Run returns when ctx has ended, and with it all questions. Claims that come later are decided
// without the peers.
func (c *Claims) Run(ctx context.Context) error {
	<-ctx.Done()
	if c.asker != nil {
		c.asker.end()
	}
	return nil
}

// alone reports whether there is nobody to ask.
func (c *Claims) alone() bool { return c.asker == nil || mutant.On(mutant.NoClaim) }

// A Wish is what an exchange wants of a claim.
type Wish struct {
	Key  balancer.Digest
	Host string // that it has chosen
	// Binds reports whether the key has to go to another host, if it was claimed for that one
	// or a peer has it there. Otherwise gone says that the other host serves nobody any more.
	// It is called by the goroutine that calls Claim.
	Binds func(Where) (binds, gone bool)
}

// A Result says how a claim was decided.
type Result uint8

// The results.
const (
	Own     Result = iota // by a request of this balancer before, or there is nobody to ask
	Agreed                // all peers that could be asked have answered that the key is free
	Taken                 // a peer has the key on a host, which binds
	Late                  // a peer has not answered in time, or is still deciding
	Unasked               // too many claims wait to ask a peer
	lost                  // the connection to a peer was lost: it may be back
)

// Claim has a key claimed for the host of a wish, or takes part in its claim by h, and returns
// where the key is to go: the host of the wish, or another one that binds. It waits for the
// answers of peers, for two seconds at most. The caller must call Release, also after an error.
// An error is that of ctx, or ErrUsed.
func (c *Claims) Claim(ctx context.Context, h *Hold, wish Wish) (Where, Result, error) {
	limit, cancel := context.WithTimeout(ctx, c.times.claim)
	defer cancel()
	result := Own
	for {
		w, next, change := c.table.enter(h, wish.Key, wish.Host, c.alone())
		switch {
		case next == use && w.Host == wish.Host:
			return w, result, nil
		case next == use:
			binds, gone := wish.Binds(w)
			if binds {
				return w, result, nil
			}
			if !c.table.reopen(h, w.Host, gone) {
				return w, result, ErrUsed
			}
			continue
		case next == ask:
			w, result = c.decide(limit, h, wish)
		default:
			w = Where{}
			select {
			case <-change:
			case <-limit.Done():
			}
		}
		if ctx.Err() != nil {
			return Where{}, result, context.Cause(ctx)
		}
		if limit.Err() != nil {
			c.table.force(h, w)
			result = Late
		}
	}
}

// decide asks the peers for the key of a wish until the claim is decided or ctx ends. It
// returns where a peer has the key, as far as is known when ctx ends.
func (c *Claims) decide(ctx context.Context, h *Hold, wish Wish) (Where, Result) {
	binds := func(w Where) bool {
		binds, _ := wish.Binds(w)
		return binds
	}
	began := time.Now()
	for pause := c.times.minPause; ; pause = min(2*pause, c.times.maxPause) {
		c.table.again(h)
		answers, result := c.asker.ask(ctx, wish.Key)
		w, doubt := best(answers, binds)
		switch {
		case ctx.Err() != nil:
			return w, result
		case doubt == deciding || result == lost:
		case doubt == disagreed && time.Since(began) < c.times.dispute:
		case c.table.conclude(h, w):
			if w.Host != "" {
				result = Taken
			}
			return w, result
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return w, result
		}
	}
}

// Try is Claim for the usual case, in which nothing has to be asked or waited for, and the key
// can go to the host of the wish. It returns false in all other cases, in which Claim is to be
// called with the same h.
func (c *Claims) Try(h *Hold, key balancer.Digest, host string) bool {
	if !c.alone() {
		return false
	}
	w, next, _ := c.table.enter(h, key, host, true)
	return next == use && w.Host == host
}

// Keep has h take part in the claim of a key that is in use on a host, whatever the reason for
// which it is there. If there is no claim, it is held for the host, and nobody is asked.
func (c *Claims) Keep(h *Hold, key balancer.Digest, host string) {
	if w, next, _ := c.table.enter(h, key, host, true); next == use && w.Host == host {
		c.table.send(h, host)
	}
}

// Send must be called before anything is sent to the host of h's claim. If it returns false,
// the key has got another host meanwhile: nothing must be sent, and Claim called again.
func (c *Claims) Send(h *Hold, host string) bool { return c.table.send(h, host) }

// Release ends h's part in its claim. Before, whatever else tells where the key is must know:
// its session, or its last use. Without a part it does nothing.
func (c *Claims) Release(h *Hold) { c.table.release(h) }

// Used calls do for each key that is held for a host.
func (c *Claims) Used(do func(key balancer.Digest, host string)) { c.table.each(do) }

// Answer answers the question of a peer. known returns what else is known of a key: its live
// sessions and its last use; Free for nothing.
func (c *Claims) Answer(peer string, question []byte, known func(balancer.Digest) Answer) ([]byte, error) {
	keys, err := readQuestion(question)
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, key := range keys {
		text = appendAnswer(text, c.answer(peer, key, known))
	}
	return text, nil
}

// answer returns what there is to say of one key. Both answers count: the peer may find that
// one of the hosts can't keep the key.
func (c *Claims) answer(peer string, key balancer.Digest, known func(balancer.Digest) Answer) (all [2]Answer) {
	all[0] = c.table.answer(key, peer < c.name) // first: when a claim is released, the rest is known
	all[1] = known(key)
	return all
}

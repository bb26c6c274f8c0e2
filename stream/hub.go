// Package stream has the streams on which the balancers of a region tell one another their
// live sessions, and by which they ask one another questions.
//
// A balancer opens one stream to each peer. On it only the opener tells: first all its
// sessions, the snapshot, and from then on their changes. The other end acknowledges, and
// answers. So two balancers have two streams, one each way:
//
//	opener      hello, hosts and reports …, snapshot end, hosts and reports, ping, question …
//	other end   hello, ack with the time …, answer …
//
// A stream is TLS 1.3 over TCP. Each end has a key of its own, and knows the other's by its
// fingerprint; see Identity. Nothing waits for a slow peer: what it hasn't been told yet is in
// the stream's Source, and not more than a second or so of pings and some frames are on their
// way. A peer from which nothing has come for three seconds is gone; its stream is opened anew
// until it is back.
package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/loglimit"
	"tokenring/notify"
	"tokenring/session"
)

// A Peer is a balancer to which a stream is to be kept, and whose stream is accepted.
type Peer struct {
	Name        string
	Address     string // host:port of its listener of streams; "": it isn't known, or there is none
	Fingerprint Fingerprint
}

// Options are what a Hub needs. All but Answer, Clock, Dial and Log must be set.
type Options struct {
	Name     string   // this balancer's
	Boot     uint64   // of this process: a random number
	Identity Identity // this balancer's
	KeyID    [8]byte  // names the secret of the digests; peers with another one are refused

	// Sources returns what to tell on a stream that has been opened. It is called for each
	// stream, and the Hub closes what it returns.
	Sources func() Source
	Sink    Sink // takes what peers tell

	// Answer answers a question of a peer, in 1 MiB at most. Its error is told to the peer.
	// It is called in goroutines of the Hub, and must return when ctx ends. If it is nil, all
	// questions get an error.
	Answer func(ctx context.Context, peer, kind string, question []byte) ([]byte, error)

	// Clock shows this balancer's time, which peers are told; nil for time.Now.
	Clock func() time.Time

	// Dial connects to an address; nil for TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	Log  zerolog.Logger
}

// A Source has the reports to tell one peer. It begins with all sessions: the snapshot. A
// *session.Watch is one. Its methods are called by one goroutine. If it also has a method
// Pending, as a Watch does, Status counts what that returns.
type Source interface {
	// Next returns reports that haven't been returned yet. If there are none, it waits. Those
	// that it has returned have been sent when it is called again. It returns an error only if
	// ctx ends.
	Next(ctx context.Context) ([]session.Report, error)
	// Snapshot reports whether Next has returned all that was there at the beginning.
	Snapshot() bool
	Close()
}

// A Sink takes what peers tell. It is safe for concurrent use. Of a peer at most one stream
// counts: a newer one ends the older one before it begins.
type Sink interface {
	// Begin says that a stream of a peer has begun. What the peer has told on an earlier one is
	// void once the snapshot is complete.
	Begin(peer string, boot uint64) Told
}

// A Told takes what one stream tells. Its methods are called one after the other, in the
// order of the stream. While one runs, its stream waits; if that takes some seconds, the peer
// takes this balancer for gone.
type Told interface {
	Reports([]session.Report) // it must not keep the slice
	SnapshotEnd()             // all that there was when the stream began has been told
	End()                     // the stream has ended, whatever the reason; nothing comes after it
}

// A Hub keeps the streams of a balancer. Its methods are safe for concurrent use.
type Hub struct {
	options Options
	times   times
	limiter *limiter
	refused *refusals
	changed notify.Note
	lines   loglimit.Limiter // of streams that were opened, and that were not
	tls     *tls.Config      // of streams that peers open

	all context.Context // of all that Run starts
	end context.CancelFunc

	mu      sync.Mutex
	running bool
	peers   map[string]*peer     // by name
	streams map[string]*incoming // the newest one of each peer, by its name, until it has ended
	serving sync.WaitGroup
}

// times are how long streams wait for what.
type times struct {
	handshake time.Duration // for a connection, TLS, and who the other end is
	ping      time.Duration // from one ping to the next
	patience  time.Duration // for a sign of life, and for each write
	answer    time.Duration // for an answer
	minPause  time.Duration // before a stream is opened again; it doubles
	maxPause  time.Duration
}

var defaultTimes = times{
	handshake: 5 * time.Second,
	ping:      time.Second,
	patience:  3 * time.Second,
	answer:    10 * time.Second,
	minPause:  100 * time.Millisecond,
	maxPause:  2 * time.Second,
}

// New returns a Hub without peers.
func New(o Options) *Hub {
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address) // without delay: TCP_NODELAY is Go's default
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	h := &Hub{
		options: o,
		times:   defaultTimes,
		refused: newRefusals(o.Log),
		changed: notify.NewNote(),
		peers:   map[string]*peer{},
		streams: map[string]*incoming{},
	}
	h.limiter = newLimiter()
	h.tls = acceptConfig(o.Identity, h.knows)
	h.all, h.end = context.WithCancel(context.Background())
	return h
}

// SetPeers sets which streams are kept and accepted. It takes effect at once: a peer that
// isn't among them any more, or has another address or key, is disconnected. Of several peers
// with one name the first counts; a peer with this balancer's name doesn't.
func (h *Hub) SetPeers(peers []Peer) {
	listed := map[string]Peer{}
	for _, p := range peers {
		if _, twice := listed[p.Name]; !twice && p.Name != h.options.Name {
			listed[p.Name] = p
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.peers {
		if listed[name] != p.Peer {
			p.end()
			delete(h.peers, name)
			h.changed.Leave()
		}
	}
	for name, p := range listed {
		if h.peers[name] == nil {
			h.peers[name] = newPeer(h, p)
			h.startLocked(h.peers[name])
			h.changed.Leave()
		}
	}
	h.limiter.setPeers(peers)
}

// startLocked begins to keep the stream to a peer, if Run is running.
func (h *Hub) startLocked(p *peer) {
	if h.running {
		h.serving.Go(p.run)
	}
}

// Run opens streams to the peers and accepts theirs on ln, which it closes. It returns when
// ctx has ended, and with it all that Run has started, or with an error if ln can't be used.
// It may be called once.
func (h *Hub) Run(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	h.mu.Lock()
	h.running = true
	for _, p := range h.peers {
		h.startLocked(p)
	}
	h.mu.Unlock()
	err := h.accept(ctx, ln)
	ln.Close()
	h.mu.Lock()
	h.running = false
	h.mu.Unlock()
	h.end()
	h.serving.Wait()
	return err
}

const (
	minRetry = 5 * time.Millisecond
	maxRetry = time.Second
)

// accept accepts streams until ctx ends, or ln is closed by somebody else.
func (h *Hub) accept(ctx context.Context, ln net.Listener) error {
	var retry time.Duration
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			retry = 0
			h.admit(conn)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept streams of peers: %w", err)
		default:
			retry = min(max(2*retry, minRetry), maxRetry)
			if f, log := h.lines.Add("accept", time.Now()); log {
				f.On(h.options.Log.Error()).Err(err).Msg("streams of peers can't be accepted")
			}
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
	}
}

// admit has a connection served, unless there are too many.
func (h *Hub) admit(conn net.Conn) {
	p, err := h.limiter.admit(conn.RemoteAddr(), time.Now())
	if err != nil {
		conn.Close()
		h.refused.add(Busy, conn.RemoteAddr(), err)
		return
	}
	h.serving.Go(func() { h.serve(conn, p) })
}

// knows reports whether a peer has a key.
func (h *Hub) knows(key Fingerprint) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		if p.Fingerprint == key {
			return true
		}
	}
	return false
}

// Changed returns a note that is left when what Status returns has changed, except for RTT
// and Pending. It is for one receiver.
func (h *Hub) Changed() notify.Note { return h.changed }

// Refused returns how many connections were refused, by the reason. All reasons are there.
func (h *Hub) Refused() map[Reason]uint64 { return h.refused.counts() }

// Status returns the state of the streams to and from each peer, in the order of the names.
func (h *Hub) Status() []PeerStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]PeerStatus, 0, len(h.peers))
	for _, p := range h.peers {
		all = append(all, p.statusLocked())
	}
	slices.SortFunc(all, func(a, b PeerStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

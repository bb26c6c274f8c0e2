package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"time"

	"tokenring/balancer"
	"tokenring/config"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/route"
	"tokenring/session"
	"tokenring/session/region"
	"tokenring/stream"
)

// buildStreams builds the streams to and from the peers, if there are peers.
func (e *Edge) buildStreams() error {
	if e.sockets.Streams == nil {
		return nil
	}
	identity, err := stream.OpenIdentity(filepath.Join(e.cfg.StateDir, stream.KeyName))
	if err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	e.leaseBy(identity)
	e.announced = announcement.Stream{Address: streamAddress(e.cfg, e.sockets.Streams.Addr()), Key: identity.Fingerprint()}
	e.streams = stream.New(stream.Options{
		Name:     e.cfg.Name,
		Boot:     rand.Uint64(),
		Identity: identity,
		KeyID:    keyID(e.digester),
		Sources:  func() stream.Source { return e.proxy.Region().Watch() },
		Sink:     sink{e.proxy.Region()},
		Answer:   e.answer,
		Log:      e.part("streams"),
	})
	return nil
}

// keyID names the secret of a digester and doesn't give it away.
func keyID(d balancer.Digester) (id [8]byte) {
	digest := d.Digest([]byte("tokenring: which secret"))
	copy(id[:], digest[:])
	return id
}

// streamAddress returns where peers reach the listener of streams: at the IP address that
// the gossip advertises, unless the streams have one of their own.
func streamAddress(cfg *config.Config, listener net.Addr) string {
	host, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		return ""
	}
	own, _, _ := net.SplitHostPort(cfg.Peers.Stream)
	gossips, _, _ := net.SplitHostPort(cfg.Peers.Bind)
	if ip := net.ParseIP(host); own == gossips || ip == nil || ip.IsUnspecified() {
		return ":" + port
	}
	return net.JoinHostPort(host, port)
}

// A sink has the region take what peers tell.
type sink struct{ region *region.Region }

// Begin implements stream.Sink.
func (s sink) Begin(peer string, _ uint64) stream.Told { return s.region.Begin(peer) }

// usePeers keeps streams to the peers of a snapshot.
func (e *Edge) usePeers(all []route.Peer) {
	if e.streams == nil {
		return
	}
	var to []stream.Peer
	for _, p := range all {
		var key stream.Fingerprint
		if p.Stream == "" || key.UnmarshalText([]byte(p.StreamKey)) != nil {
			continue // it is of a version without streams
		}
		to = append(to, stream.Peer{Name: p.Name, Address: p.Stream, Fingerprint: key})
	}
	e.streams.SetPeers(to)
}

// runStreams keeps the streams until ctx ends, or another process takes this one's place.
func (e *Edge) runStreams(ctx context.Context) error {
	return e.streams.Run(ctx, e.sockets.Streams)
}

// streamStatus returns the state of the streams.
func (e *Edge) streamStatus() []stream.PeerStatus {
	if e.streams == nil {
		return nil
	}
	return e.streams.Status()
}

// clock returns what tells how far this balancer's clock is behind the common time; nil if there
// are no streams.
func (e *Edge) clock() func() peers.Clock {
	if e.streams == nil {
		return nil
	}
	return func() peers.Clock {
		behind, compared := e.streams.CommonTime()
		return peers.Clock{Behind: behind, Alone: !compared}
	}
}

// wrongClock is how far a clock may be from the common time until an operator should look at it.
const wrongClock = 10 * time.Second

// clockProblem returns an alarm if this balancer's clock differs from the common time; "" if it
// doesn't.
func (e *Edge) clockProblem() string {
	if e.streams == nil {
		return ""
	}
	behind, _ := e.streams.CommonTime()
	relation := "behind"
	if behind < 0 {
		behind, relation = -behind, "ahead of"
	}
	if behind < wrongClock {
		return ""
	}
	return fmt.Sprintf("the clock of this balancer is %v %s the common time, which is the median of the balancers' clocks: set it right", behind.Round(time.Second), relation)
}

// streamLate is how long a stream may be missing until an operator should look at it.
const streamLate = 10 * time.Second

// streamProblems returns an alarm for each peer whose sessions aren't known here, or that
// doesn't know this balancer's.
func (e *Edge) streamProblems() (alarms []string) {
	alive := map[string]bool{}
	for _, p := range e.pool.Snapshot().Peers {
		alive[p.Name] = p.Alive
	}
	for _, s := range e.streamStatus() {
		if !alive[s.Name] || s.Up && s.Heard || time.Since(s.Since) < streamLate {
			continue
		}
		alarms = append(alarms, fmt.Sprintf("the sessions of %s and this balancer aren't told to both, so that a token with a terminal may be sent to another host: the streams at %s: %s (since %s)",
			s.Name, s.Address, s.Err, s.Since.UTC().Format(time.RFC3339)))
	}
	return alarms
}

// The questions about terminals that balancers ask one another. Each has the JSON of a session.Selection.
const (
	askTerminals    = "terminals"     // → session.Listing
	askEndTerminals = "end terminals" // → session.Ending
)

// askClaims is the question whether keys can be sent to a host. It has a form of its own: see
// package claims.
const askClaims = "claims"

// maxStreamAnswer is less than a stream carries in one answer.
const maxStreamAnswer = 1 << 20

// answer answers a peer's question.
func (e *Edge) answer(ctx context.Context, peer, kind string, question []byte) ([]byte, error) {
	switch kind {
	case askClaims:
		return e.proxy.AnswerClaims(peer, question)
	case askInsist:
		return e.answerInsist(ctx, peer, question)
	case askMaintenance:
		return e.answerMaintenance(peer, question)
	}
	var sel session.Selection
	if err := json.Unmarshal(question, &sel); err != nil {
		return nil, err
	}
	switch kind {
	case askTerminals:
		return encodeListing(e.ownTerminals(ctx, sel))
	case askEndTerminals:
		return json.Marshal(e.endOwnTerminals(ctx, sel))
	}
	return nil, fmt.Errorf("a balancer of a version that doesn't know %q", kind)
}

// encodeListing encodes as many terminals as an answer has room for.
func encodeListing(l session.Listing) ([]byte, error) {
	for {
		text, err := json.Marshal(l)
		if err != nil || len(text) <= maxStreamAnswer {
			return text, err
		}
		l.Terminals = l.Terminals[:len(l.Terminals)/2]
	}
}

// ask asks a peer a question of a kind, and decodes its answer.
func (e *Edge) ask(ctx context.Context, peer, kind string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	question, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if e.streams == nil {
		return stream.ErrNoStream
	}
	answer, err := e.streams.Ask(ctx, peer, kind, question)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// peerTimeout is how long a peer may take, whose generations have listTimeout.
const peerTimeout = listTimeout + time.Second

package gossip

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/gossip/announcement"
	"tokenring/netaddr"
	"tokenring/route"
)

// A place is where a node says that it gossips.
type place struct {
	node string
	at   netip.AddrPort
	key  route.HostKey // with which it must sign what it announces there; zero if it need not sign
}

// The bounds of places.
const (
	maxPlaces     = 1024             // that are asked or waiting, of callers, and as many of others
	maxAsked      = 16               // at a time, of callers, and as many of others
	maxSourceAsks = 16               // that wait, of one source
	placeFound    = time.Minute      // how long a place that was found is known; then the list of members has it
	placeMissed   = 10 * time.Second // until a place where the node isn't is asked again
	callerLasts   = 10 * time.Minute // how long a source counts as a caller
	maxCallers    = 4096
)

// places finds out which nodes are where they say. Anybody with the secret can announce any
// address, and make packets that seem to come from it. So a node is at a place only if it
// answers there on a stream that we have opened. It is safe for concurrent use.
//
// Somebody may announce many places where nobody answers. Sources from which members have
// opened streams to us, which nobody can forge, don't wait for those.
type places struct {
	ask   func(ctx context.Context, p place) error // nil if the node is there
	asked func(p place, err error)                 // called after ask

	mu      sync.Mutex
	callers map[netip.Prefix]time.Time // when the last stream of the source came
	lanes   [2]lane                    // of places of callers, and of others
}

// A lane has places that wait for each other.
type lane struct {
	waiting chan place
	all     map[place]*inquiry
}

// An inquiry is what is known of a place.
type inquiry struct {
	here bool
	ends time.Time // zero while it is waiting
}

func newPlaces(ask func(context.Context, place) error, asked func(place, error)) *places {
	p := &places{ask: ask, asked: asked, callers: map[netip.Prefix]time.Time{}}
	for i := range p.lanes {
		p.lanes[i] = lane{waiting: make(chan place, maxPlaces), all: map[place]*inquiry{}}
	}
	return p
}

// called takes note that a member has opened a stream from a source. A nil places ignores it.
func (p *places) called(from netip.Addr, now time.Time) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	source := netaddr.Source(from)
	if _, known := p.callers[source]; !known && len(p.callers) >= maxCallers {
		maps.DeleteFunc(p.callers, func(_ netip.Prefix, last time.Time) bool { return now.Sub(last) > callerLasts })
	}
	if len(p.callers) < maxCallers {
		p.callers[source] = now
	}
}

// has reports whether a node was found at a place lately. If that isn't known, run asks
// there soon.
func (p *places) has(at place, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	source := netaddr.Source(at.at.Addr())
	l := &p.lanes[1]
	if last, known := p.callers[source]; known && now.Sub(last) <= callerLasts {
		l = &p.lanes[0]
	}
	if known := l.all[at]; known != nil && (known.ends.IsZero() || now.Before(known.ends)) {
		return known.here
	}
	waiting := 0
	for other, inquiry := range l.all {
		switch {
		case !inquiry.ends.IsZero() && !now.Before(inquiry.ends):
			delete(l.all, other)
		case inquiry.ends.IsZero() && netaddr.Source(other.at.Addr()) == source:
			waiting++
		}
	}
	if waiting >= maxSourceAsks || len(l.all) >= maxPlaces {
		return false // its next announcement comes soon
	}
	l.all[at] = new(inquiry)
	l.waiting <- at // there is room: each that waits is in l.all
	return false
}

// run asks at the places that wait, until ctx ends. A nil places has none.
func (p *places) run(ctx context.Context) {
	if p == nil {
		return
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	for i := range p.lanes {
		asking.Go(func() { p.runLane(ctx, &p.lanes[i]) })
	}
}

func (p *places) runLane(ctx context.Context, l *lane) {
	var asking errgroup.Group
	asking.SetLimit(maxAsked)
	for {
		select {
		case <-ctx.Done():
			_ = asking.Wait() // no function returns an error
			return
		case at := <-l.waiting:
			asking.Go(func() error {
				p.inquire(ctx, l, at)
				return nil
			})
		}
	}
}

// inquire asks at a place and keeps the answer.
func (p *places) inquire(ctx context.Context, l *lane, at place) {
	err := p.ask(ctx, at)
	if ctx.Err() != nil {
		return
	}
	ends := time.Now().Add(placeMissed)
	if err == nil {
		ends = time.Now().Add(placeFound)
	}
	p.mu.Lock()
	l.all[at] = &inquiry{here: err == nil, ends: ends}
	p.mu.Unlock()
	p.asked(at, err)
}

// reach asks at a place whether the node is there. It returns why it isn't, nil if it is.
func (t *transport) reach(ctx context.Context, p place) error {
	number := rand.Uint32()
	answer, err := t.askAt(ctx, p.at, t.inspector.Ping(p.node, number))
	if err != nil {
		return fmt.Errorf("nobody answers to its name at its gossip address: %w", err)
	}
	if !t.inspector.IsAck(answer, number) {
		return errors.New("what is at its gossip address isn't it")
	}
	if p.key.IsZero() {
		return nil
	}
	if answer, err = t.askAt(ctx, p.at, t.inspector.Question()); err != nil {
		return fmt.Errorf("what is at its gossip address doesn't say what it announces: %w", err)
	}
	raw := t.inspector.MetadataOf(answer, p.node)
	m, err := announcement.Decode(raw)
	if err != nil || m.Key != p.key || announcement.Verify(raw, m.Key, t.inspector.Label) != nil {
		return errors.New("what is at its gossip address announces something else")
	}
	return nil
}

// askAt sends a message on a stream to a member, and returns the message that it answers.
func (t *transport) askAt(ctx context.Context, at netip.AddrPort, message []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	conn, err := t.calls.dial(at.String(), t.patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) }) // nothing else ends a read
	defer stop()
	return t.converse(conn, message)
}

func (t *transport) converse(conn net.Conn, message []byte) ([]byte, error) {
	if _, err := conn.Write(append(t.inspector.LabelHeader(), message...)); err != nil {
		return nil, err
	}
	head, size, err := t.readHeader(conn)
	if err != nil {
		return nil, err
	}
	frame, err := readFrame(conn, head, size, func(int) error { return nil })
	if err != nil {
		return nil, err
	}
	r := t.inspector.Answer(frame)
	if r.Rest == nil {
		return nil, r.Refused[0]
	}
	return r.Rest, nil
}

package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/notify"
)

// A PeerStatus is the state of the streams to and from one peer.
type PeerStatus struct {
	Name    string
	Address string        // of its listener of streams
	Boot    uint64        // of its process; 0: not known yet
	Up      bool          // our stream to it is open, and it has acknowledged the snapshot
	Heard   bool          // its stream to us is open, and its snapshot is complete
	Since   time.Time     // of Up, or of its absence
	RTT     time.Duration // from the last ping to its acknowledgement; 0: not known
	Pending int           // reports that it hasn't acknowledged, if our stream is open
	Err     string        // why not Up, or else why not Heard; "" if it is both
}

// What is wrong with streams.
var (
	errOtherSecret = errors.New("it has another secret of digests: peers.secret_file must begin with the same secret on all balancers")
	errNoKey       = errors.New("it announces no key for streams: its version may be older")
	errNoAddress   = errors.New("it announces no address for streams")
	errConnecting  = errors.New("the stream is being opened")
	errLoading     = errors.New("it hasn't acknowledged all sessions yet")
	errNotBegun    = errors.New("it hasn't opened its stream to this balancer")
	errNotTold     = errors.New("it hasn't told all its sessions yet")
	errSilent      = errors.New("nothing has come from it, or it has taken nothing, for some seconds")
	errClosed      = errors.New("it has closed the stream")
)

// A peer is a Peer with its streams.
type peer struct {
	Peer
	hub  *Hub
	ctx  context.Context // ends when it isn't a peer any more, or the Hub ends
	end  context.CancelFunc
	wake notify.Note // it has opened its stream: it can be reached

	// The Hub's mu guards what follows.
	out       *outgoing // nil if it isn't open
	boot      uint64
	up, heard bool
	since     time.Time // of up
	away      time.Time // since when it can't be asked, though it may be back at once; zero if it won't
	outErr    error     // why not up
	inErr     error     // why not heard
	clock     peerClock // outlives streams
}

func newPeer(h *Hub, p Peer) *peer {
	ctx, end := context.WithCancel(h.all)
	new := &peer{Peer: p, hub: h, ctx: ctx, end: end, wake: notify.NewNote(), since: time.Now(), away: time.Now(), outErr: errConnecting, inErr: errNotBegun}
	switch {
	case p.Fingerprint.IsZero():
		new.outErr = errNoKey
	case p.Address == "":
		new.outErr = errNoAddress
	}
	return new
}

// run keeps a stream to the peer open until ctx ends.
func (p *peer) run() {
	if p.Fingerprint.IsZero() || p.Address == "" {
		return
	}
	rng := rand.New(rand.NewPCG(p.hub.options.Boot, p.pauses()))
	for pause := p.hub.times.minPause; p.ctx.Err() == nil; pause = min(2*pause, p.hub.times.maxPause) {
		began, wake := time.Now(), p.wake
		err := p.tell()
		p.closed(err)
		if time.Since(began) > p.hub.times.handshake {
			pause = p.hub.times.minPause
		}
		if errors.As(err, new(refusedError)) {
			pause, wake = p.hub.times.maxPause, nil // two processes with one name don't end each other's streams all the time
		}
		select {
		case <-p.ctx.Done():
		case <-wake:
		case <-time.After(pause/2 + time.Duration(rng.Int64N(int64(pause/2)))): // balancers that lose each other don't come back as one
		}
	}
}

// pauses tells the peer's random pauses from those of others.
func (p *peer) pauses() uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, p.Name)
	return h.Sum64()
}

// tell opens a stream, and tells on it until it ends.
func (p *peer) tell() error {
	s, err := p.dial()
	if err != nil {
		return err
	}
	s.source = p.hub.options.Sources()
	defer s.source.Close()
	p.update(func() { p.out, p.boot, p.outErr = s, s.hello.boot, errLoading })
	return s.run(p.ctx)
}

// closed notes that there is no stream to the peer, and why.
func (p *peer) closed(err error) {
	dead := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ECONNREFUSED)
	err = inWords(err)
	now := time.Now()
	var down time.Duration
	p.update(func() {
		switch {
		case dead:
			p.away = time.Time{}
		case p.out != nil:
			p.away = now
		}
		if p.up {
			p.up, p.since = false, now
		}
		p.out, p.outErr = nil, err
		down = now.Sub(p.since)
	})
	if p.ctx.Err() != nil || down < p.hub.times.patience {
		return // it may be about to begin, or back at once
	}
	if f, log := p.hub.lines.Add("no stream to "+p.Name, now); log {
		f.On(p.hub.options.Log.Warn()).Str("peer", p.Name).Str("address", p.Address).Err(err).Msg("no stream to a peer")
	}
}

// told notes that the peer has acknowledged the snapshot.
func (p *peer) told() {
	now := time.Now()
	p.update(func() { p.up, p.since, p.outErr = true, now, nil })
	if _, log := p.hub.lines.Add("stream to "+p.Name, now); log {
		p.hub.options.Log.Info().Str("peer", p.Name).Str("address", p.Address).Msg("a stream to a peer is open, and it knows all sessions")
	}
	p.hub.lines.Lapse("no stream to "+p.Name, now)
}

// readClock takes the time into account that an acknowledgement has told.
func (p *peer) readClock(shown int64, sent, acknowledged time.Time) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	p.clock = p.clock.read(shown, sent, acknowledged)
}

// update changes the state that Status shows.
func (p *peer) update(change func()) {
	p.hub.mu.Lock()
	change()
	p.hub.mu.Unlock()
	p.hub.changed.Leave()
}

// statusLocked returns the state of the peer. The Hub's mu is held.
func (p *peer) statusLocked() PeerStatus {
	s := PeerStatus{Name: p.Name, Address: p.Address, Boot: p.boot, Up: p.up, Heard: p.heard, Since: p.since}
	if p.out != nil {
		s.Pending, s.RTT = p.out.pending(), p.out.window.rtt()
	}
	switch {
	case !p.up:
		s.Err = p.outErr.Error()
	case !p.heard:
		s.Err = p.inErr.Error()
	}
	return s
}

// inWords returns an error of a stream as an operator understands it.
func inWords(err error) error {
	switch {
	case refusedByPeer(err):
		return fmt.Errorf("it doesn't accept this balancer's key, which it may not know yet: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return errClosed
	}
	return err
}

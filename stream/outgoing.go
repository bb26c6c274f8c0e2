package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/notify"
	"tokenring/session"
)

// An outgoing is a stream that this balancer has opened.
//
//	Source ── pull ──batches──▶ write ──▶ connection ──▶ read ──▶ window, questions
type outgoing struct {
	peer    *peer
	conn    *tls.Conn
	reader  *frameReader // of read
	writer  *frameWriter // of write
	encoder *reportEncoder
	hello   hello // the peer's

	source  Source
	batches chan batch    // from pull to write
	written chan struct{} // from write to pull, after each
	window  window
	acks    notify.Note // the window has got smaller

	questions *questions
}

// A batch is what write is to send next: reports, or the end of the snapshot.
type batch struct {
	reports []session.Report
	end     bool
}

// dial opens a stream to the peer, and returns it when both ends know who the other is.
func (p *peer) dial() (s *outgoing, err error) {
	h := p.hub
	ctx, cancel := context.WithTimeoutCause(p.ctx, h.times.handshake, fmt.Errorf("there was no connection within %v", h.times.handshake))
	defer cancel()
	raw, err := h.options.Dial(ctx, p.Address)
	if err != nil {
		return nil, connectError(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			raw.Close()
			s, err = nil, connectError(ctx, err)
		}
	}()
	conn := tls.Client(raw, dialConfig(h.options.Identity, p.Fingerprint))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	s = &outgoing{
		peer: p, conn: conn,
		reader:  newFrameReader(conn, h.times.patience),
		writer:  &frameWriter{conn: conn, patience: h.times.patience},
		encoder: newReportEncoder(),
		batches: make(chan batch), written: make(chan struct{}, 1), acks: notify.NewNote(),
		questions: newQuestions(),
	}
	return s, s.exchangeHello()
}

// connectError returns why a connection hasn't come about: the time is up, or err.
func connectError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// exchangeHello tells who this balancer is, and reads who the other end is.
func (s *outgoing) exchangeHello() error {
	if err := s.send(kindHello, s.peer.hub.hello().append(nil), 0); err != nil {
		return err
	}
	if err := s.writer.flush(); err != nil {
		return err
	}
	kind, payload, err := s.reader.next()
	switch {
	case err != nil:
		return err
	case kind == kindRefusal:
		return readRefusal(payload)
	case kind != kindHello:
		return fmt.Errorf("its first frame has the kind %d", kind)
	}
	if s.hello, err = readHello(payload); err != nil {
		return err
	}
	return s.peer.check(s.hello)
}

// check returns what is wrong with what the other end of a stream says of itself.
func (p *peer) check(h hello) error {
	switch {
	case h.name != p.Name:
		return fmt.Errorf("it says that it is %s", h.name)
	case h.keyID != p.hub.options.KeyID:
		return errOtherSecret
	}
	return nil
}

// run tells all that there is to tell until the stream or ctx ends, and returns why.
func (s *outgoing) run(ctx context.Context) error {
	group, ended := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ended, func() { s.conn.NetConn().Close() }) // a TLS close might wait for the peer
	defer stop()
	defer s.questions.end()
	group.Go(func() error { return s.pull(ended) })
	group.Go(func() error { return s.write(ended) })
	group.Go(s.read)
	return group.Wait()
}

// pull has what the source has written, part after part, so that it is in the source until
// it can be written.
func (s *outgoing) pull(ctx context.Context) error {
	for told := false; ; {
		if !told && s.source.Snapshot() {
			told = true
			if err := s.hand(ctx, batch{end: true}); err != nil {
				return err
			}
		}
		reports, err := s.source.Next(ctx)
		if err != nil {
			return err
		}
		if err := s.hand(ctx, batch{reports: reports}); err != nil {
			return err
		}
	}
}

// hand has a batch written, and returns when it was.
func (s *outgoing) hand(ctx context.Context, b batch) error {
	select {
	case s.batches <- b:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-s.written:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write writes all that this end sends.
func (s *outgoing) write(ctx context.Context) error {
	ping := time.NewTicker(s.peer.hub.times.ping)
	defer ping.Stop()
	for {
		batches := s.batches
		if s.window.full() {
			batches = nil
		}
		var err error
		select {
		case b := <-batches:
			err = s.tell(b)
		case q := <-s.questions.asked:
			err = s.send(kindQuestion, q.append(nil), 0)
		case <-ping.C:
			err = s.send(kindPing, appendNumber(nil, s.writer.number+1), 0)
		case <-s.acks:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err == nil {
			err = s.writer.flush()
		}
		if err != nil {
			return err
		}
	}
}

// tell writes a batch.
func (s *outgoing) tell(b batch) error {
	if b.end {
		return errors.Join(s.send(kindSnapshotEnd, nil, 0), s.sent())
	}
	var first error
	s.encoder.encode(b.reports, func(kind byte, payload []byte, reports int) {
		if err := s.send(kind, payload, reports); err != nil && first == nil {
			first = err
		}
	})
	if first != nil {
		return first
	}
	return s.sent()
}

// sent writes what there is to write, and tells pull.
func (s *outgoing) sent() error {
	err := s.writer.flush()
	s.written <- struct{}{} // there is room: pull waits for each
	return err
}

// send adds a frame to those that flush writes.
func (s *outgoing) send(kind byte, payload []byte, reports int) error {
	if err := s.window.add(sentFrame{number: s.writer.number + 1, kind: kind, reports: reports, at: time.Now()}); err != nil {
		return err
	}
	s.writer.add(kind, payload)
	return nil
}

// read reads acknowledgements and answers until the connection ends.
func (s *outgoing) read() error {
	for {
		kind, payload, err := s.reader.next()
		if err != nil {
			return err
		}
		switch kind {
		case kindAck:
			err = s.acknowledged(payload)
		case kindAnswer:
			err = s.answered(payload)
		case kindRefusal:
			err = readRefusal(payload)
		}
		if err != nil {
			return err
		}
	}
}

func (s *outgoing) acknowledged(payload []byte) error {
	number, shown, err := readTaken(payload)
	if err != nil {
		return fmt.Errorf("an acknowledgement: %w", err)
	}
	now := time.Now()
	snapshot, pinged, err := s.window.acknowledge(number, now)
	if err != nil {
		return err
	}
	if !pinged.IsZero() {
		s.peer.readClock(shown, pinged, now)
	}
	if snapshot {
		s.peer.told()
	}
	s.acks.Leave()
	return nil
}

func (s *outgoing) answered(payload []byte) error {
	p, err := readPart(payload)
	if err != nil {
		return err
	}
	s.questions.answer(p)
	return nil
}

// pending returns how many reports the peer hasn't acknowledged.
func (s *outgoing) pending() int {
	n := s.window.pending()
	if waiting, ok := s.source.(interface{ Pending() int }); ok {
		n += waiting.Pending()
	}
	return n
}

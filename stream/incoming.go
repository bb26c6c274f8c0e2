package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/notify"
)

// drainTime is how long the other end of a connection may take to read why it is refused.
const drainTime = 500 * time.Millisecond

// errNewer is why a stream ends whose peer has opened another one. The peer reads it, too.
var errNewer = errors.New("a newer stream with the same name and key has been opened")

// An incoming is a stream that a peer has opened.
//
//	connection ──▶ read ──▶ Told
//	                ├──taken──▶ write ──▶ connection
//	                └──▶ Answer ──parts──▶ write
type incoming struct {
	peer    *peer
	conn    *tls.Conn
	reader  *frameReader // of read
	writer  *frameWriter // of write
	decoder reportDecoder
	hello   hello // the peer's

	told  Told
	taken atomic.Uint64 // number of the last frame that was taken in
	ack   notify.Note   // taken has changed

	parts     chan part     // of answers, to write
	answering chan struct{} // has an element for each answer in progress

	newer chan struct{} // closed when the peer has opened another one
	done  chan struct{} // closed when it has ended, and so has Told
}

// serve has a connection to the listener become a stream, and takes what it tells until it
// ends. It frees the permit when the stream begins.
func (h *Hub) serve(raw net.Conn, permit *permit) {
	stop := context.AfterFunc(h.all, func() { raw.Close() })
	defer stop()
	defer raw.Close()
	defer permit.free()
	s, reason, err := h.handshake(raw)
	if err == nil {
		s.run(permit)
		return
	}
	if h.all.Err() == nil {
		h.refused.add(reason, raw.RemoteAddr(), err)
		drain(raw)
	}
}

// drain gives the other end the time to read why it is refused: a close would throw that away
// if there are bytes that weren't read.
func drain(raw net.Conn) {
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = raw.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, raw, maxPayload)
	}
}

// handshake returns the stream when both ends know who the other is.
func (h *Hub) handshake(raw net.Conn) (*incoming, Reason, error) {
	ctx, cancel := context.WithTimeoutCause(h.all, h.times.handshake, fmt.Errorf("it has not finished within %v", h.times.handshake))
	defer cancel()
	conn := tls.Server(raw, h.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		if unknown := (unknownKeyError{}); errors.As(err, &unknown) {
			return nil, UnknownKey, unknown
		}
		return nil, BadHandshake, connectError(ctx, err)
	}
	s := &incoming{
		conn:   conn,
		reader: newFrameReader(conn, h.times.patience), writer: &frameWriter{conn: conn, patience: h.times.patience},
		ack: notify.NewNote(), parts: make(chan part), answering: make(chan struct{}, maxAnswered),
		newer: make(chan struct{}), done: make(chan struct{}),
	}
	kind, payload, err := s.reader.next()
	switch {
	case err != nil:
		return nil, BadHello, err
	case kind != kindHello:
		return nil, BadHello, fmt.Errorf("its first frame has the kind %d", kind)
	}
	if s.hello, err = readHello(payload); err != nil {
		return nil, BadHello, err
	}
	if err := h.match(s); err != nil {
		if s.peer != nil {
			s.writer.add(kindHello, h.hello().append(nil)) // it finds out by itself
		}
		s.refuse(err)
		return nil, BadHello, err
	}
	return s, "", nil
}

// match sets the peer of a stream, by its key and its name, and returns why it isn't accepted.
func (h *Hub) match(s *incoming) error {
	key := peerKey(s.conn.ConnectionState())
	h.mu.Lock()
	s.peer = h.peers[s.hello.name]
	h.mu.Unlock()
	if s.peer == nil || s.peer.Fingerprint != key {
		s.peer = nil
		return fmt.Errorf("the name %s isn't that of the balancer with the key %s", s.hello.name, key.short())
	}
	if s.hello.keyID == h.options.KeyID {
		return nil
	}
	s.peer.update(func() { s.peer.inErr = errOtherSecret })
	return fmt.Errorf("%s: %w", s.peer.Name, errOtherSecret)
}

// refuse tells the other end why this one ends the stream. The connection ends in any case.
func (s *incoming) refuse(why error) {
	text := why.Error()
	s.writer.add(kindRefusal, appendText(nil, text[:min(len(text), maxRefusal)]))
	_ = s.writer.flush()
}

// run takes what the stream tells until it ends.
func (s *incoming) run(permit *permit) {
	defer close(s.done)
	if older := s.peer.hub.replace(s); older != nil {
		close(older.newer)
		<-older.done
	}
	defer s.peer.hub.drop(s)
	permit.free()
	if s.peer.ctx.Err() != nil {
		return
	}
	s.told = s.peer.hub.options.Sink.Begin(s.peer.Name, s.hello.boot)
	s.peer.update(func() { s.peer.boot, s.peer.heard, s.peer.inErr = s.hello.boot, false, errNotTold })
	s.peer.wake.Leave()
	err := s.take(s.peer.ctx)
	s.told.End()
	s.peer.lost(err)
}

// take takes what the stream tells until it or ctx ends, and returns why.
func (s *incoming) take(ctx context.Context) error {
	group, ended := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ended, func() { s.conn.NetConn().Close() }) // a TLS close might wait for the peer
	defer stop()
	group.Go(func() error { return s.read(ended, group) })
	group.Go(func() error { return s.write(ended) })
	return group.Wait()
}

// replace makes s the stream of its peer, and returns the one that was that before, nil if
// there was none.
func (h *Hub) replace(s *incoming) (older *incoming) {
	h.mu.Lock()
	defer h.mu.Unlock()
	older = h.streams[s.peer.Name]
	h.streams[s.peer.Name] = s
	return older
}

// drop forgets s unless another stream is that of its peer.
func (h *Hub) drop(s *incoming) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.peer.Name] == s {
		delete(h.streams, s.peer.Name)
	}
}

// write says who this balancer is, and then writes acknowledgements and answers.
func (s *incoming) write(ctx context.Context) error {
	s.writer.add(kindHello, s.peer.hub.hello().append(nil))
	for {
		if err := s.writer.flush(); err != nil {
			return err
		}
		select {
		case <-s.ack:
			s.writer.add(kindAck, appendTaken(nil, s.taken.Load(), s.peer.hub.options.Clock()))
		case p := <-s.parts:
			s.writer.add(kindAnswer, p.append(nil))
		case <-s.newer:
			s.refuse(errNewer)
			return errNewer
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// read takes frames in until the connection ends.
func (s *incoming) read(ctx context.Context, answers *errgroup.Group) error {
	for {
		kind, payload, err := s.reader.next()
		if err != nil {
			return err
		}
		switch kind {
		case kindHosts:
			err = s.decoder.readHosts(payload)
		case kindReports:
			err = s.reports(payload)
		case kindSnapshotEnd:
			s.told.SnapshotEnd()
			s.peer.update(func() { s.peer.heard, s.peer.inErr = true, nil })
		case kindPing:
			err = s.ping(payload)
		case kindQuestion:
			err = s.question(ctx, payload, answers)
		}
		if err != nil {
			return err
		}
		s.taken.Store(s.reader.number)
		s.ack.Leave()
	}
}

func (s *incoming) reports(payload []byte) error {
	reports, err := s.decoder.readReports(payload)
	if err == nil && len(reports) > 0 {
		s.told.Reports(reports)
	}
	return err
}

// ping checks that both ends count the same frames.
func (s *incoming) ping(payload []byte) error {
	number, err := readNumber(payload)
	if err == nil && number != s.reader.number {
		err = fmt.Errorf("a ping has the number %d, and is frame %d", number, s.reader.number)
	}
	return err
}

// question has a question answered, in a goroutine of answers.
func (s *incoming) question(ctx context.Context, payload []byte, answers *errgroup.Group) error {
	q, err := readQuestion(payload)
	if err != nil {
		return err
	}
	select {
	case s.answering <- struct{}{}:
	default:
		return fmt.Errorf("it asks more than %d questions at a time", maxAnswered)
	}
	answers.Go(func() error {
		defer func() { <-s.answering }()
		s.answer(ctx, q)
		return nil
	})
	return nil
}

// answer answers a question, in parts.
func (s *incoming) answer(ctx context.Context, q question) {
	body, err := s.ask(ctx, q)
	p := part{id: q.id}
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer has %d bytes, at most %d are possible", len(body), maxAnswer)
	}
	if err != nil {
		body, p.flags = []byte(err.Error()), answerError
		body = body[:min(len(body), answerPart)]
	}
	for p.flags&answerLast == 0 {
		p.body = body[:min(len(body), answerPart)]
		if body = body[len(p.body):]; len(body) == 0 {
			p.flags |= answerLast
		}
		select {
		case s.parts <- p:
		case <-ctx.Done():
			return
		}
	}
}

// ask returns this balancer's answer.
func (s *incoming) ask(ctx context.Context, q question) ([]byte, error) {
	o := &s.peer.hub.options
	if o.Answer == nil {
		return nil, errors.New("this balancer answers no questions")
	}
	ctx, cancel := context.WithTimeout(ctx, s.peer.hub.times.answer)
	defer cancel()
	return o.Answer(ctx, s.peer.Name, q.kind, q.body)
}

// lost notes that a stream of the peer has ended, and why.
func (p *peer) lost(err error) {
	err = inWords(err)
	p.update(func() { p.heard, p.inErr = false, err })
	if p.ctx.Err() != nil || errors.Is(err, errNewer) {
		return
	}
	now := time.Now()
	if f, log := p.hub.lines.Add("stream of "+p.Name, now); log {
		f.On(p.hub.options.Log.Warn()).Str("peer", p.Name).Err(err).Msg("the stream of a peer has ended")
	}
}

// hello says who this balancer is.
func (h *Hub) hello() hello {
	return hello{version: wireVersion, name: h.options.Name, boot: h.options.Boot, keyID: h.options.KeyID}
}

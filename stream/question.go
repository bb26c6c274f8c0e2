package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNoStream is the error of Ask if there is no stream to the peer, or the stream has ended.
var ErrNoStream = errors.New("there is no stream to it")

const (
	maxAsked    = 8            // questions at a time on a stream; more wait
	maxAnswered = 2 * maxAsked // that are answered at a time: of some, the asker may have gone
)

// Ask asks a peer a question and returns its answer, of 1 MiB at most. The kind has 64 bytes
// at most, the question 60 KiB. It waits until ctx ends, and 10 s at most. An error is the
// peer's, that of ctx, or ErrNoStream.
func (h *Hub) Ask(ctx context.Context, peer, kind string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.times.answer, fmt.Errorf("there was no answer within %v", h.times.answer))
	defer cancel()
	if len(kind) > maxKind || len(body) > maxQuestion {
		return nil, fmt.Errorf("ask %s: a kind of %d bytes and a question of %d, at most %d and %d are possible", peer, len(kind), len(body), maxKind, maxQuestion)
	}
	s := h.streamTo(peer)
	if s == nil {
		return nil, fmt.Errorf("ask %s: %w", peer, ErrNoStream)
	}
	answer, err := s.questions.ask(ctx, kind, body)
	if err != nil {
		return nil, fmt.Errorf("ask %s (%s): %w", peer, kind, err)
	}
	return answer, nil
}

// Open returns the names of the peers that can be asked, and since when the others can't. The
// latter doesn't have peers that have been silent for too long, or where nobody listens.
func (h *Hub) Open() (names []string, lost map[string]time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.peers {
		switch {
		case p.out != nil:
			names = append(names, name)
		case !p.away.IsZero() && !p.Fingerprint.IsZero() && p.Address != "":
			if lost == nil {
				lost = map[string]time.Time{}
			}
			lost[name] = p.away
		}
	}
	return names, lost
}

// streamTo returns the open stream to a peer, nil if there is none.
func (h *Hub) streamTo(name string) *outgoing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[name]; p != nil {
		return p.out
	}
	return nil
}

// questions are those that were asked on one stream.
type questions struct {
	asked chan question // to be written
	slots chan struct{} // one is taken for each
	gone  chan struct{} // closed when the stream has ended

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*asking
}

// An asking is a question that waits for its answer.
type asking struct {
	body     []byte        // of the parts that have come
	err      error         // valid when answered is closed
	answered chan struct{} // closed when the answer is complete
}

func newQuestions() *questions {
	return &questions{
		asked: make(chan question), slots: make(chan struct{}, maxAsked), gone: make(chan struct{}),
		waiting: map[uint64]*asking{},
	}
}

// ask asks a question and waits for the answer.
func (q *questions) ask(ctx context.Context, kind string, body []byte) ([]byte, error) {
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-q.gone:
		return nil, ErrNoStream
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	id, a := q.expect()
	defer q.forget(id)
	select {
	case q.asked <- question{id: id, kind: kind, body: body}:
	case <-q.gone:
		return nil, ErrNoStream
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case <-a.answered:
		return a.body, a.err
	case <-q.gone:
		return nil, ErrNoStream
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// expect returns the number of a new question, and where its answer comes.
func (q *questions) expect() (uint64, *asking) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	a := &asking{answered: make(chan struct{})}
	q.waiting[q.last] = a
	return q.last, a
}

func (q *questions) forget(id uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, id)
}

// answer takes a part of an answer. What nobody waits for is thrown away.
func (q *questions) answer(p part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.waiting[p.id]
	if a == nil {
		return
	}
	if len(a.body)+len(p.body) > maxAnswer {
		a.err = fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	} else if a.body = append(a.body, p.body...); p.flags&answerLast == 0 {
		return
	}
	if p.flags&answerError != 0 && a.err == nil {
		a.body, a.err = nil, fmt.Errorf("it answers: %s", a.body)
	}
	close(a.answered)
	delete(q.waiting, p.id)
}

// end fails the questions that wait, and later ones. It may be called once.
func (q *questions) end() { close(q.gone) }

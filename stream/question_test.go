package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// answering has a node answer questions.
func answering(answer func(ctx context.Context, peer, kind string, question []byte) ([]byte, error)) func(*Options) {
	return func(o *Options) { o.Answer = answer }
}

func TestQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	b := newNode(t, "lb-b", answering(func(_ context.Context, peer, kind string, question []byte) ([]byte, error) {
		switch kind {
		case "nothing":
			return nil, nil
		case "much":
			return bytes.Repeat(question, 1<<20), nil
		case "too much":
			return make([]byte, 1<<20+1), nil
		}
		return nil, fmt.Errorf("%s asks for %s of %d bytes", peer, kind, len(question))
	}))
	a := newNode(t, "lb-a")
	a.start(b)
	b.start(a)
	connected(t, a, b)
	for _, row := range []struct {
		kind, question string
		want           int
		err            string
	}{
		{"nothing", "x", 0, ""},
		{"much", "x", 1 << 20, ""},
		{"too much", "", 0, "ask lb-b (too much): it answers: the answer has 1048577 bytes, at most 1048576 are possible"},
		{"sessions", strings.Repeat("q", maxQuestion), 0, "ask lb-b (sessions): it answers: lb-a asks for sessions of 61440 bytes"},
		{"sessions", strings.Repeat("q", maxQuestion+1), 0, "a question of 61441, at most 64 and 61440 are possible"},
		{strings.Repeat("k", maxKind+1), "", 0, "a kind of 65 bytes"},
	} {
		got, err := a.hub.Ask(t.Context(), "lb-b", row.kind, []byte(row.question))
		if len(got) != row.want || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: got %d bytes, %v; want %d, %q", row.kind, len(got), err, row.want, row.err)
		}
	}
	if _, err := b.hub.Ask(t.Context(), "lb-a", "sessions", nil); err == nil || !strings.Contains(err.Error(), "answers no questions") {
		t.Errorf("a balancer that answers nothing: %v", err)
	}
	if _, err := a.hub.Ask(t.Context(), "lb-z", "sessions", nil); !errors.Is(err, ErrNoStream) {
		t.Errorf("a balancer that isn't there: %v", err)
	}
}

// TestManyQuestionsWait: more of them than a stream has at a time, and all get their own
// answers, while reports go on.
func TestManyQuestionsWait(t *testing.T) {
	t.Parallel()
	a := newNode(t, "lb-a")
	b := newNode(t, "lb-b", answering(func(_ context.Context, _, _ string, question []byte) ([]byte, error) {
		return bytes.Repeat(question, 30_000), nil
	}))
	a.start(b)
	b.start(a)
	connected(t, a, b)
	var asking sync.WaitGroup
	for i := range 5 * maxAsked {
		asking.Go(func() {
			q := fmt.Appendf(nil, "question %d", i)
			got, err := a.hub.Ask(t.Context(), "lb-b", "echo", q)
			if err != nil || !bytes.Equal(got, bytes.Repeat(q, 30_000)) {
				t.Errorf("question %d: got %d bytes, %v", i, len(got), err)
			}
		})
		a.src.report(on(i, "ide-1", 1))
	}
	asking.Wait()
	same(t, a, b)
}

// TestAnAnswerIsBounded, whatever a peer sends.
func TestAnAnswerIsBounded(t *testing.T) {
	q := newQuestions()
	id, a := q.expect()
	p := part{id: id, body: make([]byte, answerPart)}
	for range maxAnswer/answerPart + 1 {
		q.answer(p)
	}
	select {
	case <-a.answered:
	default:
		t.Fatalf("%d bytes have come, and it isn't over", len(a.body))
	}
	if a.err == nil || len(a.body) > maxAnswer || len(q.waiting) != 0 {
		t.Errorf("got %d bytes, %v, %d questions wait", len(a.body), a.err, len(q.waiting))
	}
	q.answer(p) // nobody waits for it
}

func TestNobodyWaitsForEverForAnAnswer(t *testing.T) {
	t.Parallel()
	a := newNode(t, "lb-a")
	asked := make(chan struct{}, 1)
	b := newNode(t, "lb-b", answering(func(ctx context.Context, _, kind string, _ []byte) ([]byte, error) {
		if kind == "wait" {
			asked <- struct{}{}
			<-ctx.Done()
		}
		return []byte(kind), nil
	}))
	a.with(func(x *times) { x.answer = 50 * time.Millisecond }).start(b)
	b.start(a)
	connected(t, a, b)
	if _, err := a.hub.Ask(t.Context(), "lb-b", "wait", nil); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
	<-asked
	a.hub.times.answer = time.Minute
	if got, err := a.hub.Ask(t.Context(), "lb-b", "next", nil); err != nil || string(got) != "next" {
		t.Errorf("the next question: %q, %v", got, err)
	}
	gone := errors.New("the asker has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := a.hub.Ask(ctx, "lb-b", "wait", nil); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	var asking sync.WaitGroup
	asking.Go(func() {
		if _, err := a.hub.Ask(t.Context(), "lb-b", "wait", nil); !errors.Is(err, ErrNoStream) {
			t.Errorf("its balancer has stopped: %v", err)
		}
	})
	<-asked
	b.stop()
	asking.Wait()
}

// TestOnlyPeersWithAStreamAreOpen, and a peer is lost from when its stream breaks until it is
// back, unless nobody listens there.
func TestOnlyPeersWithAStreamAreOpen(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.know(b)
	if names, lost := a.hub.Open(); len(names) != 0 || time.Since(lost["lb-b"]) > time.Minute {
		t.Errorf("before it runs: %v, %v", names, lost)
	}
	a.start(b)
	b.start(a)
	connected(t, a, b)
	if names, lost := a.hub.Open(); len(names) != 1 || names[0] != "lb-b" || len(lost) != 0 {
		t.Errorf("connected: %v, %v", names, lost)
	}
	b.stop()
	eventually(t, "nobody listens", func() bool {
		names, lost := a.hub.Open()
		return len(names) == 0 && len(lost) == 0
	})
}

package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"tokenring/notify"
)

const (
	maxShells = 32
	maxRecent = 64 << 10         // bytes of output that a new viewer gets
	viewStall = 10 * time.Second // a viewer that reads nothing for this long is dropped
)

var (
	errFull       = errors.New("all shells of this host are in use")
	errShellEnded = errors.New("the shell has ended")
	errSlow       = errors.New("too slow to read")
)

// A program runs in a terminal. Read fails when it has ended. Close ends it and waits for
// its end; it may be called while Read and Write run.
type program interface {
	io.ReadWriteCloser
	Resize(cols, rows uint16)
}

// shells are the sessions of one host, one per token.
type shells struct {
	start  func() (program, error)
	linger time.Duration
	runs   sync.WaitGroup

	mu   sync.Mutex
	open map[string]*session // by token; the tokens are never logged or sent
}

func newShells(linger time.Duration, start func() (program, error)) *shells {
	return &shells{start: start, linger: linger, open: map[string]*session{}}
}

// join adds v to the viewers of the token's session, and starts the session if there is
// none. The session ends with its program, with ctx, or when it has had no viewers for a
// while. wait waits for it.
func (s *shells) join(ctx context.Context, token string, v *viewer) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.open[token]; one != nil && one.add(v) {
		return one, nil
	}
	if len(s.open) >= maxShells {
		return nil, errFull
	}
	p, err := s.start()
	if err != nil {
		return nil, err
	}
	one := &session{program: p, changed: notify.NewNote(), viewers: map[*viewer]struct{}{}}
	one.add(v)
	s.open[token] = one
	s.runs.Go(func() {
		one.run(ctx, s.linger)
		s.forget(token, one)
	})
	return one, nil
}

func (s *shells) forget(token string, one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[token] == one {
		delete(s.open, token)
	}
}

func (s *shells) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// wait returns when all sessions have ended. join must not be called meanwhile.
func (s *shells) wait() { s.runs.Wait() }

// A session is one program and the connections that watch it.
type session struct {
	program program
	changed notify.Note // viewers came or went

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	recent  []byte // the last output, at most maxRecent bytes
	ended   bool   // no viewers may be added any more
}

// A viewer is one connection to a session. Its ctx ends when no more output comes, with
// the reason as its cause.
type viewer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	replay []byte // set by add: the earlier output
	out    chan []byte
}

func newViewer(ctx context.Context) *viewer {
	ctx, cancel := context.WithCancelCause(ctx)
	return &viewer{ctx: ctx, cancel: cancel, out: make(chan []byte, 64)}
}

// run runs the session until it must end, ends its program, and waits for that.
func (s *session) run(ctx context.Context, linger time.Duration) {
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		s.pump()
	}()
	s.end(s.waitForEnd(ctx, linger, pumped))
	_ = s.program.Close()
	<-pumped
}

// waitForEnd returns when the session must end, with the reason. When ctx has ended, the
// reason must not be the end of the shell: this goroutine may see the end of ctx before
// the viewers do, and clients are told the first cause that their viewer gets.
func (s *session) waitForEnd(ctx context.Context, linger time.Duration, pumped <-chan struct{}) error {
	alone := time.NewTimer(linger)
	defer alone.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pumped:
			return errShellEnded
		case <-s.changed:
			alone.Reset(linger)
		case <-alone.C:
			if s.endIfAlone() {
				return errShellEnded
			}
		}
	}
}

// pump sends the program's output to the viewers until the program ends.
func (s *session) pump() {
	buf := make([]byte, 16<<10)
	for {
		n, err := s.program.Read(buf)
		if n > 0 {
			s.show(bytes.Clone(buf[:n]))
		}
		if err != nil {
			return
		}
	}
}

// show sends b to all viewers, as fast as the slowest can take it. So a terminal slows
// down a program that writes without end.
func (s *session) show(b []byte) {
	s.mu.Lock()
	s.recent = tail(append(s.recent, b...), maxRecent)
	viewers := slices.Collect(maps.Keys(s.viewers))
	s.mu.Unlock()
	for _, v := range viewers {
		v.send(b)
	}
}

func (v *viewer) send(b []byte) {
	stall := time.NewTimer(viewStall)
	defer stall.Stop()
	select {
	case v.out <- b:
	case <-v.ctx.Done():
	case <-stall.C:
		v.cancel(errSlow)
	}
}

// add makes v a viewer. It returns false if the session has ended.
func (s *session) add(v *viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	v.replay = bytes.Clone(s.recent)
	s.viewers[v] = struct{}{}
	s.changed.Leave()
	return true
}

// leave removes v. The session continues without viewers for a while.
func (s *session) leave(v *viewer) {
	v.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	s.changed.Leave()
}

func (s *session) endIfAlone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.viewers) == 0 {
		s.ended = true
	}
	return s.ended
}

// end ends the contexts of all viewers with the cause. No viewer can be added after it.
func (s *session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for v := range s.viewers {
		v.cancel(cause)
	}
}

// tail returns at most the last limit bytes of b. It begins at the start of a line if
// there is one, so that no escape sequence or character is cut in two.
func tail(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	b = b[len(b)-limit:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return append([]byte(nil), b...)
}

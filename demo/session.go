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
)

const (
	maxShells = 32
	maxRecent = 64 << 10         // bytes of output replayed to who connects
	viewStall = 10 * time.Second // a viewer that takes nothing for this long is dropped
)

var (
	errFull       = errors.New("all shells of this host are taken")
	errShellEnded = errors.New("the shell has ended")
	errSlow       = errors.New("too slow to read")
)

// A program is what a terminal shows. Read fails when it has ended. Close ends
// it, waits for that, and may be called while Read and Write run.
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
	open map[string]*session // by token, which leaves this map for nowhere
}

func newShells(linger time.Duration, start func() (program, error)) *shells {
	return &shells{start: start, linger: linger, open: map[string]*session{}}
}

// join lets v watch the token's session, which it starts if there is none. The
// session ends with its program, with ctx, or when nobody has watched it for a
// while; wait waits for it.
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
	one := &session{program: p, changed: make(chan struct{}, 1), viewers: map[*viewer]struct{}{}}
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

// wait returns when all sessions have ended; no join may begin meanwhile.
func (s *shells) wait() { s.runs.Wait() }

// A session is one program and the connections that watch it.
type session struct {
	program program
	changed chan struct{} // viewers came or went; has room for one note

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	recent  []byte // the last output, at most maxRecent bytes
	ended   bool   // takes no viewers any more
}

// A viewer is one connection to a session. Its ctx ends with a cause that says
// why it has nothing more to expect.
type viewer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	replay []byte // set by add: what was shown before
	out    chan []byte
}

func newViewer(ctx context.Context) *viewer {
	ctx, cancel := context.WithCancelCause(ctx)
	return &viewer{ctx: ctx, cancel: cancel, out: make(chan []byte, 64)}
}

// run is the session's life. When it returns, the program has been waited for.
func (s *session) run(ctx context.Context, linger time.Duration) {
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		s.pump()
	}()
	s.end(s.attend(ctx, linger, pumped))
	_ = s.program.Close()
	<-pumped
}

// attend returns when the session must end, and why. That ctx has ended must not
// count as the shell's own end: this goroutine may learn of it before the viewers
// do, and the cause that they get first is the one that their clients are told.
func (s *session) attend(ctx context.Context, linger time.Duration, pumped <-chan struct{}) error {
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

// pump shows the program's output until there is no more.
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

// show hands b to all viewers, at the pace of the slowest: a program that
// writes without end is slowed down by its terminal, as everywhere.
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

// add makes v a viewer; false: the session has ended.
func (s *session) add(v *viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	v.replay = bytes.Clone(s.recent)
	s.viewers[v] = struct{}{}
	s.note()
	return true
}

// leave takes v off; the session goes on without viewers for a while.
func (s *session) leave(v *viewer) {
	v.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	s.note()
}

func (s *session) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *session) endIfAlone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.viewers) == 0 {
		s.ended = true
	}
	return s.ended
}

// end takes no more viewers, and gives those there are the cause.
func (s *session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for v := range s.viewers {
		v.cancel(cause)
	}
}

// tail cuts b to its last limit bytes or fewer, at the start of a line if there
// is one, so that no escape sequence or character is cut in two.
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

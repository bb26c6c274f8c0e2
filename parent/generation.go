package parent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tokenring/handover"
	"tokenring/systemd"
)

// A generation is a process that serves, is to serve, or has served.
type generation struct {
	id      int
	pid     int
	process *os.Process
	started time.Time
	retired time.Time // when another one took its place; zero before. Only Parent.Run uses it
	conn    *handover.Conn
	files   map[handover.Socket]bool // that it has asked for; guarded by the lock of sockets
	opened  []handover.Socket        // that were opened for it; guarded by the same
	exited  chan struct{}            // closed when the process has ended
	state   os.ProcessState          // valid after exited is closed
	closing atomic.Bool              // it has been told to close its terminals
	lines   *lastLines               // of what it writes before it serves
	info    atomic.Pointer[handover.Started]

	listening sync.WaitGroup     // the goroutine that reads what it says
	deafen    context.CancelFunc // ends that goroutine
}

// never is closed by nobody.
var never = make(chan struct{})

// ended returns a channel that is closed when the process has ended. It is safe on nil,
// which never ends.
func (g *generation) ended() <-chan struct{} {
	if g == nil {
		return never
	}
	return g.exited
}

// spawn starts a process of a program. It is killed by kill, or ends by itself.
func (p *Parent) spawn(b *binary) (*generation, error) {
	ours, theirs, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	conn, err := handover.New(ours)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	defer write.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, errors.Join(err, conn.Close(), read.Close())
	}
	defer null.Close()
	files := []*os.File{null, p.Output, write, theirs, p.Errors, b.file} // see serve.go in cmd/lb
	process, err := os.StartProcess(path(uintptr(len(files)-1)), append([]string{"lb"}, p.Arguments...), &os.ProcAttr{
		Env:   systemd.ChildEnvironment(os.Environ()),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setpgid: true}, // a terminal's Ctrl-C is for the parent alone
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", b.name, err), conn.Close(), read.Close())
	}
	p.ids++
	g := newGeneration(p.ids, process, conn)
	p.watch(g, read)
	p.Logger.Info().Int("generation", g.id).Int("pid", g.pid).Str("program", b.name).Msg("generation started")
	return g, nil
}

func newGeneration(id int, process *os.Process, conn *handover.Conn) *generation {
	return &generation{id: id, pid: process.Pid, process: process, started: time.Now(), conn: conn, files: map[handover.Socket]bool{}, exited: make(chan struct{}), lines: new(lastLines)}
}

// watch keeps g among the living until its process has ended, answers what it asks, and
// passes on what it writes to output, unless that is nil.
func (p *Parent) watch(g *generation, output io.ReadCloser) {
	p.mu.Lock()
	p.living = append(p.living, g)
	p.mu.Unlock()
	p.listen(g)
	var parts sync.WaitGroup
	if output != nil {
		parts.Go(func() {
			defer output.Close()
			_, _ = io.Copy(io.MultiWriter(p.Errors, g.lines), output)
		})
	}
	go func() {
		state, err := g.process.Wait()
		g.conn.Close()
		g.listening.Wait()
		parts.Wait()
		if err == nil {
			g.state = *state
		}
		p.remove(g)
		close(g.exited)
	}()
}

// listen answers what g asks, until pause or until it has ended.
func (p *Parent) listen(g *generation) {
	ctx, cancel := context.WithCancel(context.Background())
	g.deafen = cancel
	g.listening.Go(func() {
		if err := g.conn.Run(ctx, p.handler(g)); err != nil {
			p.Logger.Error().Err(err).Int("generation", g.id).Msg("a generation can't be understood")
		}
	})
}

// pause ends listen, and waits for answers under way.
func (g *generation) pause() {
	g.deafen()
	g.listening.Wait()
}

// remove takes g out of the living generations.
func (p *Parent) remove(g *generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.living = slices.DeleteFunc(p.living, func(o *generation) bool { return o == g })
	p.Logger.Info().Int("generation", g.id).Int("pid", g.pid).Str("state", g.state.String()).Msg("generation ended")
}

// handler answers what a generation asks.
func (p *Parent) handler(g *generation) handover.Handler {
	return func(ctx context.Context, m handover.Message) (handover.Reply, error) {
		switch m.Kind {
		case handover.KindListen:
			var want handover.Socket
			if err := m.Decode(&want); err != nil {
				return handover.Reply{}, err
			}
			files, err := p.sockets.open(want, g)
			return handover.Reply{Files: files}, err
		case handover.KindChange:
			var c handover.Change
			if err := m.Decode(&c); err != nil {
				return handover.Reply{}, err
			}
			return handover.Reply{Body: p.answer(c)}, nil
		case handover.KindCounters:
			p.keepCounts(g, m.Body)
			return handover.Reply{}, nil
		case handover.KindGenerations:
			return handover.Reply{Body: p.Generations(ctx)}, nil
		case handover.KindKill:
			var k handover.Kill
			if err := m.Decode(&k); err != nil {
				return handover.Reply{}, err
			}
			return handover.Reply{}, p.killFor(g, k)
		}
		return handover.Reply{}, fmt.Errorf("the parent is of a version that doesn't know %q", m.Kind)
	}
}

// keepCounts keeps what the generation that serves has counted, for the case that it crashes.
func (p *Parent) keepCounts(g *generation, counts json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving == g {
		p.counts = counted{counts, g.id}
	}
}

// answer makes a change, and returns the result with the failure in it.
func (p *Parent) answer(c handover.Change) handover.Result {
	result, err := p.Change(c)
	if err != nil && !errors.As(err, &result.Failure) {
		result.Failure = &handover.Failure{Code: handover.FailedStart, Detail: err.Error()}
	}
	return result
}

// call calls a generation, and gives up after a time.
func (g *generation) call(ctx context.Context, within time.Duration, kind string, body, reply any, files ...*os.File) error {
	_, err := g.conn.CallWithin(ctx, within, kind, body, reply, files...)
	return err
}

// statusTimeout is how long a generation may take to say what it carries.
const statusTimeout = time.Second

// describe returns what is known of g. Of a generation that doesn't answer it isn't known what
// it carries.
func (g *generation) describe(ctx context.Context, serving bool) handover.Generation {
	d := handover.Generation{ID: g.id, PID: g.pid, Started: g.started, State: handover.StateOld}
	info := g.info.Load()
	switch {
	case serving:
		d.State = handover.StateServing
	case info == nil:
		d.State = handover.StateStarting
	case g.closing.Load():
		d.State = handover.StateClosing
	}
	if info != nil {
		d.Version, d.Digest = info.Version, info.Digest
	}
	d.Hangs = errors.Is(g.conn.Ask(ctx, statusTimeout, handover.KindStatus, nil, &d.Status), handover.ErrNoAnswer)
	cpu, rss := usage(g.pid)
	d.CPU, d.RSS = cpu.Seconds(), rss
	return d
}

// lastLines keeps the last lines that were written. It is safe for concurrent use.
type lastLines struct {
	mu   sync.Mutex
	text []byte
}

// maxLines is how many bytes lastLines keeps.
const maxLines = 4 << 10

// Write implements io.Writer.
func (l *lastLines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	if over := len(l.text) - maxLines; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
		if i := bytes.IndexByte(l.text, '\n'); i >= 0 {
			l.text = append(l.text[:0], l.text[i+1:]...)
		}
	}
	return len(text), nil
}

// String returns the last lines.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}

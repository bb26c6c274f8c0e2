// Package handover passes what one process of a balancer has on to another one: messages
// and open files, over a socket that only the two of them have.
//
// lb run is a parent that owns the listening sockets, and starts processes that serve,
// the generations. A Conn joins two of these processes. Sockets are the listening sockets
// of the parent, from which each generation gets copies.
package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sendTimeout is how long the other process may take nothing before it counts as gone.
const sendTimeout = 10 * time.Second

// ErrGone is the error of a Call whose other process has ended or closed the Conn.
var ErrGone = errors.New("the other process has gone")

// ErrNoAnswer is the error of CallWithin and Ask when the time is over.
var ErrNoAnswer = errors.New("no answer")

// A Message is what the other process says.
type Message struct {
	Kind  string
	Body  json.RawMessage
	Files []*os.File // they are closed when the handler returns
}

// Decode stores the body in v, as encoding/json does. It skips what v doesn't have.
func (m *Message) Decode(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("%s: %w", m.Kind, err)
	}
	return nil
}

// A Reply answers a Call. Run closes the files once they are sent.
type Reply struct {
	Body  any
	Files []*os.File
}

// A Handler handles the messages of the other process. Run calls it for one notice after
// the other, in the order in which they were sent. It calls it for each Call in a goroutine
// of its own, after the notices that were sent before. What it returns for a notice is
// ignored.
type Handler func(ctx context.Context, m Message) (Reply, error)

// A Conn joins two processes. It is safe for concurrent use, but for Run: it may be called
// again when it has returned because its context had ended.
type Conn struct {
	socket          *net.UnixConn // of type SOCK_SEQPACKET: each packet keeps its files
	packet, control []byte        // for receive
	reset           bool          // receive has met the reset by which the other side's end is told

	sending sync.Mutex // one message at a time

	mu      sync.Mutex
	calls   map[uint64]chan answer // by number
	last    uint64                 // number of a call
	stopped bool                   // no answer comes any more
	silent  bool                   // a call has been given up, and nothing has come since
}

// An answer is the other side's Reply.
type answer struct {
	message Message
	err     error
}

// Pair returns the two ends of a new connection, each for one process. The caller closes
// them, or gives them to New or to another process.
func Pair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "handover"), os.NewFile(uintptr(fds[1]), "handover"), nil
}

// New returns a Conn over one end of a Pair. It closes end, whether it fails or not.
func New(end *os.File) (*Conn, error) {
	defer end.Close()
	c, err := net.FileConn(end)
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	socket, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("handover: the file is no end of a pair, but %T", c)
	}
	return &Conn{
		socket: socket, calls: map[uint64]chan answer{},
		last:   uint64(time.Now().UnixNano()), // an answer to a program that had the socket before must not match
		packet: make([]byte, headSize+255+maxPart), control: make([]byte, unix.CmsgSpace(4*maxFiles)),
	}, nil
}

// Close closes the connection. Run then returns, and calls fail.
func (c *Conn) Close() error { return c.socket.Close() }

// File returns a copy of the socket, for another program that takes this process over.
func (c *Conn) File() (*os.File, error) { return c.socket.File() }

// Notify sends a message without an answer. It doesn't close the files.
func (c *Conn) Notify(kind string, body any, files ...*os.File) error {
	return c.send(header{kind: kind}, body, files)
}

// Call sends a message and waits for its answer, whose body it stores in reply unless that
// is nil. Files of the answer belong to the caller. Run must be running. The error is the
// other side's, or ErrGone, or that of ctx. Call doesn't close the files that it sends.
func (c *Conn) Call(ctx context.Context, kind string, body, reply any, files ...*os.File) ([]*os.File, error) {
	number, answered, err := c.expect()
	if err != nil {
		return nil, err
	}
	defer c.forget(number)
	if err := c.send(header{kind: kind, number: number}, body, files); err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		if a.err == nil && reply != nil {
			a.err = a.message.Decode(reply)
		}
		if a.err != nil {
			CloseAll(a.message.Files)
			return nil, a.err
		}
		return a.message.Files, nil
	case <-ctx.Done():
		c.giveUp(answered)
		return nil, fmt.Errorf("%s: %w", kind, context.Cause(ctx))
	}
}

// CallWithin is Call for an answer that must come within a time.
func (c *Conn) CallWithin(ctx context.Context, within time.Duration, kind string, body, reply any, files ...*os.File) ([]*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("%w within %v", ErrNoAnswer, within))
	defer cancel()
	return c.Call(ctx, kind, body, reply, files...)
}

// Ask is CallWithin for a question that is asked again and again. A process that hangs isn't
// asked before it has said something: else questions would pile up until it counted as gone.
func (c *Conn) Ask(ctx context.Context, within time.Duration, kind string, body, reply any) error {
	c.mu.Lock()
	silent := c.silent
	c.mu.Unlock()
	if silent {
		return fmt.Errorf("%s: %w yet to an earlier message", kind, ErrNoAnswer)
	}
	_, err := c.CallWithin(ctx, within, kind, body, reply)
	return err
}

// expect returns the number of the next call, and where its answer comes.
func (c *Conn) expect() (uint64, <-chan answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return 0, nil, ErrGone
	}
	c.last++
	answered := make(chan answer, 1)
	c.calls[c.last] = answered
	return c.last, answered, nil
}

// forget forgets a call. An answer that has come with files after its caller had gone is
// thrown away.
func (c *Conn) forget(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := c.calls[number]
	delete(c.calls, number)
	select {
	case a := <-answered:
		CloseAll(a.message.Files)
	default:
	}
}

// giveUp notes that a call isn't awaited any more, unless its answer has just come.
func (c *Conn) giveUp(answered <-chan answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = len(answered) == 0
}

// hasSpoken notes that the other process has said something.
func (c *Conn) hasSpoken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = false
}

// Run receives messages until ctx ends or the other side has gone. It returns nil in both
// cases when all calls of handle have returned. ctx is the handler's, too. A message that
// has come is handled, also when ctx ends meanwhile, and later ones wait for the next Run.
func (c *Conn) Run(ctx context.Context, handle Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	c.begin()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = c.socket.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-interrupted // not after the next Run has begun
		}
	}()
	var handling sync.WaitGroup
	defer handling.Wait()
	defer cancel()
	defer c.stop()
	for {
		h, m, err := c.receive()
		if err == nil {
			c.hasSpoken()
		}
		switch {
		case err == nil && h.flags&isAnswer != 0:
			c.deliver(h, m)
		case err == nil && h.number == 0:
			_, _ = handle(ctx, m)
			CloseAll(m.Files)
		case err == nil:
			handling.Go(func() { c.answer(ctx, handle, h.number, m) })
		default:
			CloseAll(m.Files)
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return fmt.Errorf("handover: %w", err)
		}
	}
}

// answer handles a call and sends the answer. If that can't be sent, the other side has
// gone, which Run finds out.
func (c *Conn) answer(ctx context.Context, handle Handler, number uint64, m Message) {
	defer CloseAll(m.Files)
	r, err := handle(ctx, m)
	defer CloseAll(r.Files)
	h := header{kind: m.Kind, number: number, flags: isAnswer}
	if err != nil {
		h.flags |= isError
		r = Reply{Body: err.Error()}
	}
	if err := c.send(h, r.Body, r.Files); err != nil && !errors.Is(err, ErrGone) {
		_ = c.send(header{kind: m.Kind, number: number, flags: isAnswer | isError}, err.Error(), nil)
	}
}

// deliver gives an answer to the Call that waits for it.
func (c *Conn) deliver(h header, m Message) {
	a := answer{message: m}
	if h.flags&isError != 0 {
		var text string
		if err := m.Decode(&text); err != nil {
			text = err.Error()
		}
		a.err = errors.New(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if answered := c.calls[h.number]; answered != nil && len(answered) == 0 {
		answered <- a
		return
	}
	CloseAll(m.Files)
}

// begin lets calls in again after an earlier Run.
func (c *Conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
	_ = c.socket.SetReadDeadline(time.Time{}) // an error shows when reading
}

// stop fails the calls that wait, and later ones.
func (c *Conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for _, answered := range c.calls {
		if len(answered) == 0 {
			answered <- answer{err: ErrGone}
		}
	}
}

// CloseAll closes files.
func CloseAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

package gossip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"tokenring/gossip/inspect"
)

// A call is a stream that another member has opened, and whose message has come and was
// inspected. memberlist reads that and no more, answers, and closes the stream.
type call struct {
	net.Conn
	message io.Reader
	close   func() error
}

// Read implements net.Conn.
func (c *call) Read(p []byte) (int, error) { return c.message.Read(p) }

// Close implements net.Conn.
func (c *call) Close() error { return c.close() }

// receive reads the message on a stream that another member has opened, and hands both
// to memberlist. It closes the stream if the message is refused, or doesn't come in time.
func (t *transport) receive(conn net.Conn, p *permit) {
	ctx, cancel := context.WithTimeout(t.stopped, t.patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) }) // nothing else ends a read
	end := sync.OnceValue(func() error {
		p.free()
		return conn.Close()
	})
	message, err := t.readCall(ctx, conn, p)
	if !stop() && err == nil {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		t.refuseCall(conn, err)
		_ = end() // nothing is left to be done about an error
		return
	}
	select {
	case t.streams <- &call{conn, message, end}:
	case <-t.stopped.Done():
		_ = end()
	}
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// readCall reads a message, with the label before it. An inspect.Refusal as error hasn't
// been reported yet.
func (t *transport) readCall(ctx context.Context, conn net.Conn, p *permit) (io.Reader, error) {
	label := t.inspector.LabelHeader()
	head := make([]byte, len(label))
	n, err := io.ReadFull(conn, head)
	if n < min(1, len(head)) {
		return nil, io.EOF // a check of the port, as a rule
	}
	if refusal := t.inspector.CheckLabel(head[:n]); refusal != nil {
		return nil, refusal
	}
	if err != nil {
		return nil, err
	}
	head, size, err := t.readHeader(conn)
	if err != nil {
		return nil, err
	}
	if err := p.reserve(ctx, size); err != nil {
		return nil, err
	}
	frame, err := readFrame(conn, head, size, func(n int) error { return p.received(ctx, n) })
	if err != nil {
		return nil, err
	}
	r := t.inspector.Call(frame)
	if r.Rest == nil {
		return nil, r.Refused[0]
	}
	t.report(r.Refused, sourceOf(conn))
	t.called(sourceOf(conn).Addr(), time.Now())
	return io.MultiReader(bytes.NewReader(label), bytes.NewReader(r.Rest)), nil
}

// readHeader reads the header of a message, and the size that it says.
func (t *transport) readHeader(r io.Reader) (head []byte, size int, err error) {
	head = make([]byte, inspect.FrameHeader)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, err
	}
	size, refusal := t.inspector.Frame(head)
	if refusal != nil {
		return nil, 0, refusal
	}
	return head, size, nil
}

// readFrame returns head and the size bytes after it. The memory that it takes grows as
// bytes come. It calls received after each of them.
func readFrame(r io.Reader, head []byte, size int, received func(n int) error) ([]byte, error) {
	size += len(head)
	b := append(make([]byte, 0, min(size, firstBuffer)), head...)
	for len(b) < size {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(size, 2*cap(b))), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil && len(b) < size {
			return nil, err
		}
		if err := received(n); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// refuseCall reports why the message on a stream was refused, and tells it who has sent
// the message, if that helps somebody whose configuration is wrong.
func (t *transport) refuseCall(conn net.Conn, err error) {
	var refusal *inspect.Refusal
	switch {
	case errors.As(err, &refusal):
		t.report([]*inspect.Refusal{refusal}, sourceOf(conn))
		if refusal.Reason == inspect.Secret || refusal.Reason == inspect.Malformed {
			_, _ = conn.Write(t.inspector.Failure(refusal.Error())) // it is closed in any case
		}
	case errors.Is(err, errRate):
		t.refuse(TooFast, "", sourceOf(conn), err)
	case errors.Is(err, os.ErrDeadlineExceeded) && t.stopped.Err() == nil:
		t.refuse(Unfinished, "", sourceOf(conn), err)
	}
}

// sourceOf returns the address of the machine that has opened a stream. Its port says
// nothing.
func sourceOf(conn net.Conn) netip.AddrPort {
	return netip.AddrPortFrom(addrPortOf(conn.RemoteAddr()).Addr(), 0)
}

// An answer is a stream that we have opened. What comes on it is inspected before
// memberlist reads it: one message and no more.
type answer struct {
	net.Conn
	transport *transport
	message   io.Reader // nil before it has come
	err       error
}

// Read implements net.Conn.
func (a *answer) Read(p []byte) (int, error) {
	if a.message == nil && a.err == nil {
		a.message, a.err = a.receive()
	}
	if a.err != nil {
		return 0, a.err
	}
	return a.message.Read(p)
}

// receive reads the message. That the secret is another one is for the caller to say.
func (a *answer) receive() (io.Reader, error) {
	t, from := a.transport, addrPortOf(a.Conn.RemoteAddr())
	head, size, err := t.readHeader(a.Conn)
	var refusal *inspect.Refusal
	if errors.As(err, &refusal) && refusal.Reason == inspect.Malformed {
		t.report([]*inspect.Refusal{refusal}, from)
	}
	if err != nil {
		return nil, err
	}
	frame, err := readFrame(a.Conn, head, size, func(int) error { return nil })
	if err != nil {
		return nil, err
	}
	r := t.inspector.Answer(frame)
	if r.Rest != nil || r.Refused[0].Reason != inspect.Secret {
		t.report(r.Refused, from)
	}
	if r.Rest == nil {
		return nil, r.Refused[0]
	}
	return bytes.NewReader(r.Rest), nil
}

// addrPortOf returns an address as ip:port, the zero value if it has no such form.
func addrPortOf(addr net.Addr) netip.AddrPort {
	at, _ := netip.ParseAddrPort(addr.String())
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

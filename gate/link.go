package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"tokenring/lease"
)

// The bounds of one connection.
const (
	headTime  = 10 * time.Second // until the head of its first request is here
	maxHead   = 64 << 10         // bytes of it that are looked at
	checkTime = 30 * time.Second // for a balancer's check
	dialTime  = 5 * time.Second  // until the service accepts
	maxLinks  = 1 << 16          // connections at once
)

// A link is a client's connection, and the one to the service that belongs to it.
type link struct {
	client *net.TCPConn

	mu      sync.Mutex
	service *net.TCPConn // nil before it is connected
	ended   bool
}

// reset ends both connections at once: what is still on its way is lost, for both sides.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, c := range []*net.TCPConn{l.client, l.service} {
		if c != nil {
			_ = c.SetLinger(0)
			c.Close()
		}
	}
}

// join takes the connection to the service. It returns false, and closes that one, if l was reset
// before.
func (l *link) join(service *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		service.Close()
		return false
	}
	l.service = service
	return true
}

// serve serves one connection, and closes it.
func (g *Gate) serve(ctx context.Context, client *net.TCPConn) {
	l := &link{client: client}
	defer client.Close()
	if !g.add(l, false) {
		l.reset()
		return
	}
	defer g.remove(l)
	_ = client.SetReadDeadline(time.Now().Add(headTime))
	head, proof, err := readHead(client)
	if err != nil {
		return
	}
	_ = client.SetReadDeadline(time.Time{})
	switch {
	case proof != "":
		g.check(ctx, l, head, proof)
	case !g.add(l, true):
		refuse(client, fmt.Sprintf("%s: %s\r\n", g.cfg.Marker, Fenced))
	default:
		g.pass(ctx, l, head, g.isOpen)
	}
}

// add adds l to the connections; users says that it is no check. It returns false if that can't
// be: there are too many, or the host is fenced and l is of users.
func (g *Gate) add(l *link, users bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if users {
		g.updateLocked(g.now())
	}
	if g.ended || users && g.fenced || !users && len(g.links) >= maxLinks {
		return false
	}
	g.links[l] = users
	return true
}

func (g *Gate) remove(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.links, l)
}

// readHead reads the head of the first request, or as much of it as is looked at. It returns the
// value of the field of a check, "" if there is none.
func readHead(client net.Conn) (head []byte, proof string, err error) {
	head = make([]byte, 0, 2<<10)
	for {
		if len(head) == cap(head) {
			head = append(head, make([]byte, len(head))...)[:len(head)]
		}
		n, err := client.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		proof, ended := lease.InHead(head)
		switch {
		case ended, len(head) >= maxHead:
			return head, proof, nil
		case err != nil:
			return nil, "", err
		}
	}
}

// check answers a balancer's check: by itself if it doesn't accept the check, and otherwise with
// an interim response (RFC 8297) and then by the service, also while the host is fenced.
func (g *Gate) check(ctx context.Context, l *link, head []byte, proof string) {
	answer, refused := g.take(proof)
	field := lease.Field + ": " + answer + "\r\n"
	if refused != nil {
		if !errors.Is(refused, lease.ErrHello) && !errors.Is(refused, lease.ErrStale) {
			g.rarely.Do(func() {
				g.log.Warn().Stringer("from", l.client.RemoteAddr()).Err(refused).Msg("a check isn't accepted: does --balancer have the keys of all balancers?")
			})
		}
		refuse(l.client, field)
		return
	}
	_ = l.client.SetDeadline(time.Now().Add(checkTime))
	if _, err := io.WriteString(l.client, "HTTP/1.1 103 Early Hints\r\n"+field+"\r\n"); err != nil {
		return
	}
	g.pass(ctx, l, head, func() bool { return true })
}

// refuse answers 421 (RFC 9110 §15.5.20), with more fields. It reads what the client still
// sends for a short while: a socket that is closed before that loses the answer.
func refuse(client *net.TCPConn, fields string) {
	_ = client.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(client, "HTTP/1.1 421 Misdirected Request\r\n"+fields+"Content-Length: 0\r\nConnection: close\r\n\r\n"); err != nil {
		return
	}
	_ = client.CloseWrite()
	_, _ = io.CopyN(io.Discard, client, 1<<20)
}

// pass connects l with the service, and passes on what both send until both have ended. head was
// read before. A service that doesn't accept gets the client's connection reset.
func (g *Gate) pass(ctx context.Context, l *link, head []byte, open func() bool) {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", g.cfg.To)
	if err != nil {
		l.reset()
		return
	}
	service := conn.(*net.TCPConn)
	if !l.join(service) {
		return
	}
	defer service.Close()
	var back sync.WaitGroup
	back.Go(func() { carry(l, l.client, service, open) })
	defer back.Wait()
	if !open() {
		l.reset()
		return
	}
	if _, err := service.Write(head); err != nil {
		l.reset()
		return
	}
	carry(l, service, l.client, open)
}

// buffers are for what is passed on.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// carry passes on what from sends, until it ends; then it ends what to gets. It passes on nothing
// when the gate is no longer open, also if nobody has noticed that yet. Any failure resets both.
func carry(l *link, to, from *net.TCPConn, open func() bool) {
	buffer := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			if !open() {
				l.reset()
				return
			}
			if _, failed := to.Write(buffer[:n]); failed != nil {
				l.reset()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite()
			return
		case err != nil:
			l.reset()
			return
		}
	}
}

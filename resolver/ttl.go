package resolver

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A timed lookup returns the addresses of a name, and for how long they hold: 0 if that isn't known.
type timed func(ctx context.Context, name string) ([]netip.Addr, time.Duration, error)

// system is the system's way to look names up: /etc/hosts, the servers and the search list of
// /etc/resolv.conf. dial connects to a server; nil is a net.Dialer. net.Resolver doesn't tell TTLs,
// so they are read on its connections.
func system(dial func(ctx context.Context, network, address string) (net.Conn, error)) timed {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
		var least leastTTL
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return least.watch(conn), nil
		}}
		all, err := r.LookupNetIP(ctx, "ip", name)
		return all, least.get(), err
	}
}

// A leastTTL is the least TTL of the answers to one lookup, which asks for IPv4 and IPv6 at the same
// time. The zero leastTTL has seen none.
type leastTTL struct {
	mu    sync.Mutex
	known bool
	ttl   time.Duration
}

func (l *leastTTL) get() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ttl
}

// see takes a message into account. Answers without addresses, and what isn't a message, tell
// nothing.
func (l *leastTTL) see(message []byte) {
	ttl, ok := ttlOf(message)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known || ttl < l.ttl {
		l.known, l.ttl = true, ttl
	}
}

// ttlOf returns the least TTL of the records of a message with addresses: of these, and of the
// aliases that lead there.
func ttlOf(message []byte) (ttl time.Duration, ok bool) {
	var p dnsmessage.Parser
	if head, err := p.Start(message); err != nil || !head.Response || p.SkipAllQuestions() != nil {
		return 0, false
	}
	least := uint32(1<<31 - 1) // RFC 2181 §8
	for {
		r, err := p.AnswerHeader()
		if err != nil || p.SkipAnswer() != nil {
			return time.Duration(least) * time.Second, ok
		}
		switch r.Type {
		case dnsmessage.TypeA, dnsmessage.TypeAAAA:
			ok = true
		case dnsmessage.TypeCNAME:
		default:
			continue
		}
		least = min(least, r.TTL)
	}
}

// watch returns a connection that shows l what comes on conn. It is a net.PacketConn if conn is one:
// net.Resolver tells UDP from TCP by that.
func (l *leastTTL) watch(conn net.Conn) net.Conn {
	if packets, ok := conn.(packetConn); ok {
		return &watchedPackets{packets, l}
	}
	return &watchedStream{conn, l}
}

type watchedPackets struct {
	packetConn
	least *leastTTL
}

type packetConn interface {
	net.Conn
	net.PacketConn
}

// Read implements net.Conn.
func (c *watchedPackets) Read(b []byte) (int, error) {
	n, err := c.packetConn.Read(b)
	c.least.see(b[:max(0, n)])
	return n, err
}

// A watchedStream has messages with their lengths before them. A message that comes in pieces isn't
// recognized, and then the TTL isn't known.
type watchedStream struct {
	net.Conn
	least *leastTTL
}

// Read implements net.Conn.
func (c *watchedStream) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.least.see(b[:max(0, n)])
	return n, err
}

package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"tokenring/gossip/inspect"
)

const (
	readBuffer = 2 << 20 // of the UDP socket, in bytes, if the kernel allows as much
	minRetry   = 5 * time.Millisecond
	maxRetry   = time.Second
)

// calls are the dials to other members, and the search for members. Both end with ctx:
// else a departure would wait for connects to hosts that don't answer. While leaving is
// true, dials begin all the same and end with their timeout.
type calls struct {
	from    netip.Addr // of the gossip's sockets
	ctx     context.Context
	end     context.CancelFunc
	leaving atomic.Bool
}

func newCalls(from netip.Addr) *calls {
	c := &calls{from: from}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// dial connects to a member.
func (c *calls) dial(addr string, timeout time.Duration) (net.Conn, error) {
	dialer, ctx := net.Dialer{Timeout: timeout, LocalAddr: c.localFor(addr)}, c.ctx
	if c.leaving.Load() {
		ctx = context.Background()
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// localFor returns the local address for a dial: that of the gossip's sockets if they have
// one, so that others see who calls them, else nil for the system's choice.
func (c *calls) localFor(addr string) net.Addr {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || !c.from.IsValid() || c.from.IsUnspecified() {
		return nil
	}
	if at := to.Addr().Unmap(); at.Is4() != c.from.Is4() || at.IsLoopback() != c.from.IsLoopback() {
		return nil
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
}

// A transport moves memberlist's packets and streams over sockets that it was handed.
// It implements memberlist.NodeAwareTransport.
type transport struct {
	sockets Sockets
	log     *log.Logger
	calls   *calls

	packets chan *memberlist.Packet
	streams chan net.Conn

	inspection
	limiter *streamLimiter

	stopped context.Context // ends when Shutdown begins
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// An inspection is what a transport needs to inspect what comes.
type inspection struct {
	inspector *inspect.Inspector
	refuse    func(reason Reason, node string, from netip.AddrPort, why error)
	count     func(reason Reason, times int)                          // further refusals that need no report
	heard     func(from netip.AddrPort, secret []byte, now time.Time) // of a packet
	called    func(from netip.Addr, now time.Time)                    // of a stream
	member    func(netip.Addr) bool                                   // reports whether a member is at an address
	patience  time.Duration                                           // for a message on a stream that another member has opened
}

// report reports what was refused of a message.
func (i inspection) report(refused []*inspect.Refusal, from netip.AddrPort) {
	for _, r := range refused {
		i.refuse(Reason(r.Reason), r.Node, from, r.Why)
	}
}

// refuseMany reports several things that were refused for one reason as one.
func (i inspection) refuseMany(reason Reason, times int, from netip.AddrPort, why error) {
	if times > 0 {
		i.count(reason, times-1)
		i.refuse(reason, "", from, why)
	}
}

// newTransport begins to read from sockets. They belong to the transport from now on,
// also after an error: Shutdown closes them.
func newTransport(sockets Sockets, i inspection, calls *calls, log *log.Logger) (*transport, error) {
	if err := growReadBuffer(sockets.Packets); err != nil {
		sockets.Close()
		return nil, fmt.Errorf("buffer of the UDP socket: %w", err)
	}
	t := &transport{
		sockets:    sockets,
		log:        log,
		calls:      calls,
		packets:    make(chan *memberlist.Packet),
		streams:    make(chan net.Conn),
		inspection: i,
		limiter:    newStreamLimiter(i.inspector.MaxStream(), i.member),
	}
	t.stopped, t.stop = context.WithCancel(context.Background())
	t.serving.Go(t.readPackets)
	t.serving.Go(t.acceptStreams)
	return t, nil
}

// growReadBuffer gives a UDP socket the largest buffer that the kernel allows.
func growReadBuffer(socket net.PacketConn) (err error) {
	udp, ok := socket.(interface{ SetReadBuffer(bytes int) error })
	if !ok {
		return nil
	}
	for size := readBuffer; size > 0; size /= 2 {
		if err = udp.SetReadBuffer(size); err == nil {
			return nil
		}
	}
	return err
}

// readPackets hands packets to memberlist, as much of them as it may see, until Shutdown.
func (t *transport) readPackets() {
	limiter := newPacketLimiter(t.member)
	buffer := make([]byte, inspect.MaxPacket+1) // what is longer is cut, and refused
	var retry time.Duration
	for {
		n, from, err := t.sockets.Packets.ReadFrom(buffer)
		at := time.Now()
		if err != nil {
			if !t.goesOn("reading UDP packet", err, &retry) {
				return
			}
			continue
		}
		retry = 0
		source := addrPortOf(from)
		if ok, dropped := limiter.admit(source.Addr().WithZone(""), n, at); !ok {
			t.refuseMany(TooFast, dropped, netip.AddrPortFrom(source.Addr(), 0), errPackets)
			continue
		}
		r := t.inspector.Packet(buffer[:n])
		t.report(r.Refused, source)
		if r.Secret != nil {
			t.heard(source, r.Secret, at)
		}
		if r.Rest == nil {
			continue
		}
		select {
		case t.packets <- &memberlist.Packet{Buf: bytes.Clone(r.Rest), From: from, Timestamp: at}:
		case <-t.stopped.Done():
			return
		}
	}
}

// acceptStreams has the messages on streams of others received until Shutdown, unless the
// limiter refuses them.
func (t *transport) acceptStreams() {
	var retry time.Duration
	for {
		conn, err := t.sockets.Streams.Accept()
		if err != nil {
			if !t.goesOn("accepting TCP connection", err, &retry) {
				return
			}
			continue
		}
		retry = 0
		from := sourceOf(conn)
		p, err := t.limiter.admit(from.Addr(), time.Now())
		if err != nil {
			conn.Close()
			if errors.Is(err, errAll) {
				from = netip.AddrPort{} // it isn't this one's fault
			}
			t.refuse(TooManyStreams, "", from, err)
			continue
		}
		t.serving.Go(func() { t.receive(conn, p) })
	}
}

// goesOn logs an error of a socket and waits, each time for longer. It returns false
// once Shutdown has begun.
func (t *transport) goesOn(doing string, err error, retry *time.Duration) bool {
	if t.stopped.Err() != nil {
		return false
	}
	t.log.Printf("[ERR] memberlist: Error %s: %v", doing, err)
	*retry = min(max(2**retry, minRetry), maxRetry)
	select {
	case <-t.stopped.Done():
		return false
	case <-time.After(*retry):
		return true
	}
}

// FinalAdvertiseAddr implements memberlist.Transport. The address is always given.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, fmt.Errorf("address to advertise: %w", err)
	}
	return net.IP(addr.Unmap().AsSlice()), port, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress implements memberlist.NodeAwareTransport. The address is ip:port.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.sockets.Packets.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := t.calls.dial(a.Addr, timeout)
	if err != nil {
		return nil, err
	}
	return &answer{Conn: conn, transport: t}, nil
}

// Shutdown implements memberlist.Transport: it closes the sockets, and returns when no
// more packet or stream can come. It may be called more than once.
func (t *transport) Shutdown() error {
	t.stop()
	err := t.sockets.Close()
	t.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

package gossip

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect/forge"
	"tokenring/route"
)

// A fakeSocket is a UDP socket to which a test writes.
type fakeSocket struct {
	net.PacketConn // nil: what isn't here isn't called
	addr           net.Addr
	packets        chan []byte
	sent           chan []byte // what was written; dropped if there is no room
	once           sync.Once
	closed         chan struct{}
}

func (s *fakeSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case b := <-s.packets:
		return copy(p, b), s.addr, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

func (s *fakeSocket) WriteTo(p []byte, _ net.Addr) (int, error) {
	select {
	case s.sent <- bytes.Clone(p):
	default:
	}
	return len(p), nil
}

func (s *fakeSocket) LocalAddr() net.Addr { return s.addr }

func (s *fakeSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// A fakeListener is a TCP socket at which a test opens streams.
type fakeListener struct {
	addr    net.Addr
	streams chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.streams:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Addr() net.Addr { return l.addr }

func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// notes says of each message that has come.
type notes chan []byte

func (n notes) Receive(b []byte) {
	select {
	case n <- b:
	default:
	}
}
func (n notes) State(int) []byte { return []byte("state") }

// A target is a member without a network.
type target struct {
	*Gossip
	socket   *fakeSocket
	listener *fakeListener
	messages notes
}

// quiet is for a member that begins nothing by itself.
var quiet = Timing{
	Probe: time.Hour, ProbeTimeout: time.Hour, Gossip: time.Hour, Stream: 5 * time.Second,
	ToTheDead: time.Hour, Reclaim: time.Hour, Rejoin: time.Hour, RejoinAlone: time.Hour, Leave: time.Second, Forget: time.Hour,
}

func newTarget(t testing.TB, secret string) target {
	t.Helper()
	udp, tcp := net.UDPAddrFromAddrPort(gossipAt(1)), net.TCPAddrFromAddrPort(gossipAt(1))
	socket := &fakeSocket{addr: udp, packets: make(chan []byte), sent: make(chan []byte, 16), closed: make(chan struct{})}
	listener := &fakeListener{addr: tcp, streams: make(chan net.Conn), closed: make(chan struct{})}
	messages := make(notes, 16)
	g, err := Open(Config{SecretFile: secret, Label: tester.Label}, Sockets{Packets: socket, Streams: listener}, Options{
		Self:     announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}},
		Filter:   Filter{Loopback: true},
		Messages: messages,
		Timing:   quiet,
		Log:      zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return target{g, socket, listener, messages}
}

// packet sends a packet, and waits until memberlist has read a user's message after it,
// and after that another one.
func (g target) packet(t testing.TB, b []byte) {
	t.Helper()
	g.socket.packets <- b
	for _, text := range []string{"the first message of the test", "the second message of the test"} {
		g.socket.packets <- userMessage(text)
		for string(g.message(t)) != text {
		}
	}
}

func (g target) message(t testing.TB) []byte {
	t.Helper()
	select {
	case b := <-g.messages:
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("memberlist doesn't read any more")
		return nil
	}
}

// stream opens a stream, sends b, and closes the stream when it has got what is answered
// soon.
func (g target) stream(t testing.TB, b []byte) {
	t.Helper()
	ours, theirs := net.Pipe()
	g.listener.streams <- theirs
	_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = ours.Write(b)
		_ = ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	})
	_, _ = io.Copy(io.Discard, ours)
	_ = ours.Close()
	writing.Wait()
}

// answer has the member call another, which answers b.
func (g target) answer(t testing.TB, b []byte) {
	t.Helper()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var answering sync.WaitGroup
	answering.Go(func() {
		conn, err := other.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write(b)
	})
	_ = g.exchange(netip.MustParseAddrPort(other.Addr().String()))
	answering.Wait()
}

// FuzzWhatComes has a member with memberlist behind its transport receive packets,
// streams and answers, from strangers and from a member.
func FuzzWhatComes(f *testing.F) {
	meta, err := localHost("ide-1", "127.0.0.1:4000").MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	for _, plain := range [][]byte{
		nil,
		bytes.Repeat([]byte{255}, 16),
		forge.AliveNode("host/ide-1", 2, 7946, meta),
		forge.AliveNode("lb/lb-1", 2, 7946, meta),
		forge.Message(forge.Suspect, "Incarnation", 2, "Node", "lb/lb-1", "From", "host/ide-1"),
		forge.Message(forge.Dead, "Incarnation", 1, "Node", "host/ide-1", "From", "host/ide-1"),
		forge.Message(forge.Ping, "SeqNo", 1, "Node", "lb/lb-1", "SourceAddr", []byte{10, 0, 0, 1}, "SourcePort", 1),
		forge.Message(forge.IndirectPing, "SeqNo", 1, "Target", []byte{10, 0, 0, 1}, "Port", 1, "Node", "host/ide-1", "Nack", true),
		forge.Message(forge.Ack, "SeqNo", 1, "Payload", nil),
		forge.Message(forge.Nack, "SeqNo", 1),
		forge.Message(forge.Failure, "Error", "why"),
		forge.Message(forge.Compress, "Algo", 0, "Buf", []byte{1}),
		forge.Checked(forge.Compound(forge.Message(forge.Nack, "SeqNo", 1), []byte{forge.User, 1})),
		forge.ExchangeOf(1, 5, true, forge.NodeState("host/ide-1", 2, 7946, meta, 0), []byte("state")),
		forge.ExchangeOf(2, 0, false, forge.NodeState("host/ide-1", 2, 7946, meta, 2), forge.NodeState("lb/lb-1", 1<<32-1, 7946, nil, 3)),
	} {
		for how := range byte(9) {
			f.Add(how, plain)
		}
	}
	secret := secretFile(f, 1)
	known := tester.Packet(forge.AliveNode("host/ide-1", 1, 7946, meta))
	f.Fuzz(func(t *testing.T, how byte, b []byte) {
		g := newTarget(t, secret)
		defer g.Close()
		g.packet(t, known)
		switch label := tester.Header(); how % 9 {
		case 0:
			g.packet(t, b)
		case 1:
			g.packet(t, append(label, b...))
		case 2:
			g.packet(t, tester.Packet(b))
		case 3:
			g.packet(t, tester.PacketOf(0, b))
		case 4:
			g.stream(t, append(label, b...))
		case 5:
			g.stream(t, tester.Call(b))
		case 6:
			g.stream(t, tester.CallOf(0, b))
		case 7:
			g.answer(t, tester.Frame(b))
		case 8:
			g.answer(t, b)
		}
		g.packet(t, userMessage("a last one")) // it goes on
	})
}

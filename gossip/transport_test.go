package gossip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect"
	"tokenring/gossip/inspect/forge"
)

// listen opens sockets on loopback.
func listen(t testing.TB) Sockets {
	t.Helper()
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// tester is a member of the gossip of tests.
var tester = forge.Member{Label: "test", Key: bytes.Repeat([]byte{1}, secretSize)}

// A carrier is a transport with its address.
type carrier struct {
	*transport
	addr    string
	refused *refusals
}

func newCarrier(t testing.TB) carrier {
	t.Helper()
	s := listen(t)
	keys, err := inspect.NewKeys(tester.Key)
	if err != nil {
		t.Fatal(err)
	}
	r := newRefusals(noMember, zerolog.Nop())
	o := Options{Self: localHost("self", "127.0.0.1:1")}
	tr, err := newTransport(s, inspection{
		inspector: newInspector(tester.Label, o, keys),
		refuse:    r.refuse,
		count:     r.count,
		heard:     func(netip.AddrPort, []byte, time.Time) {},
		called:    func(netip.Addr, time.Time) {},
		member:    func(netip.Addr) bool { return false },
		patience:  time.Second,
	}, newCalls(netip.Addr{}), log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Shutdown() })
	return carrier{tr, s.Streams.Addr().String(), r}
}

// userMessage is what members send each other in packets.
func userMessage(text string) []byte { return tester.Packet(append([]byte{forge.User}, text...)) }

func TestBothSocketsHaveOnePort(t *testing.T) {
	s := listen(t)
	if tcp, udp := s.Streams.Addr().String(), s.Packets.LocalAddr().String(); tcp != udp {
		t.Errorf("streams at %s, packets at %s", tcp, udp)
	}
	if _, err := Listen(s.Streams.Addr().String()); err == nil || !strings.Contains(err.Error(), s.Streams.Addr().String()) {
		t.Errorf("a port in use: got %v, want an error that names the address", err)
	}
}

func TestPacketsArriveAsTheyWereSent(t *testing.T) {
	from, to := newCarrier(t), newCarrier(t)
	for _, text := range []string{"first", "second, and longer", "3", strings.Repeat("x", 4000)} {
		packet := userMessage(text)
		if _, err := from.WriteTo(packet, to.addr); err != nil {
			t.Fatal(err)
		}
		p := <-to.PacketCh()
		if !bytes.Equal(p.Buf, packet) || p.From.String() != from.addr || time.Since(p.Timestamp) > 10*time.Second {
			t.Errorf("got %d bytes from %v at %v, want %d from %s", len(p.Buf), p.From, p.Timestamp, len(text), from.addr)
		}
	}
	for _, addr := range []string{"", "localhost:1", "127.0.0.1", "127.0.0.1:x"} {
		if _, err := from.WriteToAddress(nil, memberlist.Address{Addr: addr}); err == nil {
			t.Errorf("%q: no error", addr)
		}
	}
}

func TestPacketsAreCopies(t *testing.T) {
	from, to := newCarrier(t), newCarrier(t)
	from.WriteTo(userMessage("first"), to.addr)
	first := <-to.PacketCh()
	before := bytes.Clone(first.Buf)
	from.WriteTo(userMessage("other"), to.addr)
	<-to.PacketCh()
	if !bytes.Equal(first.Buf, before) {
		t.Errorf("the next packet changed the first to %x", first.Buf)
	}
}

func TestStreamsCarryBothWays(t *testing.T) {
	from, to := newCarrier(t), newCarrier(t)
	out, err := from.DialTimeout(to.addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ping, ack := forge.Message(forge.Ping, "SeqNo", 7, "Node", ""), forge.Message(forge.Ack, "SeqNo", 7, "Payload", nil)
	if _, err := out.Write(tester.Call(ping)); err != nil {
		t.Fatal(err)
	}
	in := <-to.StreamCh()
	defer in.Close()
	for _, row := range []struct {
		from, to net.Conn
		message  []byte
	}{{nil, in, tester.Call(ping)}, {in, out, tester.Frame(ack)}} {
		if row.from != nil {
			if _, err := row.from.Write(row.message); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := io.ReadAll(row.to); err != nil || len(b) != len(row.message) {
			t.Errorf("got %d bytes, %v, want %d", len(b), err, len(row.message))
		}
	}
}

// TestDialsEndWithTheCalls: but for those of a departure.
func TestDialsEndWithTheCalls(t *testing.T) {
	from, to := newCarrier(t), newCarrier(t)
	from.calls.end()
	if conn, err := from.DialTimeout(to.addr, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want it canceled", conn, err)
	}
	from.calls.leaving.Store(true)
	conn, err := from.DialTimeout(to.addr, time.Minute)
	if err != nil {
		t.Fatalf("while leaving: %v", err)
	}
	conn.Close()
}

// TestShutdownEndsWhatIsNotTaken: a packet and a stream that memberlist doesn't take
// don't hold it up, and the sockets are closed afterwards.
func TestShutdownEndsWhatIsNotTaken(t *testing.T) {
	from, to := newCarrier(t), newCarrier(t)
	from.WriteTo(userMessage("x"), to.addr)
	conn, err := from.DialTimeout(to.addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(tester.Call(forge.Message(forge.Ping, "SeqNo", 7))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := to.Shutdown(); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the stream is open: %v", err)
	}
	again, err := Listen(to.addr)
	if err != nil {
		t.Fatalf("the address is in use: %v", err)
	}
	again.Close()
}

// TestSocketsAreClosedIfOpenFails: whoever hands them in needn't.
func TestSocketsAreClosedIfOpenFails(t *testing.T) {
	self := localHost("ide-1", "127.0.0.1:1")
	for name, row := range map[string]struct {
		cfg  Config
		self announcement.Metadata
	}{
		"no secret":    {Config{}, self},
		"bad address":  {Config{SecretFile: secretFile(t, 1), Advertise: "x"}, self},
		"bad metadata": {Config{SecretFile: secretFile(t, 1)}, announcement.Metadata{}},
		"long label":   {Config{SecretFile: secretFile(t, 1), Label: strings.Repeat("x", 256)}, self},
	} {
		s := listen(t)
		if g, err := Open(row.cfg, s, Options{Self: row.self, Log: zerolog.Nop()}); err == nil {
			g.Close()
			t.Errorf("%s: no error", name)
		}
		if _, err := s.Streams.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: streams: %v, want closed", name, err)
		}
		if _, err := s.Packets.WriteTo(nil, s.Packets.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: packets: %v, want closed", name, err)
		}
	}
	if g, err := Open(Config{SecretFile: secretFile(t, 1)}, Sockets{}, Options{Self: self}); err == nil {
		g.Close()
		t.Error("without sockets: no error")
	}
}

func TestRunAndCloseCloseTheSockets(t *testing.T) {
	for name, end := range map[string]func(*Gossip){
		"Close": (*Gossip).Close,
		"Run": func(g *Gossip) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			g.Run(ctx)
		},
	} {
		s := listen(t)
		g, err := Open(Config{SecretFile: secretFile(t, 1)}, s, Options{Self: localHost("ide-1", "127.0.0.1:1"), Timing: fast, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		end(g)
		g.Close() // once more harms nothing
		if _, err := s.Streams.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: streams: %v, want closed", name, err)
		}
		if err := g.Announce(localHost("ide-1", "127.0.0.1:2")); !errors.Is(err, errClosed) {
			t.Errorf("%s: announced afterwards: %v", name, err)
		}
	}
}

// TestCallsComeFromTheAddressOfTheGossip: a member is known by it.
func TestCallsComeFromTheAddressOfTheGossip(t *testing.T) {
	for _, row := range []struct{ from, to, want string }{
		{"10.0.0.2", "10.0.0.3:7946", "10.0.0.2:0"},
		{"127.0.0.2", "127.0.0.3:7946", "127.0.0.2:0"},
		{"fd00::2", "[fd00::3]:7946", "[fd00::2]:0"},
		{"0.0.0.0", "10.0.0.3:7946", ""},
		{"::", "10.0.0.3:7946", ""},
		{"fd00::2", "10.0.0.3:7946", ""},
		{"127.0.0.1", "10.0.0.3:7946", ""}, // loopback reaches no other machine
		{"10.0.0.2", "127.0.0.1:7946", ""},
		{"10.0.0.2", "lb-1:7946", ""},
	} {
		got := ""
		if local := newCalls(netip.MustParseAddr(row.from)).localFor(row.to); local != nil {
			got = local.String()
		}
		if got != row.want {
			t.Errorf("from %s to %s: %q, want %q", row.from, row.to, got, row.want)
		}
	}
}

package gossip

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect"
	"tokenring/gossip/inspect/forge"
	"tokenring/route"
)

// A victim is two honest members that a hostile one, or a stranger, sends to.
type victim struct {
	balancer, host *Gossip
	join           func(name string) *Gossip // another honest host
}

func newVictim(t *testing.T) victim {
	t.Helper()
	n := node{cfg: Config{SecretFile: secretFile(t, 1)}, timing: fast}
	n.timing.Stream = LAN.Stream // for what has no end
	balancer, _ := n.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	n.cfg.Join = []string{balancer.Addr()}
	join := func(name string) *Gossip {
		g, _ := n.start(t, localHost(name, "127.0.0.1:4000"))
		return g
	}
	v := victim{balancer, join("ide-1"), join}
	eventually(t, "they meet", v.together)
	return v
}

func (v victim) together() bool { return v.balancer.sees("host/ide-1") && v.host.sees("lb/lb-1") }

// send sends a packet to the balancer.
func (v victim) send(t *testing.T, packet []byte) {
	t.Helper()
	conn, err := net.Dial("udp", v.balancer.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
}

// call sends bytes on a stream to the balancer, from one of the addresses of loopback,
// and reads what it answers until it closes the stream.
func (v victim) call(from byte, b []byte) (answer []byte) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}, Timeout: time.Minute}
	conn, err := dialer.Dial("tcp", v.balancer.Addr())
	if err != nil {
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(b) // it may be closed before all is written
	answer, _ = io.ReadAll(conn)
	return answer
}

// refused returns how often the balancer has refused something for a reason.
func (v victim) refused(reason Reason) uint64 { return v.balancer.RefusedTotals()[reason] }

// check checks that the members are well after an attack: they know each other, and
// another one can join.
func (v victim) check(t *testing.T) {
	t.Helper()
	eventually(t, "they know each other", v.together)
	last := v.join("ide-last")
	eventually(t, "another one joins", func() bool { return v.balancer.sees("host/ide-last") && last.sees("lb/lb-1") })
}

// watchHeap begins to watch the bytes of objects on the heap. stop returns how many more
// there have been at most.
func watchHeap() (stop func() (most uint64)) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, most := read(), uint64(0)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			most = max(most, read())
			time.Sleep(time.Millisecond)
		}
	})
	return func() uint64 {
		cancel()
		watching.Wait()
		return most - min(most, before)
	}
}

// maxHeap is how much more memory an attack may cost, in bytes.
const maxHeap = 100 << 20

// TestNothingThatAMemberSendsEndsTheProcess: memberlist panics on some of these, in
// goroutines of its own.
func TestNothingThatAMemberSendsEndsTheProcess(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	nack := forge.Message(forge.Nack, "SeqNo", 1)
	for name, packet := range map[string][]byte{
		"an encrypted nothing":      tester.Packet(nil),
		"version 0, no padding":     tester.PacketOf(0, bytes.Repeat([]byte{255}, 16)),
		"version 0, all padding":    tester.PacketOf(0, bytes.Repeat([]byte{16}, 16)),
		"version 0, nothing":        tester.PacketOf(0, nil),
		"parts within parts":        tester.Packet(forge.Compound(forge.Compound(nack))),
		"compressed":                tester.Packet(forge.Message(forge.Compress, "Algo", 0, "Buf", []byte{1, 2, 3})),
		"lists within lists":        tester.Packet(append([]byte{forge.Nack, 0x81, 0xa1, 'X'}, bytes.Repeat([]byte{0x91}, 3000)...)),
		"a type alone":              tester.Packet([]byte{forge.Alive}),
		"a node without an address": tester.Packet(forge.Message(forge.Alive, "Incarnation", 9, "Node", "host/x", "Vsn", forge.Versions)),
		"64 KB of metadata":         tester.Packet(forge.AliveNode("host/x", 9, 1, make([]byte, 60_000))),
	} {
		before := v.refused(Malformed)
		v.send(t, packet)
		eventually(t, name+" is refused", func() bool { return v.refused(Malformed) > before })
	}
	for name, stream := range map[string][]byte{
		"an encrypted nothing":   tester.Call(nil),
		"version 0, no padding":  tester.CallOf(0, bytes.Repeat([]byte{255}, 16)),
		"version 0, nothing":     tester.CallOf(0, nil),
		"compressed":             tester.Call(forge.Message(forge.Compress, "Algo", 0, "Buf", []byte{})),
		"lists within lists":     tester.Call(append([]byte{forge.Exchange, 0x81, 0xa1, 'X'}, bytes.Repeat([]byte{0x91}, 1<<20)...)),
		"a user's message":       tester.Call(forge.Message(forge.User, "UserMsgLen", 20<<20)),
		"a million nodes":        tester.Call(forge.ExchangeOf(1<<20, 0, true)),
		"20 MB of state":         tester.Call(forge.ExchangeOf(0, 20<<20, true)),
		"a negative node number": tester.Call(forge.Message(forge.Exchange, "Nodes", forge.Raw{0xff}, "UserStateLen", 0, "Join", true)),
	} {
		before := v.refused(Malformed)
		v.call(1, stream)
		if v.refused(Malformed) == before {
			t.Errorf("%s isn't refused", name)
		}
	}
	v.check(t)
}

// TestNothingThatAMemberAnswersEndsTheProcess has an honest member call a hostile one.
func TestNothingThatAMemberAnswersEndsTheProcess(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	hostile, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hostile.Close()
	for name, row := range map[string]struct {
		answer []byte
		reason Reason // "": it isn't reported, as the caller is told
	}{
		"an encrypted nothing":  {tester.Frame(nil), Malformed},
		"version 0, no padding": {tester.FrameOf(0, bytes.Repeat([]byte{255}, 16)), Malformed},
		"a million nodes":       {tester.Frame(forge.ExchangeOf(1<<20, 0, true)), Malformed},
		"an unknown type":       {tester.Frame([]byte{77}), Malformed},
		"20 MB":                 {[]byte{10, 1, 64, 0, 0}, Malformed},
		"high incarnations":     {tester.Frame(forge.ExchangeOf(1, 0, true, forge.NodeState("host/ide-1", inspect.MaxIncarnation+1, 1, nil, 0))), HighIncarnation},
		"another secret":        {forge.Member{Label: "test", Key: make([]byte, 32)}.Frame([]byte{77}), ""},
		"no secret":             {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ""},
		"half an answer":        {tester.Frame(forge.ExchangeOf(0, 0, true))[:20], ""},
		"nothing":               {nil, ""},
	} {
		var answering sync.WaitGroup
		answering.Go(func() {
			conn, err := hostile.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1000))
			_, _ = conn.Write(row.answer)
		})
		all := func() (n uint64) {
			for _, times := range v.balancer.RefusedTotals() {
				n += times
			}
			return n
		}
		before, beforeAll := v.refused(row.reason), all()
		_ = v.balancer.exchange(netip.MustParseAddrPort(hostile.Addr().String()))
		answering.Wait()
		if got := v.refused(row.reason) - before; row.reason != "" && got != 1 || row.reason == "" && all() != beforeAll {
			t.Errorf("%s: %d refusals for %q, %d in all", name, got, row.reason, all()-beforeAll)
		}
	}
	v.check(t)
}

// attack calls send from many goroutines at once, with numbers from 0, in rounds, and
// returns how much memory that has cost.
func attack(rounds, streams int, send func(i int)) (heap uint64) {
	stop := watchHeap()
	for range rounds {
		var sending sync.WaitGroup
		for i := range streams {
			sending.Go(func() { send(i) })
		}
		sending.Wait()
	}
	return stop()
}

// TestWhatAMemberPromisesCostsNoMemory: memberlist makes room for all nodes that the head
// of an exchange promises.
func TestWhatAMemberPromisesCostsNoMemory(t *testing.T) {
	v := newVictim(t)
	promise := tester.Call(forge.ExchangeOf(1<<20, 20<<20, true))
	if heap := attack(6, 100, func(int) { v.call(1, promise) }); heap > maxHeap {
		t.Errorf("%d MB more", heap>>20)
	} else {
		t.Logf("%d KB more", heap>>10)
	}
	v.check(t)
}

// TestTheLargestMessagesOfMembersAreBounded has a hostile member send as much as is read
// at all, over many streams and from many addresses.
func TestTheLargestMessagesOfMembersAreBounded(t *testing.T) {
	v := newVictim(t)
	var nodes [][]byte
	for i := range 4600 {
		nodes = append(nodes, forge.NodeState(fmt.Sprintf("host/%064d", i), 1, 1, make([]byte, 440), 2))
	}
	exchange := tester.Call(forge.ExchangeOf(len(nodes), 0, false, nodes...))
	if limit := v.balancer.transport.inspector.MaxStream(); len(exchange) < limit*9/10 || len(exchange) > limit {
		t.Fatalf("the message has %d bytes, up to %d are read", len(exchange), limit)
	}
	if heap := attack(2, 100, func(i int) { v.call(byte(1+i%20), exchange) }); heap > maxHeap {
		t.Errorf("%d MB more", heap>>20)
	} else {
		t.Logf("%d MB more", heap>>20)
	}
	v.check(t)
}

// TestStrangersCostLittle has strangers, without the secret, open streams from many
// addresses and send as much as they can.
func TestStrangersCostLittle(t *testing.T) {
	v := newVictim(t)
	stranger := forge.Member{Label: "test", Key: make([]byte, 32)}
	large := stranger.Call(make([]byte, v.balancer.transport.inspector.MaxStream()-100))
	for name, row := range map[string]struct {
		stream  []byte
		reason  Reason // "": any, as it may not come in time
		sources int
	}{
		"20 MB":              {append(tester.Promise(20<<20), make([]byte, 20<<20)...), Malformed, 1},
		"4 GB":               {append(tester.Promise(1<<32-1), make([]byte, 1<<20)...), Malformed, 1},
		"as much as is read": {large, "", 20},
		"of one source":      {large, TooManyStreams, 1},
		"no end":             {large[:len(large)-1], "", 20},
		"no label":           {make([]byte, 1<<20), OtherLabel, 1},
		"another label":      {append(forge.Member{Label: "tost"}.Promise(0), large...), OtherLabel, 1},
		"a request by HTTP":  {[]byte("GET / HTTP/1.1\r\n\r\n"), OtherLabel, 1},
		"no secret":          {append(tester.Promise(0)[:6], forge.ExchangeOf(1<<20, 0, true)...), Unencrypted, 1},
	} {
		refused := func() uint64 {
			if row.reason != "" {
				return v.refused(row.reason)
			}
			return v.refused(OtherSecret) + v.refused(TooFast) + v.refused(Unfinished)
		}
		before := refused()
		heap := attack(1, 50, func(i int) { v.call(byte(1+i%row.sources), row.stream) })
		t.Logf("%s: %d MB more", name, heap>>20)
		if heap > maxHeap || refused() == before {
			t.Errorf("%s: %d MB more, %d refused", name, heap>>20, refused()-before)
		}
	}
	v.check(t)
}

// TestNothingComesOfAPortCheck: whoever opens a stream and says nothing isn't refused.
func TestNothingComesOfAPortCheck(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.call(1, nil)
	conn, err := net.Dial("tcp", v.balancer.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if list := v.balancer.Refusals(); len(list) > 0 {
		t.Errorf("refused: %v", list)
	}
	v.check(t)
}

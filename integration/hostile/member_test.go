//go:build integration

package hostile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect/forge"
	"tokenring/route"
)

// A member is a hostile one. It has the pool's secret, a host of its own that gets no
// users, a key pair, and memberlist as it is.
type member struct {
	forge.Member
	region  *region
	private ed25519.PrivateKey
	at      netip.AddrPort // of its gossip
	anybody netip.AddrPort // where it answers to any name
	packets net.PacketConn
	list    *memberlist.Memberlist
}

// newMember has a hostile member join.
func (r *region) newMember() *member {
	r.t.Helper()
	m := r.newStranger(r.secret)
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.SecretKey = "host/thief", label, r.secret
	c.BindAddr, c.BindPort, c.AdvertiseAddr, c.AdvertisePort = m.at.Addr().String(), int(m.at.Port()), m.at.Addr().String(), int(m.at.Port())
	c.EnableCompression, c.Logger = false, log.New(io.Discard, "", 0)
	c.Delegate = announcer(m.announce(route.Spec{Name: "thief", Address: r.thief.at.String()}, m.at))
	var err error
	if m.list, err = memberlist.Create(c); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = m.list.Shutdown() })
	m.answerToAnyName()
	wait(r.t, "the hostile member knows all others", func() string {
		_, err := m.list.Join([]string{r.at(firstBalancer, poolPort).String()})
		if err == nil && m.list.NumMembers() < 1+len(r.balancers)+len(r.agents) {
			err = errors.New("some are missing")
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
	return m
}

// answerToAnyName has the member answer at another port whoever asks whether a host is there.
func (m *member) answerToAnyName() {
	listener, err := net.Listen("tcp", m.region.at(thiefAddress, anyNamePort).String())
	if err != nil {
		m.region.t.Fatal(err)
	}
	m.anybody = netip.MustParseAddrPort(listener.Addr().String())
	var answering sync.WaitGroup
	answering.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answering.Go(func() { m.answer(conn) })
		}
	})
	m.region.t.Cleanup(func() { _ = listener.Close(); answering.Wait() })
}

// answer answers one ping.
func (m *member) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	call := make([]byte, 4096)
	n, _ := io.ReadAtLeast(conn, call, len(m.Header())+5)
	message, err := m.OpenCall(call[:n])
	_, after, found := bytes.Cut(message, []byte("SeqNo\xce"))
	if err == nil && found && len(after) >= 4 {
		_, _ = conn.Write(m.Frame(forge.Message(forge.Ack, "SeqNo", int(binary.BigEndian.Uint32(after)), "Payload", nil)))
	}
}

// newStranger returns a member that doesn't join. With another secret than the pool's it
// can't.
func (r *region) newStranger(secret []byte) *member {
	r.t.Helper()
	packets, err := net.ListenPacket("udp", r.at(thiefAddress, 0).String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = packets.Close() })
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &member{Member: forge.Member{Label: label, Key: secret}, region: r, private: private, at: r.at(thiefAddress, poolPort), packets: packets}
}

// An announcer is a memberlist.Delegate that announces these bytes, and no more.
type announcer []byte

func (a announcer) NodeMeta(int) []byte           { return a }
func (announcer) NotifyMsg([]byte)                {}
func (announcer) GetBroadcasts(int, int) [][]byte { return nil }
func (announcer) LocalState(bool) []byte          { return nil }
func (announcer) MergeRemoteState([]byte, bool)   {}

// announce returns the announcement of a host with the member's own signature.
func (m *member) announce(spec route.Spec, at netip.AddrPort) []byte {
	return m.sign(announcement.Metadata{Role: announcement.HostRole, Spec: spec, Version: "v0"}, at)
}

// sign returns the wire form of an announcement with the member's own signature: a number
// that nobody outdoes, and the address of the gossip as it is said to be.
func (m *member) sign(meta announcement.Metadata, at netip.AddrPort) []byte {
	meta.Signature = announcement.Signature{Key: route.HostKey(m.private.Public().(ed25519.PublicKey)), Sequence: uint64(time.Now().Add(time.Hour).UnixMilli()), Gossip: at}
	b := append(m.encode(meta), ed25519.SignatureSize)
	signed := append([]byte("tokenring: announcement of a host\x00"), binary.BigEndian.AppendUint32(nil, uint32(len(label)))...)
	return append(b, ed25519.Sign(m.private, append(append(signed, label...), b...))...)
}

// encode returns the wire form without a signature.
func (m *member) encode(meta announcement.Metadata) []byte {
	b, err := meta.MarshalBinary()
	if err != nil {
		m.region.t.Fatal(err)
	}
	return b
}

// announcementOf returns what an honest host has announced.
func (m *member) announcementOf(name string) []byte {
	for _, n := range m.list.Members() {
		if n.Name == "host/"+name {
			return n.Meta
		}
	}
	m.region.t.Fatalf("the hostile member doesn't know %s", name)
	return nil
}

// alive returns the message that a host is alive at an address, and announces meta.
func alive(host string, incarnation int, at netip.AddrPort, meta []byte) []byte {
	return aliveNode("host/"+host, incarnation, at, meta)
}

func aliveNode(node string, incarnation int, at netip.AddrPort, meta []byte) []byte {
	return forge.Message(forge.Alive, "Incarnation", incarnation, "Node", node, "Addr", at.Addr().AsSlice(), "Port", int(at.Port()), "Meta", meta, "Vsn", forge.Versions)
}

// state returns what an exchange of state has about a host.
func state(host string, incarnation int, at netip.AddrPort, meta []byte) []byte {
	return forge.Map("Name", "host/"+host, "Addr", at.Addr().AsSlice(), "Port", int(at.Port()), "Meta", meta, "Incarnation", incarnation, "State", 0, "Vsn", forge.Versions)
}

// dead returns the messages that a host has left, is dead and is suspect.
func dead(host string, incarnation int) [][]byte { return deadNode("host/"+host, incarnation) }

func deadNode(node string, incarnation int) [][]byte {
	return [][]byte{
		forge.Message(forge.Dead, "Incarnation", incarnation, "Node", node, "From", node),
		forge.Message(forge.Dead, "Incarnation", incarnation, "Node", node, "From", "host/thief"),
		forge.Message(forge.Suspect, "Incarnation", incarnation, "Node", node, "From", "host/thief"),
	}
}

// tell sends a message to all honest members.
func (m *member) tell(message []byte) { m.send(m.Packet(message)) }

// send sends a packet to all honest members.
func (m *member) send(packet []byte) { m.sendTo(m.region.gossips(), packet) }

func (m *member) sendTo(all []netip.AddrPort, packet []byte) {
	for _, to := range all {
		_, _ = m.packets.WriteTo(packet, net.UDPAddrFromAddrPort(to)) // it may be lost on its way, too
	}
}

// call opens a stream to a member and sends bytes. The caller closes it.
func (m *member) call(to netip.AddrPort, b []byte) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: m.at.Addr().AsSlice()}}
	conn, err := dialer.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = conn.Write(b)
	return conn, err
}

// callAll has a short call with each honest member: it says a message and waits for what
// becomes of it.
func (m *member) callAll(message []byte) { m.sayToAll(m.Call(message)) }

// sayToAll is callAll for the bytes of a call that isn't as members begin one.
func (m *member) sayToAll(call []byte) {
	for _, to := range m.region.gossips() {
		conn, err := m.call(to, call)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// repeat calls do ten times a second for a while, with the number of the call.
func repeat(long time.Duration, do func(i int)) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := range int(long / (100 * time.Millisecond)) {
		do(i)
		<-tick.C
	}
}

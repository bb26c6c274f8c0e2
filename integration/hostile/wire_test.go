//go:build integration

package hostile

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/inspect/forge"
)

// exchange returns an exchange of state with so many nodes.
func exchange(nodes ...[]byte) []byte { return forge.ExchangeOf(len(nodes), 0, true, nodes...) }

// TestNoMessageEndsAProcess sends what memberlist doesn't survive: streams with an
// encrypted nothing, and packets of another encryption version whose padding is longer
// than the packet.
func TestNoMessageEndsAProcess(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	u := r.startUsers()
	repeat(5*time.Second, func(i int) {
		m.send(m.Packet(nil))
		m.send(m.PacketOf(0, bytes.Repeat([]byte{255}, 16)))
		m.send(m.PacketOf(0, bytes.Repeat([]byte{255}, 32)))
		m.tell([]byte{7, 255})
		if i%10 == 0 {
			for _, message := range [][]byte{nil, {byte(forge.Exchange)}, {forge.User}, {99}} {
				m.callAll(message)
			}
			m.sayToAll(m.CallOf(0, bytes.Repeat([]byte{255}, 16)))
		}
	})
	u.check(loss{})
	r.wantRefused(gossip.Malformed)
}

// TestAPromiseTakesNoMemory opens, in six rounds, 100 streams to each honest member, with
// exchanges of state that promise a million nodes and end there.
func TestAPromiseTakesNoMemory(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	u := r.startUsers()
	for range 6 {
		m.crowd(100, m.Call(forge.ExchangeOf(1<<20, 0, true)), 500*time.Millisecond)
		m.crowd(100, m.Call(forge.ExchangeOf(0, 20<<20, true)), 500*time.Millisecond)
	}
	u.waitForAll()
	u.check(loss{})
	r.wantRefused(gossip.Malformed)
}

// TestAStrangerTakesNoMemory opens 50 streams to each honest member without the secret,
// which say that 20 MB come, and sends as much of them as is taken.
func TestAStrangerTakesNoMemory(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newStranger(bytes.Repeat([]byte{9}, 32))
	u := r.startUsers()
	data := append(m.Promise(20<<20), bytes.Repeat([]byte{1}, 20<<20)...)
	for range 2 {
		m.crowd(50, data, 3*time.Second)
	}
	m.send(m.Packet(forge.Message(forge.Ping, "SeqNo", 1, "Node", "host/ide-1")))
	u.waitForAll()
	u.check(loss{})
	r.wantRefused(gossip.Malformed)
}

// crowd opens so many streams at a time to each honest member, sends bytes on each as
// long as they are taken, and closes the streams after a while.
func (m *member) crowd(count int, b []byte, long time.Duration) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for _, to := range m.region.gossips() {
		for range count {
			streams.Go(func() {
				conn, err := m.call(to, nil)
				if err != nil {
					return
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(long))
				if _, err := conn.Write(b); err == nil {
					_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
				}
			})
		}
	}
}

//go:build integration

package hostile

import (
	"bytes"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// incarnations are those with which a member claims something about others: the greatest
// one that memberlist knows, those around the bounds of what is believed, and ordinary ones.
func incarnations(i int) []int {
	return []int{1<<32 - 1, 1<<31 + 1, 1 << 31, 1<<30 + 1, 1 << 30, 2 + i, 1000 + i}
}

// TestNobodyAnnouncesForAnother has the thief announce its own service as that of each
// other host: with that host's gossip address and its own, unsigned, signed with its own
// key, and with the host's signature on other bytes; in packets and in exchanges of state.
func TestNobodyAnnouncesForAnother(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	signed := map[string][]byte{}
	for _, victim := range hostNames {
		signed[victim] = m.announcementOf(victim)
	}
	u := r.startUsers()
	repeat(8*time.Second, func(i int) {
		for number, victim := range hostNames {
			own := r.at(firstHost+byte(number), poolPort)
			spec := route.Spec{Name: victim, ID: uint32(number + 1), Address: r.thief.at.String(), Weight: 8}
			forged := bytes.Clone(signed[victim])
			forged[len(forged)-100]++
			for _, incarnation := range incarnations(i) {
				m.tell(alive(victim, incarnation, own, m.encode(announcement.Metadata{Role: announcement.HostRole, Spec: spec})))
				m.tell(alive(victim, incarnation, own, m.announce(spec, own)))
				m.tell(alive(victim, incarnation, m.at, m.announce(spec, m.at)))
				m.tell(alive(victim, incarnation, own, forged))
				m.tell(alive(victim, incarnation, m.at, signed[victim]))
			}
			if i%20 == 0 {
				m.callAll(exchange(state(victim, 1<<32-1, own, m.announce(spec, own)), state(victim, 1<<30, own, m.announce(spec, own)), state(victim, 1<<30, m.at, m.encode(announcement.Metadata{Role: announcement.HostRole, Spec: spec}))))
			}
		}
	})
	u.check(loss{})
	r.wantRefused(gossip.HighIncarnation, gossip.OtherKey, gossip.NotSigned, gossip.BadSignature)
}

// TestNobodyTakesAnotherOut has a member say of all hosts that they are leaving, have left,
// are dead, and are suspect.
func TestNobodyTakesAnotherOut(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	u := r.startUsers()
	repeat(8*time.Second, func(i int) {
		for number, victim := range hostNames {
			own := r.at(firstHost+byte(number), poolPort)
			leaving := announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: victim, ID: uint32(number + 1), Address: r.hosts[victim].at.String(), Weight: 8}, Leaving: true}
			for _, incarnation := range incarnations(i) {
				m.tell(alive(victim, incarnation, own, m.encode(leaving)))
				m.tell(alive(victim, incarnation, own, m.sign(leaving, own)))
				for _, message := range dead(victim, incarnation) {
					m.tell(message)
				}
			}
		}
	})
	u.check(loss{})
	r.wantRefused(gossip.HighIncarnation, gossip.OtherKey, gossip.NotSigned)
}

// TestANumberBelongsToTheHostThatHadItFirst: with the policy haproxy, a host's number
// decides which tokens it has. A thief with the same number as another host, a greater
// weight, and a name that sorts first gets none of them.
func TestANumberBelongsToTheHostThatHadItFirst(t *testing.T) {
	r := newRegion(t, plan{hash: "{policy: haproxy}"})
	m := r.newMember()
	u := r.startUsers()
	repeat(6*time.Second, func(i int) {
		for id := range hostNames {
			spec := route.Spec{Name: "a-" + hostNames[id], ID: uint32(id + 1), Address: r.at(thiefAddress, idePort+1+uint16(id)).String(), Weight: 8}
			m.tell(alive(spec.Name, 2+i, m.anybody, m.announce(spec, m.anybody)))
		}
	})
	if _, checks := r.thief.seen(); checks == 0 {
		t.Error("nobody has checked the thief")
	}
	u.check(loss{})
}

// TestWhoIsSaidToBeDeadKeepsWhatItHas has a member say for long that two hosts are dead,
// so that gossip loses them, and announce hosts of its own with the number of the one and
// the service address of the other.
func TestWhoIsSaidToBeDeadKeepsWhatItHas(t *testing.T) {
	r := newRegion(t, plan{hash: "{policy: haproxy}"})
	m := r.newMember()
	u := r.startUsers()
	repeat(42*time.Second, func(i int) { // a host that is gone has lost them after 30 s
		for _, victim := range hostNames[:2] {
			for _, incarnation := range []int{1 << 31, 1<<30 + 1, 1000 + i} {
				for _, message := range dead(victim, incarnation) {
					m.tell(message)
				}
			}
		}
		number := route.Spec{Name: "a-number", ID: 1, Address: r.at(thiefAddress, idePort+1).String(), Weight: 8}
		m.tell(alive(number.Name, 2+i, m.anybody, m.announce(number, m.anybody)))
		address := route.Spec{Name: "an-address", ID: 7, Address: r.hosts["ide-2"].at.String(), Weight: 8}
		m.tell(alive(address.Name, 2+i, m.anybody, m.announce(address, m.anybody)))
	})
	u.check(loss{})
}

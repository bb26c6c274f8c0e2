//go:build integration

package hostile

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// TestHostsAreBelievedDuringAnAttack has a member deny all that hosts say: it repeats what
// they have said before with an incarnation that they can't outdo, and says that they are
// dead. A host leaves, a balancer is started anew, the host comes back with another weight,
// and the other balancer is started anew: each is seen, and what was is over.
func TestHostsAreBelievedDuringAnAttack(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	before := map[string][]byte{}
	for _, victim := range hostNames {
		before[victim] = m.announcementOf(victim)
	}
	stop := make(chan struct{})
	var attack sync.WaitGroup
	defer attack.Wait()
	defer close(stop)
	targets := r.gossips()
	attack.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			for number, victim := range hostNames {
				own := r.at(firstHost+byte(number), poolPort)
				spec := route.Spec{Name: victim, ID: uint32(number + 1), Address: r.thief.at.String(), Weight: 8}
				for _, incarnation := range []int{1 << 31, 1<<30 + 1, 1000 + i} {
					m.sendTo(targets, m.Packet(alive(victim, incarnation, own, before[victim])))
					m.sendTo(targets, m.Packet(alive(victim, incarnation, own, m.announce(spec, own))))
					for _, message := range dead(victim, incarnation) {
						m.sendTo(targets, m.Packet(message))
					}
				}
			}
		}
	})

	r.agents[3].stop()
	for i := range r.balancers {
		wait(t, "a host that leaves is out", func() string { return r.differs(i, "ide-4", false, 0) })
	}
	r.balancers[1].stop()
	r.balancers[1] = r.startBalancer(1)
	wait(t, "a new balancer has the others", func() string {
		for _, host := range hostNames[:3] {
			if why := r.differs(1, host, true, 8); why != "" {
				return why
			}
		}
		return r.differs(1, "ide-4", false, 0)
	})
	r.agents[3] = r.startAgent(3, "--weight", "4")
	for i := range r.balancers {
		wait(t, "the host is back", func() string { return r.differs(i, "ide-4", true, 4) })
	}
	r.balancers[0].stop()
	r.balancers[0] = r.startBalancer(0)
	wait(t, "a new balancer knows it, too", func() string { return r.differs(0, "ide-4", true, 4) })
	r.waitForHosts()
	u := r.startUsers()
	repeat(3*time.Second, func(int) {})
	u.check(loss{})
}

// differs says what is wrong with what a balancer knows of an honest host: whether it is in
// the ring, and with which weight.
func (r *region) differs(balancer int, host string, inRing bool, weight int) string {
	all, err := r.status(balancer)
	if err != nil {
		return err.Error()
	}
	s := all[host]
	if s.InRing != inRing || inRing && (s.Weight != weight || s.Address != r.hosts[host].at.String()) {
		return fmt.Sprintf("%+v", s)
	}
	return ""
}

// TestFalseBalancersAreOfNoUse has a member announce many balancers, and the balancers that
// there are at its own address, with other tables. Then a host and a balancer come.
func TestFalseBalancersAreOfNoUse(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	u := r.startUsers()
	lie := func(i int) {
		for n := i % 10 * 30; n < (i%10+1)*30; n++ {
			m.tell(aliveNode(fmt.Sprintf("lb/false-%d", n), 1+i, m.at, m.encode(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: fmt.Sprintf("false-%d", n)}, Digest: "0123"})))
		}
		for _, balancer := range []string{"lb-1", "lb-2"} {
			meta := m.encode(announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: balancer}, Digest: "0123", Leaving: true})
			for _, incarnation := range []int{1 << 31, 1 << 30, 1000 + i} {
				m.tell(aliveNode("lb/"+balancer, incarnation, m.at, meta))
				for _, message := range deadNode("lb/"+balancer, incarnation) {
					m.tell(message)
				}
			}
		}
	}
	repeat(5*time.Second, lie)
	u.check(loss{})
	r.hosts["ide-5"] = newHost(t, "ide-5", r.at(newcomer, idePort), 0)
	r.startAgentAt("ide-5", newcomer, 5)
	r.balancers[1].stop()
	r.balancers[1] = r.startBalancer(1)
	repeat(3*time.Second, lie)
	r.waitForHosts()
}

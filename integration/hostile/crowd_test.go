//go:build integration

package hostile

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/route"
)

// TestHostsThatDoNotExistTakeNoRoom has a member announce 3,000 hosts that don't exist, more
// than there may be. The hosts that are there keep their places, and another one gets one
// while that goes on. Where lb.yaml names no networks, none of the 3,000 becomes a member,
// and where it does, they become members and give their places to others.
func TestHostsThatDoNotExistTakeNoRoom(t *testing.T) {
	for name, row := range map[string]struct {
		pool   string
		reason gossip.Reason
	}{
		"without networks": {"", gossip.Unreached},
		"in a network":     {"  allowed_networks: [127.0.0.0/8]\n", gossip.TooMany},
	} {
		t.Run(name, func(t *testing.T) { testHostsThatDoNotExist(t, row.pool, row.reason) })
	}
}

func testHostsThatDoNotExist(t *testing.T, pool string, reason gossip.Reason) {
	r := newRegion(t, plan{alone: true, pool: pool})
	m := r.newMember()
	u := r.startUsers()
	announce := func(i int) {
		for n := i % 100 * 30; n < (i%100+1)*30; n++ {
			at := r.at(byte(100+n%150), poolPort)
			spec := route.Spec{Name: fmt.Sprintf("none-%d", n), Address: netip.AddrPortFrom(at.Addr(), uint16(5000+n)).String(), Weight: 2}
			m.tell(alive(spec.Name, 1+i, at, m.announce(spec, at)))
		}
	}
	repeat(10*time.Second, announce)
	u.check(loss{})
	r.wantRefused(reason)
	r.hosts["ide-5"] = newHost(t, "ide-5", r.at(newcomer, idePort), 0)
	r.startAgentAt("ide-5", newcomer, 5)
	began := time.Now()
	for i := 0; time.Since(began) < time.Minute && r.missing(0)+r.missing(1) != ""; i += 10 {
		repeat(time.Second, func(k int) { announce(i + k) })
	}
	t.Logf("the new host was in both rings after %s", time.Since(began).Round(time.Second))
	r.waitForHosts()
}

// TestAMachineIsNotManyHosts has a member announce 300 hosts at its own address, which pass
// their checks, and then has them be slow. It gets what one machine may have of so little
// weight, and the ring isn't frozen for it.
func TestAMachineIsNotManyHosts(t *testing.T) {
	r := newRegion(t, plan{checks: "interval: 1s, timeout: 900ms, rise: 1, fall: 4"})
	m := r.newMember()
	u := r.startUsers()
	announce := func(i int) {
		for n := i % 10 * 30; n < (i%10+1)*30; n++ {
			address := r.at(thiefAddress, uint16(idePort+1+n%thiefPorts))
			spec := route.Spec{Name: fmt.Sprintf("a-%d", n), Address: address.String(), Weight: 1}
			m.tell(alive(spec.Name, 1+i, m.anybody, m.announce(spec, m.anybody)))
		}
	}
	repeat(5*time.Second, announce)
	if _, checks := r.thief.seen(); checks == 0 {
		t.Error("nobody has checked the thief")
	}
	defer r.thief.slowDown()()
	repeat(8*time.Second, announce)
	u.check(loss{tokens: fair(8. / (8 + 4*8)), failed: true})
}

// TestAHostHasTheWeightOfAFewAtMost has a member announce the greatest weight for itself. It
// gets what one machine may have: eight times the median, or what lb.yaml says.
func TestAHostHasTheWeightOfAFewAtMost(t *testing.T) {
	for name, row := range map[string]struct {
		pool  string
		share float64
	}{
		"by default": {"", 64. / (64 + 4*8)},
		"as is set":  {"  max_weight: 8\n", 8. / (8 + 4*8)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegion(t, plan{pool: row.pool})
			m := r.newMember()
			u := r.startUsers()
			repeat(6*time.Second, func(i int) {
				for n := range uint16(thiefPorts) {
					spec := route.Spec{Name: fmt.Sprintf("a-%d", n), Address: r.at(thiefAddress, idePort+1+n).String(), Weight: 256}
					m.tell(alive(spec.Name, 2+i, m.anybody, m.announce(spec, m.anybody)))
				}
			})
			if tokens, _ := r.thief.seen(); tokens == 0 {
				t.Error("the thief has no tokens, which is too little for a host that is there")
			}
			u.check(loss{tokens: fair(row.share)})
		})
	}
}

//go:build integration

package hostile

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// TestARegionBeginsToSign upgrades a region of which two agents sign and two don't, as
// earlier versions: first all are served, then those that sign are safe, and nobody begins
// to sign for another. In the end only those are served that sign.
func TestARegionBeginsToSign(t *testing.T) {
	r := newRegion(t, plan{unready: true})
	r.agents = append(r.agents, r.startAgent(0), r.startAgent(1))
	stopThree, stopFour := r.startUnsigned(2), r.startUnsigned(3)
	defer stopFour()
	r.waitForHosts()

	stopThree()
	r.agents = append(r.agents, r.startAgent(2))
	r.waitForHosts()
	m := r.newMember()
	u := r.startUsers()
	repeat(3*time.Second, func(i int) {
		for number, victim := range hostNames[:3] {
			own := r.at(firstHost+byte(number), poolPort)
			spec := route.Spec{Name: victim, ID: uint32(number + 1), Address: r.thief.at.String(), Weight: 8}
			m.tell(alive(victim, 1000+i, own, m.encode(announcement.Metadata{Role: announcement.HostRole, Spec: spec})))
			m.tell(alive(victim, 1000+i, own, m.announce(spec, own)))
		}
		spec, own := route.Spec{Name: "ide-4", ID: 4, Address: r.thief.at.String(), Weight: 8}, r.at(firstHost+3, poolPort)
		m.tell(alive(spec.Name, 1000+i, own, m.announce(spec, own)))
		m.tell(alive(spec.Name, 1000+i, m.anybody, m.announce(spec, m.anybody)))
		for _, message := range dead(spec.Name, 1000+i) {
			m.tell(message)
		}
	})
	u.check(loss{})
	r.wantRefused(gossip.NotSigned, gossip.OtherKey)

	r.plan.pool = "  signatures: require\n"
	for i := range r.balancers {
		r.balancers[i].stop()
		r.balancers[i] = r.startBalancer(i)
		wait(t, "the host that doesn't sign is refused", func() string {
			all, err := r.status(i)
			switch {
			case err != nil:
				return err.Error()
			case all["ide-4"].Serving:
				return "it is served"
			}
			for _, name := range hostNames[:3] {
				if s := all[name]; !s.Serving || s.Address != r.hosts[name].at.String() {
					return fmt.Sprintf("%s: %+v", name, s)
				}
			}
			return ""
		})
	}
	r.wantRefused(gossip.NotSigned)

	stopFour()
	r.agents = append(r.agents, r.startAgent(3))
	r.waitForHosts()
	u = r.startUsers()
	repeat(2*time.Second, func(i int) {
		spec := route.Spec{Name: "a-new-one", Address: r.thief.at.String(), Weight: 8}
		m.tell(alive(spec.Name, 2+i, m.at, m.encode(announcement.Metadata{Role: announcement.HostRole, Spec: spec})))
	})
	u.check(loss{})
}

// startUnsigned starts the agent of an honest host that doesn't sign what it announces.
func (r *region) startUnsigned(i int) (stop func()) {
	r.t.Helper()
	bind := r.at(firstHost+byte(i), poolPort).String()
	sockets, err := gossip.Listen(bind)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := gossip.AgentConfig{
		Config: gossip.Config{Join: []string{r.at(firstBalancer, poolPort).String()}, SecretFile: r.dir + "/pool.key"},
		Spec:   route.Spec{Name: hostNames[i], ID: uint32(i + 1), Address: r.hosts[hostNames[i]].at.String(), Weight: r.plan.weight},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := gossip.RunAgent(ctx, cfg, sockets, zerolog.Nop()); err != nil {
			r.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	r.t.Cleanup(stop)
	return stop
}

package pool

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/pool/handed"
	"tokenring/proxy/elder"
	"tokenring/route"
	"tokenring/session"
)

// reloadBalancer has another process take the place of the one that serves, as after lb ctl
// reload: see edge.RunGeneration. The terminals and requests of the old one go on.
func (w *simWorld) reloadBalancer() bool {
	b := w.balancer()
	old := b.serves.Load()
	if old == nil || !old.ready || time.Since(old.began) < 10*time.Second {
		return false
	}
	state, err := old.handOver()
	if err != nil {
		return false
	}
	w.note("", "%s reloads", b.name)
	p := b.newProcess(old.offset)
	p.machine = p.newSimMachine()
	p.machine.waiting = true
	p.exchange.Hold(values(b.registers)...)
	p.members, p.seen, p.peers = maps.Clone(old.members), maps.Clone(old.seen), old.peers
	p.step(handedEvent{Decoded: state})
	p.adopt(old)
	old.retire()
	p.region.Restore(old.region.State(time.Now()))
	p.run()
	b.olders = append(b.olders, old)
	b.process.Store(p)
	p.step(beginEvent{registers: values(b.registers), gossip: true, joined: true, alone: true})
	p.step(membersEvent{p.members, true})
	p.step(peersEvent{p.peers, true})
	for _, host := range slices.Sorted(maps.Keys(old.checks)) { // in the same order each time
		c := old.checks[host]
		p.checks[host] = new(*c)
		p.check(host)
	}
	b.serves.Store(p)
	return true
}

// handOver returns what the process knows, by way of JSON.
func (p *simProcess) handOver() (handed.Decoded, error) {
	var known handed.Decoded
	if err := p.machine.capture(&known); err != nil {
		return known, err
	}
	text, err := json.Marshal(known.Encode())
	if err != nil {
		return known, err
	}
	var state handed.State
	if err := json.Unmarshal(text, &state); err != nil {
		return known, err
	}
	simTables.Lock()
	defer simTables.Unlock()
	return handed.Decode(state, simTables.builder, zerolog.Nop()), nil
}

// adopt makes the terminals of the processes before known to p, and those that end there.
func (p *simProcess) adopt(last *simProcess) {
	p.elders = elder.New(elder.Owner{Sessions: p.sessions, Host: func(name string) *route.Host { return p.snapshot.Load().Host(name) }, Log: zerolog.Nop(), Closed: func(key balancer.Digest, host string) {
		if !p.retired.Load() {
			p.region.Used(key, host, time.Now())
		}
	}})
	for _, old := range append(p.olders, last) {
		e := p.elders.Add(func(order elder.End) error {
			old.sessions.EndKeys(order.Keys, order.Why)
			if order.Why == elder.WhyDown {
				old.verdicts.Set(order.Down)
				close(*old.changed.Swap(new(make(chan struct{}))))
			}
			return nil
		})
		watch := old.sessions.Watch()
		told, cancel := context.WithCancel(context.Background())
		cancel()
		for reports, err := watch.Next(told); err == nil; reports, err = watch.Next(told) {
			e.Update(reports)
		}
		p.following.Go(func() { follow(p.ctx, old.ctx, watch, e) })
	}
}

// follow tells e what changes in an older process, until one of the two ends.
func follow(newer, older context.Context, watch *session.Watch, e *elder.Elder) {
	defer watch.Close()
	ctx, stop := context.WithCancel(newer)
	defer stop()
	defer context.AfterFunc(older, stop)()
	for {
		reports, err := watch.Next(ctx)
		if err != nil {
			break
		}
		e.Update(reports)
	}
	if newer.Err() == nil {
		e.Close()
	}
}

// retire has the process decide nothing any more: see Proxy.Retire.
func (p *simProcess) retire() {
	p.retired.Store(true)
	p.endServing()
	p.running.Wait()
	p.claims.Used(func(key balancer.Digest, host string) { p.region.Used(key, host, time.Now()) })
	p.sessions.Freeze()
	if p.elders != nil {
		p.elders.Close()
	}
}

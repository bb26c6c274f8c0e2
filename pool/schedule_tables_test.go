package pool

import (
	"strings"
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/builder"
)

// simTables are the tables of all schedules: they are immutable, and expensive.
var simTables = struct {
	sync.Mutex
	builder *balancer.Builder
	made    map[string]*balancer.Table
}{made: map[string]*balancer.Table{}}

var simHash = balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 512}}.WithDefaults()

// simTable returns the table of some hosts.
func simTable(hosts []balancer.Host) (*balancer.Table, error) {
	simTables.Lock()
	defer simTables.Unlock()
	if simTables.builder == nil {
		b, err := balancer.NewBuilder(simHash)
		if err != nil {
			return nil, err
		}
		simTables.builder = b
	}
	var key strings.Builder
	for _, h := range hosts {
		key.WriteString(h.Name)
		key.WriteByte(byte(h.Weight))
	}
	if t := simTables.made[key.String()]; t != nil {
		return t, nil
	}
	t, err := simTables.builder.Build(hosts)
	if err == nil {
		simTables.made[key.String()] = t
	}
	return t, err
}

// build makes the tables of an order, after a time. A later order takes its place.
func (p *simProcess) build(o builder.Order) {
	p.orders++
	number := p.orders
	took := time.Duration(p.w.rng.Int64N(int64(p.w.buildTime)))
	p.w.after(took, func() {
		if number != p.orders {
			return
		}
		made := builder.Product{Order: o, Took: took}
		if made.Table = o.Known; o.Known == nil {
			made.Table, made.Err = simTable(o.Hosts)
		}
		for _, hosts := range o.Former {
			table, _ := simTable(hosts)
			made.FormerTables = append(made.FormerTables, table)
		}
		p.step(productEvent(made))
	})
}

func hostNames(all []balancer.Host) string {
	var names []string
	for _, h := range all {
		names = append(names, h.Name)
	}
	return strings.Join(names, " ")
}

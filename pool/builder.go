package pool

import (
	"context"
	"slices"
	"time"

	"tokenring/balancer"
)

// gather is how long the builder waits for more hosts before it builds, so that
// hosts that join together make one table.
const gather = 20 * time.Millisecond

// An order asks for the table of hosts, and for those of rings of the past.
type order struct {
	number uint64 // a later one for other hosts is greater
	hosts  []balancer.Host
	past   [][]balancer.Host
}

// find returns the index of a host; -1 if it isn't there.
func (o order) find(host string) int {
	return slices.IndexFunc(o.hosts, func(h balancer.Host) bool { return h.Name == host })
}

// A product is what became of an order: first the table of its hosts, then once
// more with those of the past, if there are any.
type product struct {
	order
	table  *balancer.Table   // nil with err
	before []*balancer.Table // of the first of order.past
	err    error
	took   time.Duration
}

// A builder builds tables in a goroutine of its own: one may take seconds, and
// must not delay verdicts.
type builder struct {
	tables *balancer.Builder
	last   product      // the last one without an error; run alone touches it
	orders chan order   // room for one: the newest
	built  chan product // unbuffered
}

func newBuilder(cfg balancer.Config) (*builder, error) {
	tables, err := balancer.NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	return &builder{tables: tables, orders: make(chan order, 1), built: make(chan product)}, nil
}

// ask asks for a table instead of the one asked for before, unless that is
// already being built. It never blocks; one goroutine alone may call it.
func (b *builder) ask(o order) {
	select {
	case <-b.orders:
	default:
	}
	b.orders <- o
}

// run builds what is asked for until ctx ends; a build under way is finished
// first.
func (b *builder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-b.orders:
			if o = b.newest(ctx, o); ctx.Err() != nil {
				return
			}
			if made := b.build(o); b.deliver(ctx, made) && made.err == nil && len(o.past) > 0 {
				b.deliver(ctx, b.buildPast(made))
			}
		}
	}
}

// deliver hands p over, and reports whether that was before ctx ended.
func (b *builder) deliver(ctx context.Context, p product) bool {
	select {
	case b.built <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// newest waits a moment for an order that replaces o.
func (b *builder) newest(ctx context.Context, o order) order {
	enough := time.After(gather)
	for {
		select {
		case o = <-b.orders:
		case <-enough:
			return o
		case <-ctx.Done():
			return o
		}
	}
}

// build builds the table of o's hosts, unless it is the last one built.
func (b *builder) build(o order) product {
	if b.last.table != nil && slices.Equal(o.hosts, b.last.hosts) {
		return product{order: o, table: b.last.table}
	}
	start := time.Now()
	table, err := b.tables.Build(o.hosts)
	made := product{order: o, table: table, err: err, took: time.Since(start)}
	if err == nil {
		b.last = made
	}
	return made
}

// buildPast adds the tables of the past, as many as it can before there is another
// order. It leaves nil for one that can't be built, which doesn't happen where the
// table of today can: its hosts are among those of today.
func (b *builder) buildPast(made product) product {
	for _, hosts := range made.past {
		if len(b.orders) > 0 {
			break
		}
		table, _ := b.tables.Build(hosts)
		made.before = append(made.before, table)
	}
	return made
}

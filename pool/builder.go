package pool

import (
	"context"
	"time"

	"tokenring/balancer"
)

// gather is how long the builder waits for more hosts before it builds, so that
// hosts that join together make one table.
const gather = 20 * time.Millisecond

// An order asks for the table of hosts.
type order struct {
	number uint64 // later ones are greater
	hosts  []balancer.Host
}

// A product is what became of an order.
type product struct {
	number uint64
	table  *balancer.Table // nil with err
	err    error
	took   time.Duration
}

// A builder builds tables in a goroutine of its own: one may take seconds, and
// must not delay verdicts.
type builder struct {
	tables *balancer.Builder
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
			select {
			case b.built <- b.build(o):
			case <-ctx.Done():
				return
			}
		}
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

func (b *builder) build(o order) product {
	start := time.Now()
	table, err := b.tables.Build(o.hosts)
	return product{number: o.number, table: table, err: err, took: time.Since(start)}
}

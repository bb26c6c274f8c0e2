// Package builder builds tables beside the traffic: forecasts first, which the library of
// the policy then confirms or replaces.
package builder

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/notify"
)

// GatherTime is how long the builder waits for more orders before it builds, so that
// there is one table for hosts that join together.
const GatherTime = 20 * time.Millisecond

// An Order asks for the table of hosts, and for the tables of former rings.
type Order struct {
	Number uint64            // grows when the hosts change
	Hosts  []balancer.Host   // sorted by name
	Former [][]balancer.Host // the hosts of each former ring
	Known  *balancer.Table   // of Hosts, from another process: it isn't built again; nil if there is none

	Confirmed bool // the library has made Known, too: it isn't verified again
}

// A Product is what a Builder has made for an order.
type Product struct {
	Order
	Table        *balancer.Table   // nil with Err, and if only FormerTables are new
	FormerTables []*balancer.Table // of the first items of Order.Former; nil items couldn't be built
	Err          error
	Took         time.Duration

	Verified bool  // the library has built Table, too
	Doubt    error // why the library hasn't confirmed the earlier forecast
}

// A Builder builds tables in its own goroutines, because a table may take seconds and
// must not delay verdicts. For each order it delivers the table first, and then the
// tables of the former rings, if there are any. Later it delivers the result of
// the library for the first table.
//
// The library that places the slots of the policy `consistent` takes 16 s for the first
// table of 1,000 hosts. So the first table that serves is a forecast of the library's
// table. If the library ever makes another table, that table replaces the forecast, and
// from then on only tables of the library come into force.
type Builder struct {
	tables    *balancer.Builder      // makes forecasts
	library   *balancer.Builder      // only verify uses it; nil if the policy has no library
	last      Product                // the last Product without an error; only run uses it
	orders    notify.Latest[Order]   // the newest order
	forecasts notify.Latest[Product] // the newest forecast, for verify
	mistaken  atomic.Bool            // a forecast differed from the library's table
	built     chan Product           // unbuffered
}

// New returns a Builder for a configuration. An error says what is wrong with it.
func New(cfg balancer.Config) (*Builder, error) {
	tables, err := balancer.NewForecaster(cfg)
	if err != nil {
		return nil, err
	}
	var library *balancer.Builder
	if tables.Forecasts() {
		library, err = balancer.NewBuilder(cfg)
	}
	return NewWith(tables, library), err
}

// NewWith returns a Builder that makes forecasts with tables, and has library verify them
// unless it is nil.
func NewWith(tables, library *balancer.Builder) *Builder {
	return &Builder{tables: tables, library: library, orders: notify.NewLatest[Order](), forecasts: notify.NewLatest[Product](), built: make(chan Product)}
}

// Mistrust has only tables of the library come into force from now on, as after a forecast
// that was wrong. It must be called before Run.
func (b *Builder) Mistrust() { b.mistaken.Store(b.library != nil) }

// Built returns the channel on which Run delivers products.
func (b *Builder) Built() <-chan Product { return b.built }

// Ask gives the builder an order. It replaces an earlier order that the builder hasn't
// begun. It never blocks. Only one goroutine may call it.
func (b *Builder) Ask(o Order) { b.orders.Set(o) }

// Run builds tables for orders until ctx ends. It finishes the build under way before it
// returns.
func (b *Builder) Run(ctx context.Context) {
	var verifying sync.WaitGroup
	defer verifying.Wait()
	if b.library != nil {
		verifying.Go(func() { b.verify(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-b.orders:
			if o = b.newest(ctx, o); ctx.Err() != nil {
				return
			}
			b.process(ctx, o)
		}
	}
}

// process builds and delivers the tables of o. If a forecast has been wrong before, it
// leaves that to verify.
func (b *Builder) process(ctx context.Context, o Order) {
	if b.mistaken.Load() && !o.Confirmed {
		b.forecasts.Set(Product{Order: o, Table: o.Known})
		return
	}
	made := b.build(o)
	if !b.deliver(ctx, made) || made.Err != nil {
		return
	}
	if b.library != nil && !o.Confirmed {
		b.forecasts.Set(made)
	}
	b.deliverFormer(ctx, b.tables, o)
}

// deliver sends p on built. It returns false if ctx ends first.
func (b *Builder) deliver(ctx context.Context, p Product) bool {
	select {
	case b.built <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliverFormer delivers the tables of the former rings, if o asks for any.
func (b *Builder) deliverFormer(ctx context.Context, tables *balancer.Builder, o Order) {
	if len(o.Former) > 0 {
		b.deliver(ctx, Product{Order: o, FormerTables: b.buildFormer(tables, o)})
	}
}

// newest waits for GatherTime, and returns the newest Order: o, or one that replaces it.
func (b *Builder) newest(ctx context.Context, o Order) Order {
	enough := time.After(GatherTime)
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

// build builds the table of o's hosts. It returns the known table if there is one, or the
// last table if that has the same hosts.
func (b *Builder) build(o Order) Product {
	if o.Known != nil {
		b.last = Product{Order: o, Table: o.Known}
		return b.last
	}
	if b.last.Table != nil && slices.Equal(o.Hosts, b.last.Hosts) {
		return Product{Order: o, Table: b.last.Table}
	}
	start := time.Now()
	table, err := b.tables.Build(o.Hosts)
	made := Product{Order: o, Table: table, Err: err, Took: time.Since(start)}
	if err == nil {
		b.last = made
	}
	return made
}

// buildFormer returns the tables of the former rings. It stops when there is a
// new order. A table that can't be built is nil. That happens only if the table of
// o.Hosts can't be built, either, because former rings have no other hosts.
func (b *Builder) buildFormer(tables *balancer.Builder, o Order) (built []*balancer.Table) {
	for _, hosts := range o.Former {
		if len(b.orders) > 0 {
			break
		}
		table, _ := tables.Build(hosts)
		built = append(built, table)
	}
	return built
}

// verify builds the newest forecast again with the library, and delivers the result. It
// goes on until ctx ends.
func (b *Builder) verify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case forecast := <-b.forecasts:
			made := b.compare(forecast)
			if b.deliver(ctx, made) && made.Err == nil && b.mistaken.Load() {
				b.deliverFormer(ctx, b.library, made.Order)
			}
		}
	}
}

// compare builds the table of a forecast, or a known table, with the library, and compares
// the two. A forecast without a table is an order for which no forecast was made.
func (b *Builder) compare(forecast Product) Product {
	start := time.Now()
	table, err := b.library.Build(forecast.Hosts)
	made := Product{Order: forecast.Order, Table: table, Err: err, Took: time.Since(start), Verified: err == nil}
	switch {
	case forecast.Table == nil:
	case err != nil:
		made.Table, made.Err, made.Doubt = forecast.Table, nil, err
	case table.Digest() == forecast.Table.Digest():
		made.Table = forecast.Table
	default:
		b.mistaken.Store(true)
		made.Doubt = fmt.Errorf("for %d hosts the library makes the ring %s, and the forecast was %s", len(table.Hosts()), table.Digest(), forecast.Table.Digest())
	}
	return made
}

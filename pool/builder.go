package pool

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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

// A product is what became of an order.
type product struct {
	order
	table  *balancer.Table   // nil with err, and where only before is new
	before []*balancer.Table // of the first of order.past
	err    error
	took   time.Duration

	verified bool  // table is what the library says, which has been asked
	doubt    error // why the library hasn't confirmed the forecast that came before
}

// A builder builds tables in goroutines of its own: one may take seconds, and
// must not delay verdicts. What it delivers of an order is first a table, then,
// if the order has a past, those tables, and at some time what the library says of
// the first one.
//
// The library that places the slots of `consistent` takes 16 s for the first table
// of 1,000 hosts, so the table that serves at first is a forecast of what it will
// say. If it ever says something else, its table takes the forecast's place, and
// from then on no table is in force that isn't the library's.
type builder struct {
	tables    *balancer.Builder // makes forecasts
	library   *balancer.Builder // verify alone uses it; nil if forecasts are all there is
	last      product           // the last one of tables without an error; run alone touches it
	orders    chan order        // room for one: the newest
	forecasts chan product      // room for one: the newest, for verify
	mistaken  atomic.Bool       // a forecast wasn't what the library said
	built     chan product      // unbuffered
}

func newBuilder(cfg balancer.Config) (*builder, error) {
	tables, err := balancer.NewForecaster(cfg)
	if err != nil {
		return nil, err
	}
	b := &builder{tables: tables, orders: make(chan order, 1), forecasts: make(chan product, 1), built: make(chan product)}
	if tables.Forecasts() {
		b.library, err = balancer.NewBuilder(cfg)
	}
	return b, err
}

// ask asks for a table instead of the one asked for before, unless that is
// already being built. It never blocks; one goroutine alone may call it.
func (b *builder) ask(o order) { replace(b.orders, o) }

// replace puts the newest into a channel with room for one. One goroutine alone may
// call it for a channel.
func replace[T any](c chan T, newest T) {
	select {
	case <-c:
	default:
	}
	c <- newest
}

// run builds what is asked for until ctx ends; builds under way are finished
// first.
func (b *builder) run(ctx context.Context) {
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
			b.fill(ctx, o)
		}
	}
}

// fill delivers the tables of o, or leaves them to the library.
func (b *builder) fill(ctx context.Context, o order) {
	if b.mistaken.Load() {
		replace(b.forecasts, product{order: o})
		return
	}
	made := b.build(o)
	if !b.deliver(ctx, made) || made.err != nil {
		return
	}
	if b.library != nil {
		replace(b.forecasts, made)
	}
	b.deliverPast(ctx, b.tables, o)
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

// deliverPast delivers the tables of o's past, if it has one.
func (b *builder) deliverPast(ctx context.Context, tables *balancer.Builder, o order) {
	if len(o.past) > 0 {
		b.deliver(ctx, product{order: o, before: b.buildPast(tables, o)})
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

// buildPast returns the tables of the past, as many as it can before there is another
// order. It leaves nil for one that can't be built, which doesn't happen where the
// table of today can: its hosts are among those of today.
func (b *builder) buildPast(tables *balancer.Builder, o order) (before []*balancer.Table) {
	for _, hosts := range o.past {
		if len(b.orders) > 0 {
			break
		}
		table, _ := tables.Build(hosts)
		before = append(before, table)
	}
	return before
}

// verify has the library build the newest forecast again, and delivers what it
// says, until ctx ends.
func (b *builder) verify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case forecast := <-b.forecasts:
			made := b.compare(forecast)
			if b.deliver(ctx, made) && made.err == nil && b.mistaken.Load() {
				b.deliverPast(ctx, b.library, made.order)
			}
		}
	}
}

// compare asks the library for the table of a forecast, or of an order for which
// nobody has made one any more.
func (b *builder) compare(forecast product) product {
	start := time.Now()
	table, err := b.library.Build(forecast.hosts)
	made := product{order: forecast.order, table: table, err: err, took: time.Since(start), verified: err == nil}
	switch {
	case forecast.table == nil:
	case err != nil:
		made.table, made.err, made.doubt = forecast.table, nil, err
	case table.Digest() == forecast.table.Digest():
		made.table = forecast.table
	default:
		b.mistaken.Store(true)
		made.doubt = fmt.Errorf("of %d hosts it makes the ring %s, the forecast was %s", len(table.Hosts()), table.Digest(), forecast.table.Digest())
	}
	return made
}

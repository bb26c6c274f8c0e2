package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/handover"
	"tokenring/proxy/elder"
	"tokenring/proxy/tunnel"
	"tokenring/session"
)

// listTimeout is how long a process may take to list its terminals. A list without those of
// a process that doesn't answer says so.
const listTimeout = 2 * time.Second

// Terminals implements admin.Terminals, for all balancers of the region.
func (e *Edge) Terminals(ctx context.Context, sel session.Selection) (all session.Listing) {
	var mu sync.Mutex
	e.eachBalancer(sel.Balancer, func(name string) {
		var one session.Listing
		if name == e.cfg.Name {
			one = e.ownTerminals(ctx, sel)
		} else if err := e.ask(ctx, name, askTerminals, sel, &one); err != nil {
			one.Missing = []session.Missing{{Balancer: name, Why: err.Error()}}
		}
		mu.Lock()
		defer mu.Unlock()
		all.Page, all.Missing = session.Merge(sel.Limit, all.Page, one.Page), append(all.Missing, one.Missing...)
	})
	return all
}

// EndTerminals implements admin.Terminals, for all balancers of the region, one after the
// other.
func (e *Edge) EndTerminals(ctx context.Context, sel session.Selection) (all session.Ending) {
	for _, name := range e.balancers(sel.Balancer) {
		var one session.Ending
		rest := sel
		rest.Limit -= all.Ended
		if name == e.cfg.Name {
			one = e.endOwnTerminals(ctx, rest)
		} else if err := e.ask(ctx, name, askEndTerminals, rest, &one); err != nil {
			one.Missing = []session.Missing{{Balancer: name, Why: err.Error()}}
		}
		all.Ended, all.Left, all.Missing = all.Ended+one.Ended, all.Left+one.Left, append(all.Missing, one.Missing...)
	}
	return all
}

// eachBalancer calls do at once for each of the balancers that are meant, and waits.
func (e *Edge) eachBalancer(only string, do func(name string)) {
	var asking sync.WaitGroup
	for _, name := range e.balancers(only) {
		asking.Go(func() { do(name) })
	}
	asking.Wait()
}

// balancers returns the names of this balancer and its peers, or only the one that is meant.
func (e *Edge) balancers(only string) []string {
	if only != "" {
		return []string{only}
	}
	all := []string{e.cfg.Name}
	for _, p := range e.pool.Snapshot().Peers {
		all = append(all, p.Name)
	}
	return all
}

// ownTerminals lists the terminals of all processes of this balancer.
func (e *Edge) ownTerminals(ctx context.Context, sel session.Selection) session.Listing {
	all := session.Listing{Page: e.proxy.Page(sel).In(e.opt.Number)}
	if e.opt.OtherTerminals != nil {
		others := e.opt.OtherTerminals(ctx, sel)
		all.Page, all.Missing = session.Merge(sel.Limit, all.Page, others.Page), others.Missing
	}
	for i := range all.Terminals {
		all.Terminals[i].Balancer = e.cfg.Name
	}
	for i := range all.Missing {
		all.Missing[i].Balancer = e.cfg.Name
	}
	return all
}

// endOwnTerminals ends the sessions of which all terminals through this balancer are in a
// selection.
func (e *Edge) endOwnTerminals(ctx context.Context, sel session.Selection) session.Ending {
	meant := sel
	meant.Idle, meant.Limit = 0, endLookup
	all := e.ownTerminals(ctx, meant)
	keys, ended, left := wholly(all.Terminals, sel.Idle, sel.Limit)
	e.proxy.End(elder.End{Keys: keys, Why: string(tunnel.ByOperator)})
	return session.Ending{Ended: ended, Left: left + all.Total - len(all.Terminals), Missing: all.Missing}
}

// endLookup bounds the terminals among which endOwnTerminals looks for sessions.
const endLookup = 1 << 20

// wholly returns the keys all of whose terminals were idle for so long, as many as have
// limit terminals, and how many terminals that is; and how many terminals of such keys are
// left.
func wholly(all []session.Listed, idle time.Duration, limit int) (keys []balancer.Digest, terminals, left int) {
	count, busy := map[balancer.Digest]int{}, map[balancer.Digest]bool{}
	var order []balancer.Digest // by the terminal that was idle the longest
	for _, t := range all {
		if count[t.Digest]++; count[t.Digest] == 1 {
			order = append(order, t.Digest)
		}
		busy[t.Digest] = busy[t.Digest] || t.Idle < idle
	}
	order = slices.DeleteFunc(order, func(d balancer.Digest) bool { return busy[d] })
	for _, d := range order {
		if terminals >= limit {
			left += count[d]
			continue
		}
		keys, terminals = append(keys, d), terminals+count[d]
	}
	return keys, terminals, left
}

// otherTerminals lists the terminals of older generations.
func (g *Generation) otherTerminals(ctx context.Context, sel session.Selection) (all session.Listing) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, o := range g.olders {
		asking.Go(func() {
			page, err := o.list(ctx, sel)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				all.Missing = append(all.Missing, session.Missing{Generation: o.id, Why: err.Error()})
			}
			all.Page = session.Merge(sel.Limit, all.Page, page)
		})
	}
	asking.Wait()
	return all
}

// list lists the terminals of an older generation. One that has ended has none.
func (o *older) list(ctx context.Context, sel session.Selection) (p session.Page, err error) {
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed {
		return session.Page{}, nil
	}
	switch err := o.conn.Ask(ctx, listTimeout, handover.KindList, sel, &p); {
	case errors.Is(err, handover.ErrGone):
		return session.Page{}, nil
	case err != nil:
		return session.Page{}, err
	}
	return p.In(o.id), nil
}

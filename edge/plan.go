package edge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/config"
	"tokenring/handover"
	"tokenring/pool/hostlist"
	"tokenring/route"
	"tokenring/session"
)

// plan returns what it would do if the configuration became what is in the file now.
func (g *Generation) plan(m handover.Message) (handover.Plan, error) {
	var c handover.Change
	if err := m.Decode(&c); err != nil {
		return handover.Plan{}, err
	}
	next, _, err := g.load(nil)
	switch {
	case err != nil && c.Upgrade: // the other program has checked it, and may know more keys
		return unknownPlan(err, c.Yes), nil
	case err != nil:
		return handover.Plan{Failure: &handover.Failure{Code: handover.FailedConfig, Detail: err.Error()}}, nil
	}
	return g.edge.plan(next, c.Yes), nil
}

// unknownPlan is the plan for a configuration that this program can't read.
func unknownPlan(err error, yes bool) handover.Plan {
	p := handover.Plan{Changes: []string{"the program that serves now can't read the configuration, so nobody knows what changes: " + err.Error()}}
	if !yes {
		p.Failure = &handover.Failure{Code: handover.FailedConfirm, Detail: p.Changes[0] + "\nConfirm it with --yes"}
	}
	return p
}

// plan returns what it would do if next came into force, and whether that is refused because
// nobody has said yes to it.
func (e *Edge) plan(next *config.Config, yes bool) handover.Plan {
	p := handover.Plan{Changes: config.Diff(e.cfg, next)}
	if next.StateDir != e.cfg.StateDir {
		p.Failure = &handover.Failure{Code: handover.FailedConfig, Detail: "another state_dir wants a restart: what is in " + e.cfg.StateDir + " would be missing there, and the parent's control socket is there"}
		return p
	}
	impact, err := e.impact(next)
	if err != nil {
		p.Failure = &handover.Failure{Code: handover.FailedConfig, Detail: "there can't be such a ring: " + err.Error()}
		return p
	}
	p.Impact, _ = json.Marshal(impact) // numbers and names of pools
	if limit := *e.cfg.Admin.ConfirmShare; !yes && limit < 1 {
		if detail := tooMuch(impact, limit); detail != "" {
			p.Failure = &handover.Failure{Code: handover.FailedConfirm, Detail: detail + ". Confirm it with --yes"}
		}
	}
	return p
}

// impact returns what it means for users if next came into force. Pools that it doesn't have, and
// those whose requests have no tokens, aren't in it.
func (e *Edge) impact(next *config.Config) (admin.Impact, error) {
	live := map[string][]session.Session{}
	for _, l := range e.proxy.Live() {
		pool := route.PoolOf(l.Host)
		live[pool] = append(live[pool], l)
	}
	after, err := nextTable(e.pool.Snapshot(), e.cfg, next)
	if err != nil {
		return admin.Impact{}, err
	}
	impact := admin.ImpactOf(e.pool.Snapshot(), live[""], after)
	for _, p := range e.parts {
		own := next.Pools[p.name]
		if own == nil || own.Hash.Keyless() || p.cfg.Hash.Keyless() {
			continue
		}
		after, err := nextTable(p.pool.Snapshot(), p.cfg, next.OfPool(p.name))
		if err != nil {
			return admin.Impact{}, fmt.Errorf("pools.%s: %w", p.name, err)
		}
		if i := admin.ImpactOf(p.pool.Snapshot(), live[p.name], after); i.Moved > 0 {
			if impact.Pools == nil {
				impact.Pools = map[string]admin.Impact{}
			}
			impact.Pools[p.name] = i
		}
	}
	return impact, nil
}

// tooMuch says which pools' tokens move beyond the limit, "" if none do.
func tooMuch(i admin.Impact, limit float64) string {
	var all []string
	say := func(i admin.Impact, of string) {
		if i.Moved > limit {
			all = append(all, fmt.Sprintf("it moves %.1f %% of the tokens%s, more than admin.confirm_share (%.1f %%); %d of the %d terminals that are open here move when they reconnect",
				100*i.Moved, of, 100*limit, i.SessionsMoved, i.Sessions))
		}
	}
	say(i, "")
	for _, name := range slices.Sorted(maps.Keys(i.Pools)) {
		say(i.Pools[name], " of the pool "+name)
	}
	return strings.Join(all, ". And ")
}

// nextTable returns the table of the ring as it is in s, but with the hash and the listed
// hosts of another configuration. Hosts that come are taken to serve, and backups that come not to
// be needed.
func nextTable(s *route.Snapshot, before, after *config.Config) (*balancer.Table, error) {
	was, is := listed(before.Pool.Hosts), listed(after.Pool.Hosts)
	var hosts []balancer.Host
	for _, h := range s.Hosts {
		old, wasListed := was[h.Name]
		next, isListed := is[h.Name]
		if !h.InRing || wasListed && !isListed || next.Backup && !old.Backup {
			continue
		}
		host := h.TableHost()
		if isListed && next.Weight != old.Weight && host.Weight == old.Weight { // else an override has set the weight
			host.Weight = next.Weight
		}
		if isListed {
			host.ID = next.ID
		}
		hosts = append(hosts, host)
	}
	for name, next := range is {
		old, known := was[name]
		h := s.Host(name)
		comes := !known && h == nil || known && old.Backup && h != nil && h.WhyNot == route.WhyBackup
		if comes && next.Weight > 0 && !next.Backup {
			hosts = append(hosts, balancer.Host{Name: name, ID: next.ID, Weight: next.Weight})
		}
	}
	slices.SortFunc(hosts, func(a, b balancer.Host) int { return cmp.Compare(a.Name, b.Name) })
	tables, err := balancer.NewForecaster(after.Hash)
	if err != nil {
		return nil, err
	}
	return tables.Build(hosts)
}

// listed returns the hosts of a configuration by name.
func listed(hosts []hostlist.Host) map[string]hostlist.Host {
	all := make(map[string]hostlist.Host, len(hosts))
	for _, h := range hosts {
		all[h.Name] = h
	}
	return all
}

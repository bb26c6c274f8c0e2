package edge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/config"
	"tokenring/handover"
	"tokenring/pool/hostlist"
	"tokenring/route"
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
	after, err := nextTable(e.pool.Snapshot(), e.cfg, next)
	if err != nil {
		p.Failure = &handover.Failure{Code: handover.FailedConfig, Detail: "there can't be such a ring: " + err.Error()}
		return p
	}
	i := admin.ImpactOf(e.pool.Snapshot(), e.proxy.Live(), after)
	p.Impact, _ = json.Marshal(i) // numbers alone
	if limit := *e.cfg.Admin.ConfirmShare; !yes && limit < 1 && i.Moved > limit {
		p.Failure = &handover.Failure{Code: handover.FailedConfirm, Detail: fmt.Sprintf(
			"it moves %.1f %% of the tokens, more than admin.confirm_share (%.1f %%); %d of the %d terminals that are open here move when they reconnect. Confirm it with --yes",
			100*i.Moved, 100*limit, i.SessionsMoved, i.Sessions)}
	}
	return p
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

package admin

import (
	"cmp"
	"slices"
	"sync"

	"tokenring/balancer"
	"tokenring/pool"
)

// everybody has the table that there would be if all known hosts were in the ring,
// those in drain and those that fail included. It tells whose a token is that is
// elsewhere because of that. The zero value but for hash is ready for use, and safe
// for concurrent use.
type everybody struct {
	hash balancer.Config

	mu    sync.Mutex
	hosts []balancer.Host // of table
	table *balancer.Table // the last one; nil if the policy can't place hosts together
}

// outsider returns the host outside the ring of snap that would own key if it were
// in it; nil if none would, or the policy has no room for all hosts.
func (e *everybody) outsider(snap *pool.Snapshot, key []byte) *pool.Host {
	table := e.of(snap)
	if table == nil {
		return nil
	}
	owner := table.Owner(key)
	if owner < 0 {
		return nil
	}
	if h := snap.Host(table.Hosts()[owner].Name); h != nil && !h.InRing {
		return h
	}
	return nil
}

// of returns the table of all hosts of snap, nil if that is the one in force, or
// there can be none. A new one takes a tenth of a second with 1,000 hosts, with
// maglev some seconds, for which others wait.
func (e *everybody) of(snap *pool.Snapshot) *balancer.Table {
	hosts := make([]balancer.Host, 0, len(snap.Hosts))
	outside := false
	for _, h := range snap.Hosts {
		hosts = append(hosts, balancer.Host{Name: h.Name, ID: h.ID, Weight: cmp.Or(h.Weight, h.Announced)})
		outside = outside || !h.InRing
	}
	if !outside {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Equal(hosts, e.hosts) {
		return e.table
	}
	e.hosts, e.table = hosts, nil
	if forecaster, err := balancer.NewForecaster(e.hash); err == nil { // as for the ring itself
		e.table, _ = forecaster.Build(hosts) // nil if they don't fit
	}
	return e.table
}

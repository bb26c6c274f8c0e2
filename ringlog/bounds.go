package ringlog

import (
	"maps"
	"slices"
	"time"

	"tokenring/balancer"
)

// bounded returns entries without those that are too many.
func bounded(entries []Entry) []Entry {
	tables, changes, changed := 0, 0, 0
	for _, e := range entries {
		if e.Table != nil {
			tables++
			continue
		}
		changes++
		changed += len(e.Hosts) + len(e.Gone)
	}
	for ; tables > MaxTables; tables-- {
		entries = withoutFirstTable(entries)
	}
	if changes > MaxChanges || changed > maxChanged && changes > 1 {
		entries = withoutOldChanges(entries, max(1, changes/4, changes-MaxChanges))
	}
	return entries
}

// withoutFirstTable returns entries from the second table on. That is the first entry
// then, and has all hosts.
func withoutFirstTable(entries []Entry) []Entry {
	first, rest := entries[0], entries[1:]
	for next := true; next; rest = rest[1:] {
		next = rest[0].Table == nil
		first = first.then(rest[0])
	}
	table := *first.Table
	table.Gone = nil
	first.Gone, first.UnknownSince, first.Table = nil, time.Time{}, &table
	return append([]Entry{first}, rest...)
}

// withoutOldChanges returns entries with so many of the oldest changes, except for the last
// entry, joined with the entries after them.
func withoutOldChanges(entries []Entry, drop int) []Entry {
	kept := slices.Clone(entries[:1])
	var dropped *Entry // joined with the next one
	for i, e := range entries[1:] {
		if dropped != nil {
			since := dropped.UnknownSince
			e = dropped.then(e)
			e.UnknownSince, dropped = since, nil
		}
		if e.Table == nil && drop > 0 && i+2 < len(entries) {
			if e.UnknownSince.IsZero() {
				e.UnknownSince = e.At
			}
			drop--
			dropped = &e
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// then returns e and next as one entry: next, with what differs from the entry before e.
func (e Entry) then(next Entry) Entry {
	next.Hosts, next.Gone = joined(e.Hosts, e.Gone, next.Hosts, next.Gone, Host.name)
	if next.Hash == nil {
		next.Hash = e.Hash
	}
	switch {
	case next.Table == nil:
		next.Table = e.Table
	case e.Table != nil:
		table := *next.Table
		before, _ := e.Table.Hosts.Hosts()
		after, _ := table.Hosts.Hosts()
		hosts, gone := joined(before, e.Table.Gone, after, table.Gone, func(h balancer.Host) string { return h.Name })
		table.Hosts, table.Gone = balancer.NewHostList(hosts), gone
		next.Table = &table
	}
	return next
}

func (h Host) name() string { return h.Name }

// joined returns two differences as one, sorted by name. hosts are those that come or change,
// gone those that go.
func joined[H any](hosts []H, gone []string, nextHosts []H, nextGone []string, name func(H) string) ([]H, []string) {
	all := make(map[string]H, len(hosts)+len(nextHosts))
	left := map[string]bool{}
	for _, step := range []struct {
		hosts []H
		gone  []string
	}{{hosts, gone}, {nextHosts, nextGone}} {
		for _, n := range step.gone {
			delete(all, n)
			left[n] = true
		}
		for _, h := range step.hosts {
			all[name(h)] = h
			delete(left, name(h))
		}
	}
	return sorted(all), sortedNames(left)
}

// sorted returns the values of m by their keys.
func sorted[V any](m map[string]V) []V {
	all := make([]V, 0, len(m))
	for _, name := range sortedNames(m) {
		all = append(all, m[name])
	}
	return all
}

// sortedNames returns the keys of m, nil if there are none.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

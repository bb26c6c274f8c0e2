package route

import (
	"maps"
	"slices"
	"strings"
)

// Together returns a snapshot for operators of the main pool and of others, by name: it has the
// hosts of all, and in its alarm those of all. All else is the main pool's, so no host is to be
// chosen by it. Without others it is main itself.
func Together(main *Snapshot, others map[string]*Snapshot) *Snapshot {
	if len(others) == 0 {
		return main
	}
	all := *main
	all.Hosts = slices.Clone(main.Hosts)
	var alarms []string
	if main.Alarm != "" {
		alarms = append(alarms, main.Alarm)
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		s := others[name]
		all.Hosts = append(all.Hosts, s.Hosts...)
		all.Version += s.Version
		if s.Alarm != "" {
			alarms = append(alarms, "pool "+name+": "+s.Alarm)
		}
	}
	slices.SortFunc(all.Hosts, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) })
	all.Alarm = strings.Join(alarms, "; ")
	return &all
}

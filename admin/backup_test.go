package admin

import (
	"slices"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

func TestAForecastHasBackupsOnlyWhileNoOtherHostServes(t *testing.T) {
	in := func(name string, backup bool, verdict route.Verdict) *route.Host {
		return &route.Host{Spec: route.Spec{Name: name, Weight: 1}, Backup: backup, Health: route.Health{Verdict: verdict}, Standing: route.Standing{InRing: true}}
	}
	idle := in("spare", true, route.Up)
	idle.InRing, idle.WhyNot = false, route.WhyBackup
	used := in("spare", true, route.Up)
	for name, row := range map[string]struct {
		hosts  []*route.Host
		frozen bool
		ring   []string // as it would be without backups' rules
		want   []string
	}{
		"one of two leaves":              {[]*route.Host{in("a", false, route.Up), in("b", false, route.Up), idle}, false, []string{"b"}, []string{"b"}},
		"the last one leaves":            {[]*route.Host{in("a", false, route.Up), idle}, false, nil, []string{"spare"}},
		"the last one that is up leaves": {[]*route.Host{in("a", false, route.Up), in("z", false, route.Down), idle}, false, []string{"z"}, []string{"spare", "z"}},
		"the last one of a frozen ring":  {[]*route.Host{in("a", false, route.Up), idle}, true, nil, nil},
		"a host comes":                   {[]*route.Host{in("z", false, route.Down), used}, false, []string{"new", "spare", "z"}, []string{"new", "z"}},
		"nothing comes":                  {[]*route.Host{in("z", false, route.Down), used}, false, []string{"spare", "z"}, []string{"spare", "z"}},
		"the backup in use leaves":       {[]*route.Host{in("z", false, route.Down), used}, false, []string{"z"}, []string{"z"}},
	} {
		snap := route.NewSnapshot(nil, row.hosts)
		snap.Frozen = row.frozen
		var ring []balancer.Host
		for _, host := range row.ring {
			ring = append(ring, balancer.Host{Name: host, Weight: 1})
		}
		var got []string
		for _, h := range withBackups(snap, ring) {
			got = append(got, h.Name)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

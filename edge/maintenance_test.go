package edge

import (
	"errors"
	"slices"
	"testing"

	"tokenring/admin"
	"tokenring/maintenance"
)

// TestMaintenanceIsOfTheRegion: those that are connected know of it at once, the others when they are.
func TestMaintenanceIsOfTheRegion(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b")
	const line = "routes: [{name: api, path_prefix: /api/, pool: pool}]"
	first := startMemberWith(t, line, "lb-1", hosts)
	second := startMemberWith(t, line, "lb-2", hosts, first)
	first.hears(1)
	second.hears(1)
	done, err := second.setMaintenance(t.Context(), maintenance.Switch{Route: "api", On: true, By: "eva"})
	if err != nil || !slices.Equal(done.By, []string{"lb-2", "lb-1"}) || len(done.Missing) > 0 {
		t.Errorf("got %+v, %v", done, err)
	}
	if !first.maintenance.On("api") || first.maintenance.On("") {
		t.Errorf("lb-1 has %v", first.maintenance.All())
	}
	if alarms := first.problems(); !slices.Equal(alarms[:1], second.maintenance.Alarms()) {
		t.Errorf("lb-1 has the alarms %q", alarms)
	}
	third := startMemberWith(t, line, "lb-3", hosts, first)
	third.until("maintenance", func() bool { return third.maintenance.On("api") })
	if _, err := first.setMaintenance(t.Context(), maintenance.Switch{Route: "apo", On: true}); !errors.Is(err, admin.ErrNoSuchRoute) {
		t.Errorf("a route that there isn't: %v", err)
	}
}

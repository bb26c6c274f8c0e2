//go:build mutants

package pool

import (
	"testing"
	"testing/synctest"

	"tokenring/mutant"
)

// TestSchedulesFindMutants breaks one promise after the other. Schedules must find each. Without
// a mutant, TestSchedules finds nothing in any of them.
func TestSchedulesFindMutants(t *testing.T) {
	const most = 100 // schedules for each
	for _, name := range mutant.All {
		t.Run(string(name), func(t *testing.T) {
			identities() // outside of the bubble
			mutant.Choose(name)
			defer mutant.Choose("")
			for seed := uint64(1); seed <= most; seed++ {
				var found []simViolation
				synctest.Test(t, func(t *testing.T) { found = runSchedule(t, seed).oracle.violations })
				if len(found) > 0 {
					t.Logf("schedule %d: %d violations, the first of %s: %s", seed, len(found), found[0].token, found[0].text)
					return
				}
			}
			t.Errorf("no violation in %d schedules", most)
		})
	}
}

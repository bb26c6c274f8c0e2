package maintenance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/statefile"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lately = time.Now().Add(-2 * time.Hour).Round(0)
)

func open(t *testing.T, dir string) *Switches {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Switches) set(t *testing.T, route string, on bool, at time.Time) Switch {
	t.Helper()
	one, err := s.Set(Switch{Route: route, On: on}, at)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

func TestMaintenanceIsOfARouteOrAll(t *testing.T) {
	if (*Switches)(nil).On("api") {
		t.Error("nil is in maintenance")
	}
	s := open(t, "")
	for _, step := range []struct {
		route         string
		on            bool
		api, web, all bool
	}{
		{"api", true, true, false, false},
		{"", true, true, true, true},
		{"api", false, true, true, true},
		{"", false, false, false, false},
	} {
		s.set(t, step.route, step.on, time.Now())
		if api, web, all := s.On("api"), s.On("web"), s.On(""); api != step.api || web != step.web || all != step.all {
			t.Errorf("%q %t: got api %t, web %t, all %t", step.route, step.on, api, web, all)
		}
	}
	if s.on.Load() != nil {
		t.Error("without maintenance a request looks a route up")
	}
}

func TestMaintenanceSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	before := open(t, dir)
	before.set(t, "api", true, time.Now())
	if after := open(t, dir); !after.On("api") || after.On("web") {
		t.Errorf("got %v", after.All())
	}
	earlier := open(t, dir)
	before.set(t, "api", false, time.Now())
	if err := earlier.Reload(); err != nil || earlier.On("api") {
		t.Errorf("what another process has written since isn't read: %v, %v", earlier.All(), err)
	}
}

func TestADamagedFileIsPutAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if !errors.Is(err, statefile.ErrCorrupt) || s.On("") {
		t.Errorf("got %v", err)
	}
	s.set(t, "", true, noon)
	if !open(t, dir).On("") {
		t.Error("nothing is kept any more")
	}
}

func TestWhatCannotBeWrittenIsInForceAndAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir)
	if _, err := s.Set(Switch{On: true}, noon); err == nil || !s.On("") {
		t.Errorf("got %v, and on is %t", err, s.On(""))
	}
}

// TestTheLastWordCountsOnAllBalancers: whoever hears of it first.
func TestTheLastWordCountsOnAllBalancers(t *testing.T) {
	one, other := open(t, ""), open(t, "")
	one.set(t, "api", true, lately)
	other.set(t, "api", false, lately.Add(time.Second))
	other.set(t, "web", true, lately)
	_, _ = one.Merge(other.All())
	_, _ = other.Merge(one.All())
	for name, s := range map[string]*Switches{"one": one, "the other": other} {
		if s.On("api") || !s.On("web") {
			t.Errorf("%s has %v", name, s.All())
		}
	}
	if changed, err := one.Merge(other.All()); changed || err != nil {
		t.Errorf("the same again: %t, %v", changed, err)
	}
	same := open(t, "")
	same.set(t, "web", false, lately)
	_, _ = same.Merge(other.All())
	_, _ = other.Merge(same.All())
	if same.On("web") != other.On("web") {
		t.Error("two words of one instant count differently")
	}
}

// TestAWordCountsAfterThatOfAClockThatIsAhead: else nobody could end maintenance.
func TestAWordCountsAfterThatOfAClockThatIsAhead(t *testing.T) {
	s := open(t, "")
	s.set(t, "", true, lately.Add(time.Hour))
	if off := s.set(t, "", false, lately); s.On("") || !off.At.After(lately.Add(time.Hour)) {
		t.Errorf("got %v", s.All())
	}
}

func TestPeersAreTakenNoMoreThanIsSound(t *testing.T) {
	s := open(t, "")
	many := []Switch{{Route: strings.Repeat("x", maxText+1), On: true, At: noon}, {Route: "a\nb", On: true, At: noon}, {Route: "undated", On: true}}
	if _, err := s.Merge(many); err != nil || len(s.All()) != 0 {
		t.Errorf("got %v, %v", s.All(), err)
	}
	for i := range maxSwitches + 5 {
		_, _ = s.Merge([]Switch{{Route: time.Duration(i).String(), On: true, At: noon}})
	}
	if n := len(s.All()); n != maxSwitches {
		t.Errorf("got %d", n)
	}
}

func TestOldEndsAreForgotten(t *testing.T) {
	s := open(t, "")
	s.set(t, "long ago", false, time.Now().Add(-life-time.Hour))
	s.set(t, "lately", false, time.Now())
	if all := s.All(); len(all) != 1 || all[0].Route != "lately" {
		t.Errorf("got %v", all)
	}
}

func TestAlarmsSayHowToEndIt(t *testing.T) {
	s := open(t, "")
	_, _ = s.Set(Switch{On: true, By: "eva", Reason: "new disks"}, noon)
	s.set(t, "api", true, noon)
	s.set(t, "web", false, noon)
	want := "all requests get the maintenance page, since 2026-03-01T12:00:00Z, by eva: new disks; to end it: lb ctl maintenance off\n" +
		"requests of the route api get the maintenance page, since 2026-03-01T12:00:00Z; to end it: lb ctl maintenance off --route api"
	if got := strings.Join(s.Alarms(), "\n"); got != want {
		t.Errorf("got %s", got)
	}
}

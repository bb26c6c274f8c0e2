package health

import (
	"strings"
	"testing"
	"time"
)

// Results are + and -, the verdicts after them U and D; rise 2, fall 3.
func TestVerdictNeedsMoreThanOneResult(t *testing.T) {
	for _, row := range []struct{ results, want string }{
		{"+", "U"},           // the first result decides alone
		{"-", "D"},           // also for the worse
		{"+--", "UUU"},       // two failures aren't three
		{"+---", "UUUD"},     // three are
		{"+--+--", "UUUUUU"}, // a success clears the count
		{"-+", "DD"},         // one success isn't two
		{"-++", "DDU"},       // two are
		{"-+-+", "DDDD"},     // a failure clears the count
		{"+---++---", "UUUDDUUUD"},
	} {
		var v verdict
		var got strings.Builder
		for _, r := range row.results {
			was := v
			changed := v.update(r == '+', 2, 3)
			if want := !was.known || was.up != v.up; changed != want {
				t.Errorf("%s: after %d results changed = %v, want %v", row.results, got.Len(), changed, want)
			}
			got.WriteByte("DU"[map[bool]int{false: 0, true: 1}[v.up]])
		}
		if got.String() != row.want {
			t.Errorf("%s: got %s, want %s", row.results, got.String(), row.want)
		}
	}
}

func TestChecksComeSoonerWhileResultsContradictTheVerdict(t *testing.T) {
	for _, row := range []struct {
		interval time.Duration
		doubtful bool
		want     time.Duration
	}{
		{2 * time.Second, false, 2 * time.Second},
		{2 * time.Second, true, 500 * time.Millisecond},
		{300 * time.Millisecond, true, 100 * time.Millisecond}, // not under 100 ms
		{50 * time.Millisecond, true, 50 * time.Millisecond},   // but never slower for it
	} {
		if got := pace(row.interval, row.doubtful); got != row.want {
			t.Errorf("pace(%v, %v) = %v, want %v", row.interval, row.doubtful, got, row.want)
		}
	}
}

func TestJitterStaysWithinATenth(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 2000 {
		d := jitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < 900*time.Millisecond || high > 1100*time.Millisecond {
		t.Errorf("jitter of 1s went from %v to %v, want 900ms to 1.1s", low, high)
	}
	if high-low < 100*time.Millisecond {
		t.Errorf("jitter of 1s only went from %v to %v", low, high)
	}
}

func TestOnlyManyTargetsAreSpread(t *testing.T) {
	if d := spread(16, time.Second); d != 0 {
		t.Errorf("16 targets wait %v, want none", d)
	}
	var most time.Duration
	for range 1000 {
		most = max(most, spread(1000, time.Second))
	}
	if most > time.Second || most < time.Second/2 {
		t.Errorf("1000 targets wait up to %v, want nearly the interval and no more", most)
	}
}

func TestDefaults(t *testing.T) {
	c := Config{}.WithDefaults()
	if c.CheckPath() != "/healthz" || c.Interval != 2*time.Second || c.Timeout != time.Second || c.Rise != 2 || c.Fall != 3 {
		t.Errorf("got %s %+v", c.CheckPath(), c)
	}
	none := ""
	if got := (Config{Path: &none}).WithDefaults().CheckPath(); got != "" {
		t.Errorf("an explicit empty path became %q", got)
	}
}

func TestValidPath(t *testing.T) {
	for path, ok := range map[string]bool{
		"": true, "/": true, "/healthz": true, "/a?b=c": true,
		"healthz": false, "http://x/": false, "/a\nb": false, "/%zz": false,
	} {
		if err := ValidPath(path); (err == nil) != ok {
			t.Errorf("ValidPath(%q) = %v", path, err)
		}
	}
}

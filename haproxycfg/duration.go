package haproxycfg

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// timeUnits are HAProxy's units (configuration manual, §2.5), longer names first.
var timeUnits = []struct {
	name string
	is   time.Duration
}{
	{"us", time.Microsecond},
	{"ms", time.Millisecond},
	{"s", time.Second},
	{"m", time.Minute},
	{"h", time.Hour},
	{"d", 24 * time.Hour},
	{"", time.Millisecond},
}

// parseTime reads a time such as 5s; a bare number is in milliseconds.
func parseTime(text string) (time.Duration, error) {
	for _, unit := range timeUnits {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 63)
		if err != nil || n > uint64(math.MaxInt64/unit.is) {
			break
		}
		return time.Duration(n) * unit.is, nil
	}
	return 0, fmt.Errorf("%q is no time: write a number and us, ms, s, m, h or d", text)
}

// formatTime returns a duration as it is written in lb.yaml: 1h instead of 1h0m0s.
func formatTime(d time.Duration) string {
	text := strings.Replace(d.String(), "µ", "u", 1)
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

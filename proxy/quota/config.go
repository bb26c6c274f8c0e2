package quota

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A SourceConfig is `limits.per_source`: what all clients of one source may use together. A source is
// an address of IPv4, or a network of 64 bits of IPv6. A zero field is no limit.
type SourceConfig struct {
	Connections    int           `yaml:"connections"`     // open ones, terminals included
	NewConnections string        `yaml:"new_connections"` // a rate, such as 50/s
	Requests       string        `yaml:"requests"`        // a rate; handshakes of terminals count
	Terminals      int           `yaml:"terminals"`       // open ones
	Burst          time.Duration `yaml:"burst"`           // what the rates allow in this time may come at once; 1s
}

// A KeyConfig is `limits.per_key`: what the requests with one key may use together. A zero field is no
// limit.
type KeyConfig struct {
	Requests  string        `yaml:"requests"`
	Terminals int           `yaml:"terminals"`
	Burst     time.Duration `yaml:"burst"`
}

// DefaultBurst is the default of Burst.
const DefaultBurst = time.Second

// A Rate is how many may come in a time. The zero Rate is no limit.
type Rate struct {
	n   int
	per time.Duration
}

// periods are the times that a rate may have, by how lb.yaml writes them.
var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// mostPerPeriod bounds the number in a rate.
const mostPerPeriod = 1_000_000

// ParseRate reads a rate such as 50/s, 300/m or 1000/h. "" is the zero Rate.
func ParseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, nil
	}
	number, period, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	per := periods[period]
	switch {
	case err != nil || per == 0:
		return Rate{}, fmt.Errorf("%q is no rate", text)
	case n < 1 || n > mostPerPeriod:
		return Rate{}, fmt.Errorf("%d is out of bounds: a rate has 1 to %d", n, mostPerPeriod)
	}
	return Rate{n, per}, nil
}

// pace returns the pace of a rate. What it allows within burst may come at once, and one in any case;
// 0 is the default.
func (r Rate) pace(burst time.Duration) pace {
	if r == (Rate{}) {
		return pace{}
	}
	every := r.per / time.Duration(r.n)
	atOnce := max(1, cmp.Or(burst, DefaultBurst)/every)
	return pace{every: every, early: (atOnce - 1) * every}
}

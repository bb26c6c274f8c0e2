package resolver

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// How soon a name is looked up again whose answer says for how long it holds.
const (
	soonest = time.Second
	latest  = 5 * time.Minute // a record that holds for a day may be a mistake
)

// Follow looks name up until ctx ends, and calls use with all its addresses, sorted, whenever they
// have changed. It looks again when the answer's records have reached their TTL, and every few
// seconds if that isn't known: for names in /etc/hosts, and while the name doesn't resolve. An
// answer without addresses, or an error, changes nothing. If lookup is nil, the system looks the
// name up; answers of any other have no TTL.
func Follow(ctx context.Context, lookup Lookup, name string, log zerolog.Logger, use func([]netip.Addr)) {
	look := system(nil)
	if lookup != nil {
		look = func(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
			all, err := lookup(ctx, "ip", name)
			return all, 0, err
		}
	}
	follow(ctx, look, name, log, use)
}

func follow(ctx context.Context, look timed, name string, log zerolog.Logger, use func([]netip.Addr)) {
	var before []netip.Addr
	failing := false
	for {
		limited, cancel := context.WithTimeout(ctx, lookupTimeout)
		answers, ttl, err := look(limited, name)
		cancel()
		found := usableOf(answers)
		switch {
		case ctx.Err() != nil:
			return
		case len(found) > 0 && !slices.Equal(found, before):
			before = found
			use(found)
		case len(found) == 0 && !failing:
			log.Warn().Err(err).Str("name", name).Int("stay", len(before)).Msg("a name doesn't resolve: the hosts before stay")
		}
		failing = len(found) == 0
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause(ttl, failing)):
		}
	}
}

// pause returns how long to wait before the next lookup. Balancers don't look at the same moment.
func pause(ttl time.Duration, failing bool) time.Duration {
	if failing || ttl == 0 {
		return lookupEvery - lookupEvery/10 + rand.N(lookupEvery/5)
	}
	ttl = min(max(ttl, soonest), latest)
	return ttl + rand.N(ttl/10) // not before: a cache would give the old answer again
}

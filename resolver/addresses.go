package resolver

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// Follow looks name up every few seconds until ctx ends, and calls use with all its addresses,
// sorted, whenever they have changed. An answer without addresses, or an error, changes nothing. If
// lookup is nil, net.DefaultResolver looks the name up.
func Follow(ctx context.Context, lookup Lookup, name string, log zerolog.Logger, use func([]netip.Addr)) {
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	var before []netip.Addr
	failing := false
	for {
		limited, cancel := context.WithTimeout(ctx, lookupTimeout)
		answers, err := lookup(limited, "ip", name)
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
		case <-time.After(lookupEvery - lookupEvery/10 + rand.N(lookupEvery/5)):
		}
	}
}

package resolver

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestAllAddressesOfANameAreFollowed also through answers that have none.
func TestAllAddressesOfANameAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		var mu sync.Mutex
		answers, failure := []netip.Addr{b, a, a}, error(nil)
		lookup := func(context.Context, string, string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			return answers, failure
		}
		ctx, stop := context.WithCancel(t.Context())
		var got []string
		go Follow(ctx, lookup, "api.internal", zerolog.Nop(), func(all []netip.Addr) {
			text := ""
			for _, ip := range all {
				text += ip.String() + " "
			}
			got = append(got, text)
		})
		next := func(now []netip.Addr, err error, want ...string) {
			t.Helper()
			mu.Lock()
			answers, failure = now, err
			mu.Unlock()
			time.Sleep(2 * lookupEvery)
			synctest.Wait()
			if len(got) != len(want) || len(want) > 0 && got[len(got)-1] != want[len(want)-1] {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		first, second := "10.0.0.1 10.0.0.2 ", "10.0.0.2 "
		next(answers, nil, first)
		next([]netip.Addr{a, b}, nil, first) // in another order
		next(nil, nil, first)
		next(nil, errors.New("no such name"), first)
		next([]netip.Addr{b}, nil, first, second)
		stop()
		synctest.Wait()
	})
}

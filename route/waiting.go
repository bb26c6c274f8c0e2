package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Waiting says which changes of the ring wait because balancers are missing: those that can't
// be asked where they send a token. The zero Waiting is that none is missing.
type Waiting struct {
	Missing int       // how many balancers are missing, whether or not changes wait for them
	For     []string  // those for which changes wait
	Since   time.Time // since when the first of For has been missing; zero if there is none
	Until   time.Time // when the changes wait no longer
	Changes []string  // in words: "ide-9 joins", "ide-2: weight 10 → 20"; none if none has to wait
}

// ErrNothingWaits is the error of an operator's wish to go on without balancers for which nothing
// waits.
var ErrNothingWaits = errors.New("no change of the ring waits for such a balancer")

// Of returns what waits of a host, in words; "" if nothing does.
func (w Waiting) Of(host string) string {
	for _, change := range w.Changes {
		if strings.HasPrefix(change, host+" ") || strings.HasPrefix(change, host+": ") {
			return fmt.Sprintf("%s, which waits for %s", change, strings.Join(w.For, ", "))
		}
	}
	return ""
}

// equal reports whether w and other say the same.
func (w Waiting) equal(other Waiting) bool {
	return w.Missing == other.Missing && slices.Equal(w.For, other.For) && w.Since.Equal(other.Since) && w.Until.Equal(other.Until) && slices.Equal(w.Changes, other.Changes)
}

package claims

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oracles are peers that answer as they are told to, one round after the other; the last answer
// goes on.
type oracles struct {
	mu   sync.Mutex
	says map[string][]Answer
}

func (o *oracles) Open() (names []string, until time.Time) {
	for name := range o.says {
		names = append(names, name)
	}
	return names, time.Time{}
}

func (o *oracles) Ask(_ context.Context, peer string, _ []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.says[peer]
	o.says[peer] = all[min(1, len(all)-1):]
	return appendAnswer(nil, [2]Answer{all[0]}), nil
}

// TestPeersThatDisagreeAreAskedAgain, because one of them may have let the key go after it had
// answered, and another one may have claimed it for another host since.
func TestPeersThatDisagreeAreAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		says  map[string][]Answer
		want  string
		least time.Duration
	}{
		"one has let it go":     {map[string][]Answer{"lb-2": {{Held, "d"}}, "lb-3": {{Held, "b"}, {Kind: Free}}}, "d", 0},
		"a late use":            {map[string][]Answer{"lb-2": {{Lingers, "d"}}, "lb-3": {{Held, "b"}, {Lingers, "d"}}}, "d", 0},
		"both have let it go":   {map[string][]Answer{"lb-2": {{Held, "d"}, {Kind: Free}}, "lb-3": {{Held, "b"}, {Kind: Free}}}, "own", 0},
		"both have it for long": {map[string][]Answer{"lb-2": {{Held, "d"}}, "lb-3": {{Held, "b"}}}, "b", defaultTimes.dispute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claims, began := New("lb-1", &oracles{says: c.says}), time.Now()
				w, _, err := claims.Claim(t.Context(), new(Hold), Wish{Key: keyOf(1), Host: "own", Binds: binds})
				if took := time.Since(began); w.Host != c.want || err != nil || took < c.least || took > c.least+50*time.Millisecond {
					t.Errorf("it goes to %s after %v, want %s (%v)", w.Host, took, c.want, err)
				}
				claims.asker.end()
			})
		})
	}
}

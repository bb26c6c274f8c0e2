//go:build integration

package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Traffic is requests of all tokens through both balancers, over and over, and
// what became of them.
type traffic struct {
	lbs     int // how many balancers it goes through
	stop    chan struct{}
	once    sync.Once
	workers sync.WaitGroup

	mu    sync.Mutex
	trips map[string][]trip // by balancer and token, in the order of their ends
}

// A trip is one request.
type trip struct {
	lb, token string
	began     time.Time
	took      time.Duration
	host      string
	err       error
}

// pause is between two requests through one balancer. All tokens have their turn
// in half a second.
const pause = 2500 * time.Microsecond

// traffic begins, and ends with end or with the test.
func (r *region) traffic(t *testing.T) *traffic {
	tr := &traffic{lbs: len(r.lbs), stop: make(chan struct{}), trips: map[string][]trip{}}
	for _, lb := range r.lbs {
		turns := make(chan string)
		tr.workers.Go(func() { tr.call(turns) })
		for range crowd {
			tr.workers.Go(func() { tr.travel(lb, turns) })
		}
	}
	t.Cleanup(tr.halt)
	return tr
}

// call names the token whose turn it is, and waits when all tokens are busy.
func (tr *traffic) call(turns chan<- string) {
	defer close(turns)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-tr.stop:
			return
		case <-ticker.C:
		}
		select {
		case <-tr.stop:
			return
		case turns <- tokens[i%len(tokens)]:
		}
	}
}

func (tr *traffic) travel(lb *balancer, turns <-chan string) {
	for token := range turns {
		one := trip{lb: lb.name, token: token, began: time.Now()}
		one.host, one.err = lb.whoami(token)
		one.took = time.Since(one.began)
		tr.mu.Lock()
		way := lb.name + " " + token
		tr.trips[way] = append(tr.trips[way], one)
		tr.mu.Unlock()
	}
}

// lap waits until each token has had an answer, through each balancer, to a
// request that began after now. Requests that hang on a host that has vanished
// hold the others up for a while.
func (tr *traffic) lap(t *testing.T) {
	t.Helper()
	now := time.Now()
	eventually(t, "each token has had a turn", func() error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if late := tr.lateLocked(now); late > 0 {
			return fmt.Errorf("%d tokens and balancers have had none", late)
		}
		return nil
	})
}

// lateLocked counts the tokens and balancers without a good trip after now.
func (tr *traffic) lateLocked(now time.Time) int {
	late := len(tokens) * tr.lbs
	for _, trips := range tr.trips {
		good := func(one trip) bool { return one.err == nil && one.began.After(now) }
		if slices.ContainsFunc(trips, good) {
			late--
		}
	}
	return late
}

// end waits for the last request, and says how many there were.
func (tr *traffic) end(t *testing.T) {
	t.Helper()
	tr.halt()
	tr.summary(t)
}

// halt waits for the last request. It may be called again.
func (tr *traffic) halt() {
	tr.once.Do(func() { close(tr.stop) })
	tr.workers.Wait()
}

// summary logs how many requests there were, how many failed, and the slowest.
func (tr *traffic) summary(t *testing.T) {
	t.Helper()
	count, failed, slowest := 0, 0, time.Duration(0)
	for _, trips := range tr.trips {
		for _, one := range trips {
			count++
			if one.err != nil {
				failed++
			}
			slowest = max(slowest, one.took)
		}
	}
	t.Logf("traffic: %d requests, %d failed, the slowest took %v", count, failed, slowest.Round(time.Millisecond))
}

// mustSucceed fails the test if one of the requests that must succeed didn't.
func (tr *traffic) mustSucceed(t *testing.T, must func(trip) bool) {
	t.Helper()
	failed, first := 0, trip{}
	for _, trips := range tr.trips {
		for _, one := range trips {
			if one.err == nil || !must(one) {
				continue
			}
			if failed++; failed == 1 || one.began.Before(first.began) {
				first = one
			}
		}
	}
	if failed > 0 {
		t.Errorf("%d requests failed; the first, through %s at %v, took %v: %s",
			failed, first.lb, first.began.Format(time.TimeOnly+".000"), first.took, hide(first.err))
	}
}

// all requests must succeed.
func all(trip) bool { return true }

// since picks the requests that began after the moment.
func since(moment time.Time) func(trip) bool {
	return func(one trip) bool { return one.began.After(moment) }
}

// route is the hosts that a token has been on, in order.
func route(trips []trip) []string {
	ordered := slices.SortedFunc(slices.Values(trips), func(a, b trip) int { return a.began.Compare(b.began) })
	var hosts []string
	for _, one := range ordered {
		if one.err == nil && (len(hosts) == 0 || hosts[len(hosts)-1] != one.host) {
			hosts = append(hosts, one.host)
		}
	}
	return hosts
}

// mustRoute fails the test unless each token has gone, through each balancer, as
// want says: the hosts in order, without repetition; nil for wherever it likes.
func (tr *traffic) mustRoute(t *testing.T, want func(lb, token string) []string) {
	t.Helper()
	wrong := 0
	for way, trips := range tr.trips {
		lb, token, _ := strings.Cut(way, " ")
		if got, want := route(trips), want(lb, token); want != nil && !slices.Equal(got, want) {
			if wrong++; wrong <= 5 {
				t.Errorf("through %s a token went %v, want %v", lb, got, want)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d routes are wrong", wrong, len(tr.trips))
	}
}

// hide takes tokens out of an error, which quotes the URL.
func hide(err error) string {
	return strings.ReplaceAll(fmt.Sprint(err), marker, "…")
}

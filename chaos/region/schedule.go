package region

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// at is how many faults there are at most at one time.
const atOnce = 2

// A schedule hands out faults, all kinds in turn in a random order, and targets that have none.
type schedule struct {
	region *Region

	mu      sync.Mutex
	rng     *rand.Rand
	next    []fault
	hosts   []*Host // those that have a fault
	busy    []*Balancer
	blocked bool // a fault needs the network of balancers
}

// Break injects faults until a time, as a seed says, and mends all before it returns.
func (r *Region) Break(seed uint64, until time.Time, l *Log) error {
	s := &schedule{region: r, rng: rand.New(rand.NewPCG(seed, 0))}
	var slots sync.WaitGroup
	result := make([]error, atOnce)
	for i := range atOnce {
		slots.Go(func() { result[i] = s.slot(until, l) })
	}
	slots.Wait()
	return errors.Join(result...)
}

// slot injects one fault after the other. Between some of them it is quiet.
func (s *schedule) slot(until time.Time, l *Log) error {
	for time.Now().Before(until) && s.region.ctx.Err() == nil {
		f, t, ok := s.take()
		if !ok {
			s.region.pause(200 * time.Millisecond)
			continue
		}
		err := f.inject(s.region, l, t)
		s.giveBack(f, t)
		if err != nil && s.region.ctx.Err() == nil {
			return err
		}
		s.region.pause(s.quiet())
	}
	return nil
}

// quiet is how long a slot has no fault.
func (s *schedule) quiet() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rng.IntN(5) == 0 {
		return 6 * time.Second
	}
	return time.Duration(s.rng.Int64N(int64(1500 * time.Millisecond)))
}

// take returns the next fault for which there is a target.
func (s *schedule) take() (fault, target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.next) < atOnce {
		more := slices.Clone(faults)
		s.rng.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
		s.next = append(s.next, more...)
	}
	for i, f := range s.next {
		if s.blocked && f.balancer || f.network && len(s.busy) > 0 {
			continue
		}
		t := target{rng: rand.New(rand.NewPCG(s.rng.Uint64(), 0))}
		if f.host {
			t.host = pick(s.rng, s.region.Hosts, s.hosts)
			s.hosts = append(s.hosts, t.host)
		}
		if f.balancer {
			t.balancer = pick(s.rng, s.region.Balancers, s.busy)
			s.busy = append(s.busy, t.balancer)
		}
		s.blocked = s.blocked || f.network
		s.next = slices.Delete(s.next, i, i+1)
		return f, t, true
	}
	return fault{}, target{}, false
}

// pick returns one at random that isn't taken.
func pick[T comparable](rng *rand.Rand, all, taken []T) T {
	free := slices.DeleteFunc(slices.Clone(all), func(x T) bool { return slices.Contains(taken, x) })
	return free[rng.IntN(len(free))]
}

func (s *schedule) giveBack(f fault, t target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts = slices.DeleteFunc(s.hosts, func(h *Host) bool { return h == t.host })
	s.busy = slices.DeleteFunc(s.busy, func(b *Balancer) bool { return b == t.balancer })
	s.blocked = s.blocked && !f.network
}

// operate runs lb ctl on a balancer that takes it: operators try another one while theirs is down.
func (r *Region) operate(args ...string) error {
	turn := 0
	return r.until(60*time.Second, func() error {
		turn++
		return r.Balancers[turn%len(r.Balancers)].ctl(r.ctx, args...)
	})
}

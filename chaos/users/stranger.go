package users

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// strangers is how many clients come with a new token each time.
const strangers = 50

// A stranger sends the first two requests of a new token at once, through two balancers: nobody
// knows yet where it is.
type stranger struct {
	users *Users
	rng   *rand.Rand
}

// work goes on until ctx ends, or the users are to be calm.
func (s *stranger) work(ctx context.Context) {
	for ctx.Err() == nil && !s.users.calm.Load() {
		s.ask(ctx)
		select {
		case <-time.After(time.Duration(s.rng.Int64N(int64(time.Second)))):
		case <-ctx.Done():
		}
	}
}

// ask sends the two requests. A host takes longer for each than oracle allows for an overlap.
func (s *stranger) ask(ctx context.Context) {
	token := fmt.Sprintf("%s%016x", TokenPrefix, s.rng.Uint64())
	first := s.rng.IntN(len(s.users.balancers))
	second := (first + 1 + s.rng.IntN(len(s.users.balancers)-1)) % len(s.users.balancers)
	var both sync.WaitGroup
	for _, at := range []int{first, second} {
		u := &user{users: s.users, token: token, digest: record.Digest(token), at: at}
		both.Go(func() {
			e := u.event(oracle.Answered)
			var err error
			if e.Host, err = u.ask(ctx, 900); err != nil {
				e.What, e.Text = oracle.Failed, "request: "+u.clean(err)
			}
			if ctx.Err() == nil {
				s.users.note(e)
			}
		})
	}
	both.Wait()
}

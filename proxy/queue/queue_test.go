package queue

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhoTakesASlot tells stories: take and give a slot, leave the queue, of a length of 2. Capital
// letters have a slot, the others wait, in order.
func TestWhoTakesASlot(t *testing.T) {
	for _, row := range []struct {
		what  string
		bound int
		steps string // +a takes, -a gives or leaves, 3 is another bound
		want  string
	}{
		{"without a bound, all take one", 0, "+a +b +c", "ABC"},
		{"the first take one", 2, "+a +b +c", "ABc"},
		{"the queue is bounded", 1, "+a +b +c +d", "Abc"},
		{"the one that has waited for longest is next", 1, "+a +b +c -a", "Bc"},
		{"one that leaves is passed over", 1, "+a +b +c -b -a", "C"},
		{"one that leaves makes room in the queue", 1, "+a +b +c -b +d", "Acd"},
		{"nobody passes those that wait", 1, "+a +b -a +c", "Bc"},
		{"a greater bound lets in those that wait", 1, "+a +b +c 2", "ABc"},
		{"no bound lets in all", 1, "+a +b +c 0", "ABC"},
		{"a lesser bound waits until there are fewer", 2, "+a +b +c 1 -a", "Bc"},
		{"and then lets in the next", 2, "+a +b +c 1 -a -b", "C"},
		{"a slot that nobody waits for is free", 1, "+a -a +b", "B"},
	} {
		s, has, order := new(Slots), map[byte]*Place{}, []byte{}
		s.SetBound(row.bound)
		for i := 0; i < len(row.steps); i++ {
			switch op := row.steps[i]; op {
			case ' ':
			case '+':
				i++
				if p, taken := s.Take(2); taken || p != nil {
					has[row.steps[i]], order = p, append(order, row.steps[i])
				}
			case '-':
				i++
				if p := has[row.steps[i]]; p == nil || p.Leave() {
					s.Give()
				}
				order = slices.DeleteFunc(order, func(c byte) bool { return c == row.steps[i] })
			default:
				s.SetBound(int(op - '0'))
			}
		}
		var taken, waiting []byte
		for _, c := range order {
			if p := has[c]; p == nil || isGranted(p) {
				taken = append(taken, c-'a'+'A')
			} else {
				waiting = append(waiting, c)
			}
		}
		if got := string(append(taken, waiting...)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
		if n, m := s.Usage(); n != len(taken) || m != len(waiting) {
			t.Errorf("%s: %d slots are taken and %d wait, want %d and %d", row.what, n, m, len(taken), len(waiting))
		}
	}
}

func isGranted(p *Place) bool {
	select {
	case <-p.Granted():
		return true
	default:
		return false
	}
}

// TestEachSlotIsGivenBackOnce whatever order requests come, leave and end in: there are never more
// than the bound, those that wait have their turn in order, and in the end nothing is taken.
func TestEachSlotIsGivenBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 3
		rng, c := rand.New(rand.NewPCG(1, 2)), &crowd{t: t, cfg: Config{Wait: 40 * time.Millisecond}.WithDefaults(), waiting: map[int]*Place{}}
		*c.cfg.Length = 20
		c.slots.SetBound(bound)
		for n := range 2000 {
			patience, work := time.Duration(rng.IntN(90)+1)*time.Millisecond+time.Microsecond, time.Duration(rng.IntN(20)+1)*time.Millisecond
			go c.request(n, patience, work)
			synctest.Wait()
			if n, _ := c.slots.Usage(); n > bound {
				t.Fatalf("%d slots are taken", n)
			}
			time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, m := c.slots.Usage(); n != 0 || m != 0 {
			t.Errorf("in the end, %d slots are taken and %d wait", n, m)
		}
		if c.served == 0 || c.late == 0 || c.full == 0 {
			t.Errorf("%d were served, %d left, %d found no room: the test tries too little", c.served, c.late, c.full)
		}
	})
}

// A crowd is requests to one host.
type crowd struct {
	t     *testing.T
	slots Slots
	cfg   Config

	mu                 sync.Mutex
	waiting            map[int]*Place // by the number of the request: the greater ones have come later
	served, late, full int
}

// request is the life of a request, which waits for so long at most.
func (c *crowd) request(n int, patience, work time.Duration) {
	r := new(Request)
	p, taken := r.Take(&c.slots, &c.cfg, time.Now())
	counter := &c.full
	if p != nil {
		counter = &c.late
		taken = c.await(n, p, r, min(patience, r.Left(time.Now())))
	}
	if taken {
		counter = &c.served
		time.Sleep(work)
	}
	r.Release()
	r.Release() // does nothing
	c.mu.Lock()
	defer c.mu.Unlock()
	*counter++
}

// await waits in a place until it has a slot, or has lost patience.
func (c *crowd) await(n int, p *Place, r *Request, patience time.Duration) (taken bool) {
	c.mu.Lock()
	c.waiting[n] = p
	c.mu.Unlock()
	began := time.Now()
	select {
	case <-p.Granted():
	case <-time.After(patience):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, n)
	for earlier, q := range c.waiting {
		if earlier < n && isGranted(p) && !isGranted(q) {
			c.t.Errorf("%d has its turn before %d, which has waited for longer", n, earlier)
		}
	}
	return r.Leave(p, time.Since(began))
}

func TestARequestWaitsOnceForSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, cfg := new(Slots), new(Slots), Config{Wait: time.Second}.WithDefaults()
		for _, s := range []*Slots{a, b} {
			s.SetBound(1)
			s.Take(0)
		}
		r := new(Request)
		p, _ := r.Take(a, &cfg, time.Now())
		time.Sleep(400 * time.Millisecond)
		if left := r.Left(time.Now()); left != 600*time.Millisecond {
			t.Errorf("%v are left", left)
		}
		r.Leave(p, 400*time.Millisecond)
		p, _ = r.Take(b, &cfg, time.Now())
		time.Sleep(600 * time.Millisecond)
		r.Leave(p, 600*time.Millisecond)
		if p, taken := r.Take(a, &cfg, time.Now()); p != nil || taken {
			t.Error("it waits once more")
		}
		if r.Waited() != time.Second {
			t.Errorf("it has waited for %v", r.Waited())
		}
		b.Give()
		if _, taken := r.Take(b, &cfg, time.Now()); !taken || !r.Has(b) {
			t.Error("it doesn't get a slot that is free")
		}
	})
}

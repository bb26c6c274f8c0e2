package claims

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokenring/balancer"
)

// An asker asks peers about keys. Of each peer it asks one question at a time, about all keys
// that wait; keys that come meanwhile wait for the next question. A peer that doesn't answer
// in time isn't waited for until it has. It is safe for concurrent use.
type asker struct {
	peers Peers
	times times
	ctx   context.Context // of all questions
	stop  context.CancelFunc

	mu     sync.Mutex
	ended  bool
	queues map[string]*queue // by peer
	asking sync.WaitGroup    // one for each queue with a question
}

func newAsker(p Peers, t times) *asker {
	a := &asker{peers: p, times: t, queues: map[string]*queue{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// end ends all questions, and waits until they have ended. Later ones aren't asked.
func (a *asker) end() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.stop()
	a.asking.Wait()
}

// ask asks all peers that can be asked about a key, and returns their answers. It waits until
// the answers are there, or ctx ends. The result is Own, Agreed, Late, Unasked or lost.
func (a *asker) ask(ctx context.Context, key balancer.Digest) ([]told, Result) {
	names := a.open(ctx)
	if len(names) == 0 {
		return nil, Own
	}
	q := &inquiry{key: key, left: len(names), result: Agreed, done: make(chan struct{})}
	for _, name := range names {
		a.add(name, q)
	}
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]told(nil), q.answers...), q.result
}

// open returns the peers that can be asked. It waits for those that live and can't be asked
// yet, for as long as that is worth it.
func (a *asker) open(ctx context.Context) []string {
	const pause = 2 * time.Millisecond
	for {
		names, until := a.peers.Open()
		if until.IsZero() || !time.Now().Before(until) {
			return names
		}
		select {
		case <-time.After(pause):
		case <-a.ctx.Done():
			return names
		case <-ctx.Done():
			return names
		}
	}
}

// add has a peer asked.
func (a *asker) add(name string, q *inquiry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.queues[name]
	if u == nil {
		u = &queue{asker: a, peer: name}
		a.queues[name] = u
	}
	switch {
	case a.ended, u.late:
		q.leave(Late)
	case len(u.waiting) >= maxWaiting:
		q.leave(Unasked)
	default:
		u.waiting = append(u.waiting, q)
		if !u.asks {
			u.asks = true
			a.asking.Go(u.run)
		}
	}
}

// maxWaiting bounds the keys that wait to be asked of a peer.
const maxWaiting = 1 << 14

// A queue is the keys about which a peer is asked. The asker's mu guards its fields.
type queue struct {
	asker   *asker
	peer    string
	waiting []*inquiry // for the next question
	asked   []*inquiry // by the question that has no answer yet, unless it is late
	number  int        // of that question; only run changes it
	asks    bool       // there is such a question, or there will be at once
	late    bool       // its answer is late
}

// run asks until nothing waits any more. Then the queue is gone.
func (u *queue) run() {
	for keys := u.next(); keys != nil; keys = u.next() {
		number := u.number
		timer := time.AfterFunc(u.asker.times.patience, func() { u.expire(number) })
		text, err := u.asker.peers.Ask(u.asker.ctx, u.peer, appendQuestion(nil, keys))
		timer.Stop()
		var all [][2]Answer
		if err == nil {
			all, err = readAnswers(text, len(keys))
		}
		u.answered(all, err)
	}
}

// next returns the keys for the next question, nil if there are none.
func (u *queue) next() []balancer.Digest {
	a := u.asker
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(u.waiting), maxKeys)
	if n == 0 {
		u.asks = false
		delete(a.queues, u.peer)
		return nil
	}
	u.asked, u.waiting = u.waiting[:n:n], u.waiting[n:]
	u.number++
	keys := make([]balancer.Digest, n)
	for i, q := range u.asked {
		keys[i] = q.key
	}
	return keys
}

// expire says that the answer to the question with a number is late: nobody waits for the peer
// any more.
func (u *queue) expire(number int) {
	u.asker.mu.Lock()
	defer u.asker.mu.Unlock()
	if number != u.number || u.asked == nil {
		return // it has just come
	}
	u.late = true
	for _, all := range [][]*inquiry{u.asked, u.waiting} {
		for _, q := range all {
			q.leave(Late)
		}
	}
	u.asked, u.waiting = nil, nil
}

// answered gives the answers to those that wait for them. An answer that is late goes to
// nobody.
func (u *queue) answered(all [][2]Answer, err error) {
	u.asker.mu.Lock()
	defer u.asker.mu.Unlock()
	for i, q := range u.asked {
		switch {
		case err == nil:
			q.take(u.peer, all[i])
		case errors.Is(err, ErrLost):
			q.leave(lost)
		default:
			q.leave(Late)
		}
	}
	u.asked, u.late = nil, false
}

// An inquiry is a key about which some peers are asked.
type inquiry struct {
	key  balancer.Digest
	done chan struct{} // closed when all peers have answered, or were left out

	mu      sync.Mutex
	left    int // peers
	answers []told
	result  Result
}

// take takes the answers of a peer.
func (q *inquiry) take(peer string, all [2]Answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range all {
		q.answers = append(q.answers, told{a, peer})
	}
	q.count()
}

// leave leaves a peer out.
func (q *inquiry) leave(why Result) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.result = max(q.result, why)
	q.count()
}

// count counts a peer. mu is held.
func (q *inquiry) count() {
	if q.left--; q.left == 0 {
		close(q.done)
	}
}

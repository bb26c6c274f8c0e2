package config

import (
	"fmt"
	"time"

	"tokenring/proxy/queue"
)

// checkQueue checks how many requests hosts may have, and what becomes of those beyond.
func (c *Config) checkQueue(d *document) {
	d.checkMaxConnections("pool.max_connections", c.Pool.MaxConnections)
	q := &c.Pool.Queue
	if n := *q.Length; n < 0 || n > queue.MaxLength {
		d.fail("pool.queue.length", fmt.Sprintf("%d is not in 0..%d", n, queue.MaxLength), "write how many requests wait for one host, or 0: then none does")
	}
	if q.Wait < time.Millisecond || q.Wait > queue.MaxWait {
		d.fail("pool.queue.wait", fmt.Sprintf("%v is not in %v..%v", q.Wait, time.Millisecond, queue.MaxWait), "write how long a request waits for its host, such as 5s")
	}
	switch {
	case q.Then == queue.Fail:
	case q.Then != queue.Next:
		d.fail("pool.queue.then", fmt.Sprintf("%q is neither fail nor next", q.Then), "write fail: such a request gets 503")
	case !c.Hash.Keyless():
		d.fail("pool.queue.then", "tokens have one host here, and a request may not go to the next one: its user would be on two", "leave it out: such a request gets 503; or use hash.policy round-robin or least-connections in a pool of its own")
	case c.Affinity.Cookie != nil:
		d.fail("pool.queue.then", "the cookie of affinity.cookie keeps clients on their hosts", "leave one of the two out")
	}
}

// checkMaxConnections reports a bound that can't be.
func (d *document) checkMaxConnections(path string, n int) {
	if n < 0 || n > queue.MaxConnections {
		d.fail(path, fmt.Sprintf("%d is not in 0..%d", n, queue.MaxConnections), "write how many requests a host may have at once, or 0: then there is no bound")
	}
}

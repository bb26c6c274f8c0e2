package proxy

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// neighbours are labs that ask each other about claims.
type neighbours struct {
	mu   sync.Mutex
	labs map[string]*lab
}

// A neighbour is one of them, as it asks the others.
type neighbour struct {
	*neighbours
	name string
}

func (n neighbour) Open() (names []string, _ time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.labs {
		if name != n.name {
			names = append(names, name)
		}
	}
	return names, time.Time{}
}

func (n neighbour) Ask(_ context.Context, peer string, question []byte) ([]byte, error) {
	n.mu.Lock()
	l := n.labs[peer]
	n.mu.Unlock()
	return l.p.AnswerClaims(n.name, question)
}

// startNeighbours starts balancers in front of the same hosts.
func startNeighbours(t *testing.T, n int, change func(*lab), hosts ...*host) []*lab {
	t.Helper()
	region := &neighbours{labs: map[string]*lab{}}
	var all []*lab
	for i := range n {
		name := fmt.Sprintf("lb-%d", i+1)
		l := start(t, func(l *lab) {
			l.name, l.peers = name, neighbour{region, name}
			if change != nil {
				change(l)
			}
		}, hosts...)
		ctx, stop := context.WithCancel(context.Background())
		var asking sync.WaitGroup
		asking.Go(func() { _ = l.p.claims.Run(ctx) })
		t.Cleanup(func() {
			l.stop()
			stop()
			asking.Wait()
		})
		region.mu.Lock()
		region.labs[name] = l
		region.mu.Unlock()
		all = append(all, l)
	}
	return all
}

package edge

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/handover"
	"tokenring/proxy/elder"
	"tokenring/route"
)

// TestAGenerationEndsNothingBeforeItServes: it may fail, and then nothing must have changed.
func TestAGenerationEndsNothingBeforeItServes(t *testing.T) {
	t.Parallel()
	var got atomic.Int32
	g := &Generation{links: newLinks(), log: zerolog.Nop()}
	o := &older{id: 1, certain: make(chan struct{}), conn: answering(t, func(_ context.Context, m handover.Message) (handover.Reply, error) {
		if m.Kind == handover.KindEndKey {
			got.Add(1)
		}
		return handover.Reply{}, nil
	})}
	g.olders[1] = o
	if err := g.order(o, elder.End{Why: "moved"}); err != nil || got.Load() != 0 {
		t.Errorf("before it serves: %d orders were given, %v", got.Load(), err)
	}
	g.beginOrders()
	if got.Load() != 1 {
		t.Errorf("when it serves: %d orders were given, want the one that was kept", got.Load())
	}
	if err := g.order(o, elder.End{Why: "moved"}); err != nil || got.Load() != 2 {
		t.Errorf("then: %d orders were given, %v", got.Load(), err)
	}
}

// TestAnOlderGenerationWithoutALinkMustEnd: it can't be told anything any more, and may
// carry terminals nevertheless. Until the parent says that it has ended, orders aren't done.
func TestAnOlderGenerationWithoutALinkMustEnd(t *testing.T) {
	t.Parallel()
	asked, ended := make(chan handover.Kill, 1), make(chan struct{})
	g := &Generation{links: newLinks(), log: zerolog.Nop(), parent: answering(t, func(_ context.Context, m handover.Message) (handover.Reply, error) {
		var k handover.Kill
		err := m.Decode(&k)
		asked <- k
		<-ended
		return handover.Reply{}, err
	})}
	oneEnd, otherEnd, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.addOlders([]int{7}, []*os.File{oneEnd}); err != nil {
		t.Fatal(err)
	}
	g.beginOrders()
	otherEnd.Close()
	if k := <-asked; k.ID != 7 || k.Patience != exitTime || !strings.Contains(k.Why, "link") {
		t.Errorf("the parent was asked for %+v", k)
	}
	done := make(chan error, 1)
	go func() { done <- g.order(g.olders[7], elder.End{Why: "moved"}) }()
	select {
	case err := <-done:
		t.Errorf("the order was done while the process may live: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(ended)
	if err := <-done; err != nil {
		t.Error(err)
	}
	g.links.close()
}

// TestAnErrorIsNoObedience: what an older generation can't do has it killed, too.
func TestAnErrorIsNoObedience(t *testing.T) {
	t.Parallel()
	asked := make(chan handover.Kill, 1)
	g := &Generation{links: newLinks(), log: zerolog.Nop(), parent: answering(t, func(_ context.Context, m handover.Message) (handover.Reply, error) {
		var k handover.Kill
		err := m.Decode(&k)
		asked <- k
		return handover.Reply{}, err
	})}
	o := &older{id: 3, certain: make(chan struct{}), conn: answering(t, func(context.Context, handover.Message) (handover.Reply, error) {
		return handover.Reply{}, errors.New("a version that doesn't know it")
	})}
	g.beginOrders()
	if err := g.order(o, elder.End{Why: "moved"}); err != nil {
		t.Error(err)
	}
	if k := <-asked; k.ID != 3 || k.Patience != 0 || !strings.Contains(k.Why, "a version that doesn't know it") {
		t.Errorf("the parent was asked for %+v", k)
	}
}

// TestALargeOrderIsGivenInParts, each of which an older generation has time for.
func TestALargeOrderIsGivenInParts(t *testing.T) {
	t.Parallel()
	keys := make([]balancer.Digest, 2*partKeys+1)
	for i := range keys {
		keys[i] = balancer.Digest{byte(i), byte(i >> 8)}
	}
	var got elder.End
	for _, part := range parts(elder.End{Keys: keys, Hosts: []route.Endpoint{{Name: "ide-1"}}, Why: "moved"}) {
		if len(part.Keys) > partKeys || part.Why != "moved" {
			t.Errorf("%d keys, because of %q", len(part.Keys), part.Why)
		}
		got.Keys, got.Hosts = append(got.Keys, part.Keys...), append(got.Hosts, part.Hosts...)
	}
	if !slices.Equal(got.Keys, keys) || len(got.Hosts) != 1 {
		t.Errorf("%d keys and %d hosts are in the parts", len(got.Keys), len(got.Hosts))
	}
}

package edge

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"tokenring/handover"
	"tokenring/proxy"
	"tokenring/proxy/elder"
	"tokenring/route"
	"tokenring/session"
)

// TestAConnectionIsPassedOnce: a process that answers late has the connection nevertheless.
// If it got it again, it would answer its request twice.
func TestAConnectionIsPassedOnce(t *testing.T) {
	t.Parallel()
	got := make(chan struct{}, 2)
	g := &Generation{}
	g.newest.Store(&newer{conn: answering(t, func(ctx context.Context, _ handover.Message) (handover.Reply, error) {
		got <- struct{}{}
		<-ctx.Done()
		return handover.Reply{}, ctx.Err()
	})})
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := g.pass(proxy.Passed{Listener: "front", File: file}); err != nil {
		t.Errorf("it would be passed again, after: %v", err)
	}
	if len(got) != 1 {
		t.Errorf("it was passed %d times", len(got))
	}
}

// TestAnOlderGenerationTellsWhenHostsHaveSentBytes to its terminals: while checks fail, that
// shows that they live.
func TestAnOlderGenerationTellsWhenHostsHaveSentBytes(t *testing.T) {
	t.Parallel()
	gauges := new(route.Gauges)
	snapshot := route.NewSnapshot(nil, []*route.Host{{Spec: route.Spec{Name: "ide-1"}, Gauges: gauges}})
	elders := elder.New(elder.Owner{Sessions: session.New(), Host: func(name string) *route.Host { return snapshot.Host(name) }})
	g, o := &Generation{links: newLinks()}, &older{elder: elders.Add(nil)}
	body, err := json.Marshal(handover.Status{Connections: 7, LastBytes: map[string]time.Duration{"ide-1": 3 * time.Second, "gone": time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := g.setStatus(o, handover.Message{Body: body}); err != nil {
		t.Fatal(err)
	}
	if at := gauges.LastByte.At(); at.Before(before.Add(-3*time.Second)) || at.After(time.Now().Add(-3*time.Second)) {
		t.Errorf("the last byte came at %v, want three seconds before %v", at, before)
	}
	if o.connections != 7 {
		t.Errorf("it has %d connections", o.connections)
	}
}

// answering returns a Conn at whose other end is handle, until the test ends.
func answering(t *testing.T, handle handover.Handler) *handover.Conn {
	t.Helper()
	oneEnd, otherEnd, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	one, err := handover.New(oneEnd)
	other, otherErr := handover.New(otherEnd)
	if err := errors.Join(err, otherErr); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- one.Run(t.Context(), handle) }()
	go func() { ended <- other.Run(t.Context(), handle) }()
	t.Cleanup(func() {
		one.Close()
		other.Close()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	return one
}

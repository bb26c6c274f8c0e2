package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// playing runs a role against a target until the test ends, and returns a
// player that gives it orders.
func playing(t *testing.T, role string, to target) *player {
	t.Helper()
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := roles[role](context.Background(), to, json.NewDecoder(in), json.NewEncoder(out)); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		out.Close()
	})
	t.Cleanup(func() {
		orders.Close()
		wg.Wait()
	})
	return &player{role: role, in: orders, enc: json.NewEncoder(orders), dec: json.NewDecoder(answers)}
}

func TestTerminalsOpenGreetAndChat(t *testing.T) {
	h := serving(t, 1)
	p := playing(t, "terminals", target{Address: h.list()[0].Address})
	for _, o := range []order{{Do: "open", Count: 20}, {Do: "open", Count: 10, Rate: 1000}, {Do: "greet", Rate: 1000}} {
		got, err := p.call(o)
		if want := uint64(max(o.Count, 10)); err != nil || got.Failures != 0 || got.Count < want {
			t.Fatalf("%+v: got %+v, %v", o, got, err)
		}
	}
	if got, err := p.call(order{Do: "chat", Every: 10 * time.Millisecond}); err != nil || got.Count != 30 {
		t.Fatalf("chat: got %+v, %v, want 30 terminals", got, err)
	}
	var echoes outturn
	for deadline := time.Now().Add(20 * time.Second); echoes.Count < 60 && time.Now().Before(deadline); {
		got, err := p.call(order{Do: "take"})
		if err != nil || got.Failures != 0 {
			t.Fatalf("take: got %+v, %v", got, err)
		}
		if got.Count > 0 && (got.P50 <= 0 || got.P99 < got.P50 || got.Max < got.P99) {
			t.Errorf("%d echoes took %v, %v, %v", got.Count, got.P50, got.P99, got.Max)
		}
		echoes.Count += got.Count
	}
	if echoes.Count < 60 {
		t.Errorf("%d echoes, want at least two from each of 30 terminals", echoes.Count)
	}
}

func TestConnectionsStayAfterTheirRequest(t *testing.T) {
	h := serving(t, 1)
	p := playing(t, "terminals", target{Address: h.list()[0].Address})
	if err := p.must(order{Do: "stay", Count: 10, Rate: 1000}); err != nil {
		t.Fatal(err)
	}
	if served, links := h.served.Load(), h.links.Load(); served != 10 || links != 10 {
		t.Errorf("%d requests on %d connections, want 10 on 10", served, links)
	}
}

func TestTerminalsThatCannotOpenAreCounted(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	p := playing(t, "terminals", target{Address: address})
	if got, err := p.call(order{Do: "open", Count: 3}); err != nil || got.Failures != 3 || got.Fault == "" {
		t.Errorf("got %+v, %v, want 3 failures and why", got, err)
	}
	if err := p.must(order{Do: "dance"}); err == nil {
		t.Error("an unknown order is carried out")
	}
}

func TestVisitsAreCounted(t *testing.T) {
	h := serving(t, 1)
	p := playing(t, "visits", target{Address: h.list()[0].Address})
	for deadline := time.Now().Add(20 * time.Second); h.served.Load() < 50 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // a look at a counter that only grows
	}
	got, err := p.finish()
	if err != nil || got.Failures != 0 || got.Count < 50 || got.Count != h.served.Load() || got.Count != h.links.Load() {
		t.Errorf("got %+v, %v; the hosts served %d on %d connections", got, err, h.served.Load(), h.links.Load())
	}
}

func TestDelayedEchoCountsFromWhenItWasDue(t *testing.T) {
	const delay, every = 200 * time.Millisecond, 20 * time.Millisecond
	near, far := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { // echoes, and is late with the first
		buf := make([]byte, len(message))
		for wait := delay; ; wait = 0 {
			if _, err := io.ReadFull(far, buf); err != nil {
				return
			}
			time.Sleep(wait) // the delay that is to be found
			if _, err := far.Write(buf); err != nil {
				return
			}
		}
	})
	crowd := &terminals{all: []*terminal{{near}}}
	ctx, stop := context.WithCancel(context.Background())
	crowd.chat(ctx, every)
	var got []time.Duration
	for deadline := time.Now().Add(20 * time.Second); len(got) < 5 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		crowd.mu.Lock()
		got = crowd.echoes
		crowd.mu.Unlock()
	}
	crowd.close(stop)
	far.Close()
	wg.Wait()
	for i, least := range []time.Duration{delay, delay - 2*every, delay - 3*every, delay - 4*every} {
		if i >= len(got) || got[i] < least {
			t.Fatalf("echoes took %v: number %d is to take at least %v", got, i, least)
		}
	}
}

func TestWrongAnswersAreErrors(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, len(message))
		_, readErr := io.ReadFull(far, buf)
		buf[20]++
		_, writeErr := far.Write(buf)
		if err := errors.Join(readErr, writeErr); err != nil {
			t.Error(err)
		}
	})
	if err := (&terminal{near}).echo(); err == nil {
		t.Error("another message than was sent passes as the echo")
	}
	wg.Wait()
	if err := status([]byte("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "101"); err == nil {
		t.Error("a refusal passes as an open WebSocket")
	}
}

func TestQuantiles(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, row := range []struct {
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.99, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred[:3], 0.5, 2},
	} {
		if got := quantile(row.sorted, row.q); got != row.want {
			t.Errorf("quantile(%d values, %v) = %d, want %d", len(row.sorted), row.q, got, row.want)
		}
	}
}

func TestSwitchingAnswersTheKey(t *testing.T) {
	head := "GET /terminal HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	// The pair is that of RFC 6455 §1.3.
	if got := field(switched([]byte(head)), "sec-websocket-accept"); string(got) != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %q", got)
	}
}

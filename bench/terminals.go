package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// terminals are many terminals in one process, which obey these orders:
//
//	open   opens Count more at a Rate, and says how long it took
//	stay   opens Count plain connections likewise: a request each, and then nothing
//	greet  has each send one message, Rate of them a second
//	chat   has each send a message from now on, spread evenly, and again Every so often
//	take   says what came of the messages since the last one
type terminals struct {
	to  target
	all []*terminal
	wg  sync.WaitGroup // the talking ones

	mu     sync.Mutex // guards what follows
	taken  outturn
	echoes []time.Duration
}

// playTerminals obeys orders until the input ends.
func playTerminals(ctx context.Context, to target, in *json.Decoder, out *json.Encoder) error {
	ctx, stop := context.WithCancel(ctx)
	t := &terminals{to: to}
	defer t.close(stop)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("terminals: %w", err)
		}
		if err := out.Encode(t.obey(ctx, o)); err != nil {
			return err
		}
	}
}

// playWave is playTerminals, but lets the hosts and the clock of those who stay
// go before it: what is looked for is the proxy's delay, not the load's.
func playWave(ctx context.Context, to target, in *json.Decoder, out *json.Encoder) error {
	const behind = 3
	if err := unix.Setpriority(unix.PRIO_PGRP, 0, behind); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	return playTerminals(ctx, to, in, out)
}

func (t *terminals) obey(ctx context.Context, o order) outturn {
	switch o.Do {
	case "open":
		return t.open(ctx, o, t.to.openTerminal)
	case "stay":
		return t.open(ctx, o, func(ctx context.Context) (*terminal, error) {
			c, err := t.to.stay(ctx)
			return &terminal{c}, err
		})
	case "greet":
		return t.greet(ctx, o)
	case "chat":
		t.chat(ctx, o.Every)
		return outturn{Count: uint64(len(t.all))}
	case "take":
		return t.take()
	}
	return outturn{Failures: 1, Fault: "unknown order " + o.Do}
}

func (t *terminals) close(stop func()) {
	stop()
	for _, one := range t.all {
		one.c.Close() // who waits for an echo waits no longer
	}
	t.wg.Wait()
}

func (t *terminals) open(ctx context.Context, o order, open func(context.Context) (*terminal, error)) outturn {
	var mu sync.Mutex
	return paced(ctx, o, func(int) error {
		one, err := open(ctx)
		if err == nil {
			mu.Lock()
			t.all = append(t.all, one)
			mu.Unlock()
		}
		return err
	})
}

func (t *terminals) greet(ctx context.Context, o order) outturn {
	o.Count = len(t.all)
	return paced(ctx, o, func(i int) error { return t.all[i].echo() })
}

// paced does something Count times at a Rate, and waits until all is done. Too
// many that haven't ended hold it up: then the rate is what the proxy can do.
func paced(ctx context.Context, o order, do func(i int) error) outturn {
	const patient = 64
	places := make(chan struct{}, patient)
	if o.Rate == 0 {
		places = make(chan struct{}, o.Count)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total outturn
	began := time.Now()
	for i := range o.Count {
		if o.Rate > 0 && pause(ctx, time.Until(began.Add(time.Duration(i)*time.Second/time.Duration(o.Rate)))) != nil {
			break
		}
		places <- struct{}{}
		wg.Go(func() {
			err := do(i)
			<-places
			mu.Lock()
			total.count(err)
			mu.Unlock()
		})
	}
	wg.Wait()
	total.Took = time.Since(began)
	return total
}

// chat has all terminals talk until ctx ends.
func (t *terminals) chat(ctx context.Context, every time.Duration) {
	began := time.Now()
	for i, one := range t.all {
		due := began.Add(time.Duration(i) * every / time.Duration(len(t.all)))
		t.wg.Go(func() { t.talk(ctx, one, due, every) })
	}
}

// talk sends a message every so often, the first when it is due. An echo that takes
// so long that the next message is late doesn't hide that: the next one's time
// counts from when it was due.
func (t *terminals) talk(ctx context.Context, one *terminal, due time.Time, every time.Duration) {
	for ; ; due = due.Add(every) {
		sent := due
		if wait := time.Until(due); wait > 0 {
			if pause(ctx, wait) != nil {
				return
			}
			sent = time.Now()
		}
		err := one.echo()
		if ctx.Err() != nil {
			return
		}
		t.mu.Lock()
		t.taken.count(err)
		t.echoes = append(t.echoes, time.Since(sent))
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *terminals) take() outturn {
	t.mu.Lock()
	got, echoes := t.taken, t.echoes
	t.taken, t.echoes = outturn{}, nil
	t.mu.Unlock()
	slices.Sort(echoes)
	got.P50, got.P99, got.Max = quantile(echoes, 0.5), quantile(echoes, 0.99), quantile(echoes, 1)
	return got
}

// quantile returns the least of the sorted values that a share q of them
// doesn't exceed; 0 if there are none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	at := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

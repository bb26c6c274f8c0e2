package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
	"tokenring/chaos/region"
	"tokenring/chaos/users"
)

// The phases of a run besides the one in which things break.
const (
	warming = 6 * time.Second  // all users come
	quiet   = 30 * time.Second // after the last fault, until the balancers must agree
)

// A result is all that is known of a run.
type result struct {
	options
	began    time.Duration
	faults   []oracle.Fault
	events   []oracle.Event
	servings []record.Serving
	unequal  error
	claims   claimCount
	leaks    []string          // files that have a token
	keys     map[string]string // the digests of tokens in the balancers' logs, by those of record
}

// chaos makes a run, and reports it. It returns an error if a promise wasn't kept.
func chaos(ctx context.Context, o options) error {
	if err := ownProcesses(); err != nil {
		return err
	}
	if err := os.Setenv("LB_MUTANT", o.mutant); err != nil { // for all lb that are started
		return err
	}
	r := result{options: o, began: record.Now()}
	fmt.Printf("seed %d, %d users, things break for %v; records in %s\n", o.seed, o.users, o.duration, o.dir)
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("the run was broken off: %w; see the logs in %s", err, o.dir)
	}
	found, err := r.report(os.Stdout)
	switch {
	case err != nil && o.mutant == "":
		return err
	case o.mutant != "" && found == 0:
		return fmt.Errorf("the mutant %s lives: no violation was found", o.mutant)
	case o.mutant != "":
		fmt.Printf("the mutant %s is caught\n", o.mutant)
	}
	return os.RemoveAll(o.dir)
}

// run runs the region and its users, and collects what they have seen.
func (r *result) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reg, err := region.Open(ctx, r.dir, r.lb)
	if err != nil {
		return err
	}
	defer reg.Close()
	if err := reg.Start(); err != nil {
		return err
	}
	log := &region.Log{Out: r.say}
	var running sync.WaitGroup
	running.Go(func() { watchStalls(ctx, log) })
	running.Go(func() { r.claims.watch(ctx, reg) })
	everybody := r.users(reg)
	running.Go(func() { everybody.Run(ctx) })
	err = r.phases(ctx, reg, everybody, log)
	cancel()
	running.Wait()
	r.faults, r.events = log.Faults(), everybody.Events()
	if err != nil {
		return err
	}
	if r.servings, err = reg.Served(); err != nil {
		return err
	}
	reg.Close()
	r.leaks, err = filesWith(r.dir, users.TokenPrefix)
	return err
}

func (r *result) users(reg *region.Region) *users.Users {
	var balancers []users.Balancer
	for _, b := range reg.Balancers {
		balancers = append(balancers, users.Balancer{Name: b.Name, Address: b.Address()})
	}
	return users.New(r.options.users, balancers, r.seed)
}

// phases lets the users come, breaks things, and compares the balancers after a quiet time.
func (r *result) phases(ctx context.Context, reg *region.Region, everybody *users.Users, log *region.Log) error {
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	pause(warming)
	err := reg.Break(r.seed, time.Now().Add(r.duration), log)
	if err == nil {
		r.say(record.Now(), "quiet")
		everybody.Calm()
		pause(quiet)
		r.unequal = reg.Unequal()
		r.keys = reg.Keys(everybody.Tokens())
	}
	return errors.Join(err, ctx.Err())
}

// say prints what happens.
func (r *result) say(at time.Duration, text string) {
	fmt.Printf("%7.2f %s\n", (at - r.began).Seconds(), text)
}

// watchStalls notes when this process doesn't get to run: nothing can be said of others then.
func watchStalls(ctx context.Context, log *region.Log) {
	const step, long = 50 * time.Millisecond, 700 * time.Millisecond
	for before := record.Now(); ctx.Err() == nil; {
		time.Sleep(step)
		now := record.Now()
		if late := now - before; late > long {
			log.Begin(oracle.Fault{Kind: oracle.Stall, From: before, Detail: late.String()})()
		}
		before = now
	}
}

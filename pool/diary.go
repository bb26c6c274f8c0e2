package pool

import (
	"context"
	"time"
)

// How often a change of the membership is written down, and how old the file's
// word on who was seen may get while nothing else changes.
const (
	noteEvery = 5 * time.Second
	noteStale = 5 * time.Minute
)

// A diary keeps the membership on disk.
type diary struct {
	p       *Pool
	known   membership // what the file holds
	failing bool       // the last attempt to write it
}

// recall takes in the members of earlier runs, for as long as they would be called
// if there had been no restart, and returns the diary for this run. Without them
// the configured seeds have to do, so that a file which can't be read is no reason
// not to start.
func (p *Pool) recall(pace pace) *diary {
	d := &diary{p: p}
	if p.gossip != nil {
		p.keeper.quiet = pace.quiet
	}
	if p.o.StateDir == "" {
		return d
	}
	m, err := loadMembership(p.o.StateDir)
	if err != nil {
		p.log.Warn().Err(err).Msg("members of earlier runs are forgotten: the configured seeds have to find them")
		return d
	}
	d.known = m
	now := time.Now()
	if p.gossip != nil {
		p.keeper.expect(p.roster.recall(recent(m.Pool, now, pace.remember)))
	}
	if p.peers.gossip != nil {
		p.peers.roster.recall(recent(m.Peers, now, pace.remember))
	}
	return d
}

// run writes the membership down until ctx ends, and then once more. It begins
// when the pool has settled: before, those who haven't come yet would be taken for
// gone.
func (d *diary) run(ctx context.Context) {
	if d.p.o.StateDir == "" || d.p.gossip == nil && d.p.peers.gossip == nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-d.p.settled:
	}
	ticker := time.NewTicker(noteEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.note()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	d.note()
}

// note writes the membership down if it isn't what is on disk.
func (d *diary) note() {
	now := d.p.membership(time.Now())
	if now.same(d.known, noteStale) {
		return
	}
	err := now.save(d.p.o.StateDir)
	if err == nil {
		d.known = now
	} else if !d.failing {
		d.p.log.Warn().Err(err).Msg("members can't be remembered on disk: the next start has to find them by the configured seeds")
	}
	d.failing = err != nil
}

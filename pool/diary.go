package pool

import (
	"context"
	"errors"
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
	rest    leftover   // what else it holds
	off     bool       // it can't be read: it isn't written over
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
	m, rest, err := loadMembership(p.o.StateDir)
	switch {
	case errors.Is(err, errLater):
		p.log.Error().Err(err).Msg("only a part of the members of earlier runs may be known: the configured seeds have to find the others")
	case errors.Is(err, errCorrupt):
		p.log.Error().Err(err).Msg("members of earlier runs are forgotten: the configured seeds have to find them")
	case err != nil:
		p.log.Error().Err(err).Msg("members of earlier runs are forgotten, and those of this run won't be remembered: the configured seeds have to find them")
		d.off = true
		return d
	}
	d.known, d.rest = m, rest
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
	if d.p.o.StateDir == "" || d.off || d.p.gossip == nil && d.p.peers.gossip == nil {
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
	now.keep(d.known)
	if now.same(d.known, noteStale) {
		return
	}
	err := now.save(d.p.o.StateDir, d.rest)
	if err == nil {
		d.known = now
	} else if !d.failing {
		d.p.log.Warn().Err(err).Msg("members can't be remembered on disk: the next start has to find them by the configured seeds")
	}
	d.failing = err != nil
}

package main

import (
	"context"
	"errors"
	"time"

	"tokenring/ctl"
)

// ctlSessionsCmd shows and ends sessions.
type ctlSessionsCmd struct {
	List ctlSessionsListCmd `cmd:"" default:"withargs" help:"List the open terminals: what lb ctl sessions does alone."`
	Find ctlSessionsFindCmd `cmd:"" help:"Say where the terminals of tokens are, and why there."`
	End  ctlSessionsEndCmd  `cmd:"" help:"Close terminals. Their users connect again."`
}

// Help is the text that --help adds.
func (ctlSessionsCmd) Help() string {
	return `A session is the open terminals of one token. Tokens are secrets: a session is known by
the digest of its token, whose first 12 digits the access log and the lists show.`
}

// sessionFlags say which terminals are meant.
type sessionFlags struct {
	Host     string        `placeholder:"NAME" help:"Only those on this host."`
	Balancer string        `placeholder:"NAME" help:"Only those through this balancer."`
	Idle     time.Duration `placeholder:"TIME" help:"Only those over which nothing was sent for so long: 10m, for example. Heartbeats count."`
}

type (
	ctlSessionsListCmd struct {
		sessionFlags
		Limit int `default:"100" help:"How many at most, 1 to 4000: those first that were idle the longest."`
	}

	ctlSessionsFindCmd struct {
		Tokens []string `arg:"" optional:"" placeholder:"TOKEN" help:"Tokens; without any, lb reads them from standard input, one per line."`
	}

	ctlSessionsEndCmd struct {
		Keys []string `arg:"" optional:"" placeholder:"KEY" help:"Keys, by the 12 to 32 digits of their digests; without any, all sessions that the flags say."`
		sessionFlags
		Rate   int    `default:"20" placeholder:"N" help:"How many terminals in a second (default: 20); 0 for all at once."`
		Reason string `help:"Why, for the log."`
		By     string `env:"SUDO_USER,USER" help:"Your name, for the log."`
		Yes    bool   `short:"y" help:"Do it even if flags alone say which."`
	}
)

// Help is the text that --help adds.
func (ctlSessionsFindCmd) Help() string {
	return `Other users of this machine can see arguments; standard input can't be seen.`
}

// Help is the text that --help adds.
func (ctlSessionsEndCmd) Help() string {
	return `With --idle, a session ends only if all of its terminals were idle for so long. If you
interrupt the command, those that are left stay open. For example:

  lb ctl sessions end 3f8a2c9d01b7
  lb ctl sessions end --host ide-2 --idle 8h --rate 5 --yes`
}

func (f sessionFlags) filter(keys ...string) (ctl.SessionFilter, error) {
	filter := ctl.SessionFilter{Host: f.Host, Balancer: f.Balancer, Idle: f.Idle, Keys: keys}
	if err := filter.Check(); err != nil {
		return filter, usageError{err}
	}
	return filter, nil
}

// Run lists terminals.
func (l *ctlSessionsListCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	filter, err := l.filter()
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Sessions(ctx, filter, l.Limit, c.output(s))
}

// Run finds the terminals of tokens.
func (f *ctlSessionsFindCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return eachToken(f.Tokens, s.in, func(token string) error { return client.FindSession(ctx, token, c.output(s)) })
}

// Run ends sessions.
func (e *ctlSessionsEndCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	filter, err := e.filter(e.Keys...)
	switch {
	case err != nil:
		return err
	case e.Host == "" && len(e.Keys) == 0:
		return usageError{errors.New("say which sessions end: give their keys, or --host")}
	case e.Rate < 0:
		return usageError{errors.New("--rate: less than 0 in a second")}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.EndSessions(ctx, ctl.SessionEnd{SessionFilter: filter, Rate: e.Rate, Reason: e.Reason, By: e.By, Confirmed: e.Yes}, c.output(s))
}

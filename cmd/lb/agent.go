package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/config"
	"tokenring/demo"
	"tokenring/pool"
	"tokenring/statefile"
)

type agentCmd struct {
	Name       string   `required:"" env:"LB_AGENT_NAME" help:"The host's name: its identity, for as long as it lives."`
	ID         uint32   `env:"LB_AGENT_ID" help:"The host's number, for the haproxy policy."`
	Address    string   `required:"" env:"LB_AGENT_ADDRESS" placeholder:"IP:PORT" help:"Where the balancers reach this host's IDE."`
	Weight     int      `default:"1" env:"LB_AGENT_WEIGHT" help:"Its share of the users, relative to other hosts; 0 for none."`
	WeightFile string   `env:"LB_AGENT_WEIGHT_FILE" placeholder:"FILE" help:"Holds the weight, and may change: it is looked at every two seconds."`
	Zone       string   `env:"LB_AGENT_ZONE" help:"Where it stands, for the operators."`
	Bind       string   `default:":7946" env:"LB_AGENT_BIND" placeholder:"IP:PORT" help:"Where gossip listens, TCP and UDP."`
	Advertise  string   `env:"LB_AGENT_ADVERTISE" placeholder:"IP:PORT" help:"Where others reach its gossip, if not at --bind."`
	Join       []string `required:"" env:"LB_AGENT_JOIN" placeholder:"HOST:PORT" help:"Members of the pool; one that answers is enough."`
	SecretFile string   `required:"" env:"LB_AGENT_SECRET_FILE" placeholder:"FILE" help:"The pool's key: 32 bytes, raw, hex or base64."`
	Label      string   `env:"LB_AGENT_LABEL" help:"The pool's label, if the balancers have one configured."`
	Demo       bool     `help:"Serve a demo IDE at --address as well. It runs no shell, only a few built-in commands."`
	LogLevel   string   `default:"info" enum:"debug,info,warn,error" help:"What is logged: debug, info, warn or error."`
}

// Help is the text that --help adds.
func (agentCmd) Help() string {
	return `Runs on an IDE host. It joins the pool, announces the host, and joins again
whenever it has lost the others. The host gets users once a balancer has checked
it. On SIGTERM it says that it is leaving, so that its users are sent elsewhere
before it is gone; killed without that, its host stays for as long as it passes
its checks.

A host's weight can change while it serves: write the new one into --weight-file.
Users move only as far as the change makes it necessary. While the file can't be
read, or holds something else than a number from 0 to 256, the weight before
stays, which at the start is --weight. Operators can override it at a balancer.`
}

// Run announces the host until ctx ends.
func (a *agentCmd) Run(ctx context.Context, s *streams) error {
	if err := a.check(); err != nil {
		return usageError{fmt.Errorf("lb agent: %w", err)}
	}
	log := newLogger(config.LogConfig{Level: a.LogLevel}, s.err)
	ctx, done := untilTold(ctx, log)
	defer done()
	log.Info().Str("version", version()).Str("name", a.Name).Str("address", a.Address).Strs("join", a.Join).Msg("starting")
	if mode, exposed := statefile.Exposed(a.SecretFile); exposed {
		log.Warn().Str("file", a.SecretFile).Stringer("mode", mode).Msg("everybody on this machine may use the pool's secret; remove the right of others with chmod o-rwx")
	}
	cfg := pool.AgentConfig{
		Name: a.Name, ID: a.ID, Address: a.Address, Weight: &a.Weight, Zone: a.Zone, Version: version(),
		Bind: a.Bind, Advertise: a.Advertise, Join: a.Join, SecretFile: a.SecretFile, Label: a.Label,
	}
	defer context.AfterFunc(ctx, func() { log.Info().Msg("stopping; a second signal ends it at once") })()
	var err error
	if a.Demo {
		err = a.runWithDemo(ctx, cfg, demo.HostConfig{Name: a.Name, Logger: log})
	} else {
		err = a.announce(ctx, cfg, log)
	}
	if err == nil {
		log.Info().Msg("stopped")
	}
	return err
}

// announce runs the agent, with the weight from the file if there is one.
func (a *agentCmd) announce(ctx context.Context, cfg pool.AgentConfig, log zerolog.Logger) error {
	if a.WeightFile == "" {
		return pool.RunAgent(ctx, cfg, log)
	}
	file := weightFile{path: a.WeightFile, weight: *cfg.Weight, log: log}
	file.look()
	weights := make(chan int)
	cfg.Weight, cfg.Weights = new(file.weight), weights
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { file.watch(ctx, weights) })
	defer watching.Wait()
	defer cancel()
	return pool.RunAgent(ctx, cfg, log)
}

// runWithDemo serves the demo host for as long as the agent runs: the agent
// leaves first, because a host says goodbye before it goes.
func (a *agentCmd) runWithDemo(ctx context.Context, cfg pool.AgentConfig, host demo.HostConfig) error {
	ln, err := net.Listen("tcp", a.Address)
	if err != nil {
		return fmt.Errorf("demo host: %w", err)
	}
	g, group := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(group)
	g.Go(func() error { return demo.NewHost(host).Serve(serving, ln) })
	g.Go(func() error {
		defer stop()
		ctx, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(group, cancel)()
		return a.announce(ctx, cfg, host.Logger)
	})
	return g.Wait()
}

// check looks at what a flag's type doesn't say.
func (a *agentCmd) check() error {
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil || net.ParseIP(host) == nil {
		return fmt.Errorf("--address %s: want IP:PORT, such as 10.0.0.11:4000", a.Address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("--address %s: the port must be from 1 to 65535", a.Address)
	}
	if a.Weight < 0 || a.Weight > 256 {
		return errors.New("--weight must be from 0 to 256")
	}
	if err := pool.CheckName(a.Name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	if _, err := pool.ReadSecret(a.SecretFile); err != nil {
		return fmt.Errorf("--secret-file: %w > %s", err, a.SecretFile)
	}
	return nil
}

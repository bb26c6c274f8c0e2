package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/demo"
	"tokenring/edge"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/statefile"
	"tokenring/systemd"
	"tokenring/weightfile"
)

type agentCmd struct {
	Name       string        `required:"" env:"LB_AGENT_NAME" help:"The host's name. It identifies the host and must not change."`
	Pool       string        `env:"LB_AGENT_POOL" placeholder:"POOL" help:"The pool of the balancers that the host belongs to; default: the main one."`
	ID         uint32        `env:"LB_AGENT_ID" help:"The host's number, for the haproxy policy."`
	Address    string        `required:"" env:"LB_AGENT_ADDRESS" placeholder:"IP:PORT" help:"Where the balancers reach this host's IDE."`
	Weight     int           `default:"1" env:"LB_AGENT_WEIGHT" help:"Its weight: how many users it gets, relative to other hosts; 0 for none."`
	WeightFile string        `env:"LB_AGENT_WEIGHT_FILE" placeholder:"FILE" help:"The file with the weight, which may change: it is read again every two seconds."`
	Zone       string        `env:"LB_AGENT_ZONE" help:"Its location, for operators."`
	Bind       string        `default:":7946" env:"LB_AGENT_BIND" placeholder:"IP:PORT" help:"Where the gossip listens, TCP and UDP."`
	Advertise  string        `env:"LB_AGENT_ADVERTISE" placeholder:"IP:PORT" help:"Where other members reach its gossip, if not at --bind."`
	Join       []string      `required:"" env:"LB_AGENT_JOIN" placeholder:"HOST:PORT" help:"Members of the pool; one that answers is enough."`
	SecretFile string        `required:"" env:"LB_AGENT_SECRET_FILE" placeholder:"FILE" help:"The pool's key: 32 bytes, raw, hex or base64; two lines while it changes. It is read again when it changes."`
	StateDir   string        `env:"LB_AGENT_STATE_DIR,STATE_DIRECTORY" placeholder:"DIR" help:"Where the host's key is kept, for this host alone; default: lb/agent/NAME in XDG_STATE_HOME, or ~/.local/state."`
	Label      string        `env:"LB_AGENT_LABEL" help:"The pool's label, if one is configured on the balancers."`
	Drain      time.Duration `env:"LB_AGENT_DRAIN" placeholder:"TIME" help:"At SIGTERM, announce that the host drains, and leave after this time, such as 30m; default: leave at once."`
	Demo       bool          `help:"Serve a demo IDE at --address as well. It runs no shell, only a few built-in commands."`
	Gating     gateFlags     `embed:""`
	LogLevel   string        `default:"info" enum:"debug,info,warn,error" help:"What is logged: debug, info, warn or error."`
}

// Help is the text that --help adds.
func (agentCmd) Help() string {
	return `Runs on an IDE host. It joins the pool and announces the host. If it loses the
other members, it joins again. The host gets users when a balancer has checked it.
On SIGTERM the agent announces that the host is leaving, so that its users are sent
to other hosts before it is gone. If the agent is killed, the host stays in the ring
as long as it passes its checks.

On SIGUSR1 the agent announces that the host drains: it gets no new sessions, and its
live ones stay. With --drain, SIGTERM announces a drain with a deadline, and the agent
leaves at the deadline, not before: it doesn't know how many sessions are left. A
second SIGTERM lets it leave at once. What an operator sets with lb ctl beats this; lb
ctl ready ends the drain.

A host's weight can change while it serves: write the new weight into --weight-file.
Only the users move that have to move. If the file can't be read, or doesn't have a
number from 0 to 256, the weight stays as it was; at the start that is --weight.
Operators can override the weight on a balancer.

The agent signs what it announces with a key, which it makes at its first start and
keeps in --state-dir. Balancers know the host by this key: without the file it is
another host to them, and they refuse it until an operator says lb ctl rekey.

With --gate, the agent stands before the host's IDE: it passes connections on to --to as
long as most of the balancers reach the host, and otherwise closes them all and refuses
new ones, so that other hosts may serve its users (sessions.strict in lb.yaml). The IDE
listens on loopback then. When the agent ends, so do all terminals.`
}

// Run announces the host until ctx ends.
func (a *agentCmd) Run(ctx context.Context, s *streams) error {
	if err := a.check(); err != nil {
		return usageError{fmt.Errorf("lb agent: %w", err)}
	}
	log := edge.NewLogger(config.LogConfig{Level: a.LogLevel}, s.err)
	service := &agentService{notifier: systemd.FromEnvironment(log)}
	drain, ignore := newHostDrain(a.Drain, service, log)
	defer ignore()
	ctx, done := untilStoppedAfter(ctx, log, drain.beforeStop)
	defer done()
	log.Info().Str("version", version()).Str("name", a.Name).Str("address", a.Address).Strs("join", a.Join).Msg("starting")
	if mode, exposed := statefile.Exposed(a.SecretFile); exposed {
		log.Warn().Str("file", a.SecretFile).Stringer("mode", mode).Msg("all users of this machine may use the pool's secret; remove the permissions of others with chmod o-rwx")
	}
	cfg := gossip.AgentConfig{
		Config:  gossip.Config{Advertise: a.Advertise, Join: a.Join, SecretFile: a.SecretFile, Label: a.Label},
		Spec:    route.Spec{Name: route.InPool(a.Pool, a.Name), ID: a.ID, Address: a.Address, Weight: a.Weight, Zone: a.Zone},
		Version: version(),
	}
	var err error
	if cfg.Identity, err = a.identity(log); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	cfg.Status, cfg.Drains = service.tell, drain.announced
	defer context.AfterFunc(ctx, func() {
		log.Info().Msg("stopping; another signal ends it at once")
		service.notifier.Stopping(leaveTime, "tells the balancers that the host leaves")
	})()
	background := func(ctx context.Context) { service.run(ctx, drain) }
	err = beside(ctx, background, func(ctx context.Context) error {
		return a.gated(ctx, service, log, func(ctx context.Context) error {
			if a.Demo {
				return a.announceDemo(ctx, cfg, log)
			}
			return a.announce(ctx, cfg, log)
		})
	})
	if err == nil {
		log.Info().Msg("stopped")
	}
	return err
}

// identity returns the host's key, which it makes at the first start. It is nil if the
// default directory can't be used: with a key that is lost at the next start, the balancers
// would refuse the host then.
func (a *agentCmd) identity(log zerolog.Logger) (*announcement.Identity, error) {
	dir, err := a.StateDir, error(nil)
	if dir == "" {
		dir, err = defaultAgentDir(filepath.Join(a.Pool, a.Name))
	}
	var identity *announcement.Identity
	if err == nil {
		identity, err = announcement.OpenIdentity(dir)
	}
	switch {
	case err != nil && a.StateDir != "":
		return nil, err
	case err != nil:
		log.Warn().Err(err).Msg("the host has no key, and what it announces isn't signed: whoever has the pool's secret can announce in its name; set --state-dir to a directory that stays")
		return nil, nil
	}
	log.Info().Str("key", identity.Key().String()).Str("fingerprint", identity.Key().Fingerprint()).Str("file", filepath.Join(dir, announcement.KeyName)).
		Msg("the host's key: keep the file, because balancers refuse another key of this name until an operator says lb ctl rekey")
	return identity, nil
}

// defaultAgentDir returns where the key of a host is if no flag says so.
func defaultAgentDir(name string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as its specification wants it
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "lb", "agent", name), nil
}

// announce runs the agent. If there is a weight file, it has the weight.
func (a *agentCmd) announce(ctx context.Context, cfg gossip.AgentConfig, log zerolog.Logger) error {
	sockets, err := gossip.Listen(a.Bind)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	if a.WeightFile == "" {
		return gossip.RunAgent(ctx, cfg, sockets, log)
	}
	file := weightfile.File{Path: a.WeightFile, Weight: a.Weight, Log: log}
	return file.While(ctx, func(weight int, weights <-chan int) error {
		cfg.Weight, cfg.Weights = weight, weights
		return gossip.RunAgent(ctx, cfg, sockets, log)
	})
}

// announceDemo runs a demo host at the agent's address, or behind its gate, and the agent.
func (a *agentCmd) announceDemo(ctx context.Context, cfg gossip.AgentConfig, log zerolog.Logger) error {
	ln, err := net.Listen("tcp", cmp.Or(a.Gating.To, a.Address))
	if err != nil {
		return fmt.Errorf("demo host: %w", err)
	}
	host := demo.NewHost(demo.HostConfig{Name: a.Name, Logger: log})
	return host.ServeWhile(ctx, ln, func(ctx context.Context) error { return a.announce(ctx, cfg, log) })
}

// check checks what the types of the flags don't.
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
	if a.Drain < 0 || a.Drain > route.MaxDrain {
		return fmt.Errorf("--drain must be from 0 to %v", route.MaxDrain)
	}
	if err := a.checkNames(); err != nil {
		return err
	}
	if err := a.Gating.check(); err != nil {
		return err
	}
	if _, err := gossip.ReadSecrets(a.SecretFile); err != nil {
		return fmt.Errorf("--secret-file: %w > %s", err, a.SecretFile)
	}
	return nil
}

// checkNames checks the names of the host and of its pool.
func (a *agentCmd) checkNames() error {
	if err := route.CheckName(a.Name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	if a.Pool == "" {
		return nil
	}
	if err := route.CheckPoolName(a.Pool); err != nil {
		return fmt.Errorf("--pool: %w", err)
	}
	if err := route.CheckHostName(route.InPool(a.Pool, a.Name)); err != nil {
		return fmt.Errorf("--name with --pool: %w", err)
	}
	return nil
}

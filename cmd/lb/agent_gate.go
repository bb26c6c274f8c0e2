package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/filewatch"
	"tokenring/gate"
	"tokenring/lease"
	"tokenring/route"
)

// gateFlags are the flags of the gate before the host's service.
type gateFlags struct {
	Gate          string        `env:"LB_AGENT_GATE" placeholder:"IP:PORT" help:"With sessions.strict on the balancers: where the gate before this host's IDE listens, for --address."`
	To            string        `env:"LB_AGENT_TO" placeholder:"IP:PORT" help:"Where the IDE listens that the gate passes connections to, on loopback."`
	Balancer      []string      `env:"LB_AGENT_BALANCER" placeholder:"NAME=KEY" help:"A balancer that opens the gate, with its key: what lb fingerprint prints there. Give all of them."`
	BalancersFile string        `env:"LB_AGENT_BALANCERS_FILE" placeholder:"FILE" help:"The file with such a NAME=KEY in each line. It is read again when it changes."`
	Lease         time.Duration `env:"LB_AGENT_LEASE" placeholder:"TIME" help:"How long the gate is open at most without a check of most balancers; default: as long as they say."`
	GateField     string        `default:"X-Lb-Second-Chance" env:"LB_AGENT_GATE_FIELD" placeholder:"NAME" help:"The field that marks the refusals of the gate: sessions.second_chance.header of the balancers."`
}

// check checks what the types of the flags don't.
func (f *gateFlags) check() error {
	switch {
	case f.Gate == "" && (f.To != "" || len(f.Balancer) > 0 || f.BalancersFile != "" || f.Lease != 0):
		return errors.New("--to, --balancer, --balancers-file and --lease are for --gate, which isn't there")
	case f.Gate == "":
		return nil
	case f.To == "":
		return errors.New("--gate needs --to: where the IDE listens, such as 127.0.0.1:4001")
	case len(f.Balancer) > 0 == (f.BalancersFile != ""):
		return errors.New("--gate needs either --balancer NAME=KEY for each balancer, or --balancers-file")
	case f.Lease < 0:
		return errors.New("--lease must be a time, such as 10s")
	case f.GateField == "" || strings.Trim(strings.ToLower(f.GateField), "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("--gate-field %q: want the name of a field, such as X-Lb-Second-Chance", f.GateField)
	}
	for flag, address := range map[string]string{"--gate": f.Gate, "--to": f.To} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s %s: want IP:PORT", flag, address)
		}
	}
	_, err := f.balancers()
	return err
}

// balancers returns the balancers that open the gate: their names by their keys.
func (f *gateFlags) balancers() (map[lease.Fingerprint]string, error) {
	if f.BalancersFile == "" {
		all, err := lease.ParseBalancers(f.Balancer)
		if err != nil {
			return nil, fmt.Errorf("--balancer: %w", err)
		}
		return all, nil
	}
	text, err := os.ReadFile(f.BalancersFile)
	if err != nil {
		return nil, fmt.Errorf("--balancers-file: %w", err)
	}
	all, err := lease.ParseBalancers(strings.Split(string(text), "\n"))
	if err != nil {
		return nil, fmt.Errorf("--balancers-file %s: %w", f.BalancersFile, err)
	}
	return all, nil
}

// gated calls run and returns what it returns. Until then the gate before the host is open, as
// long as balancers give leases; if there is to be one.
func (a *agentCmd) gated(ctx context.Context, service *agentService, log zerolog.Logger, run func(context.Context) error) error {
	f := &a.Gating
	if f.Gate == "" {
		return run(ctx)
	}
	var files []string
	if f.BalancersFile != "" {
		files = []string{f.BalancersFile}
	}
	watch, balancers, err := filewatch.Open(f.balancers, files...)
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	ln, err := net.Listen("tcp", f.Gate)
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	g := gate.New(gate.Config{
		Host: route.InPool(a.Pool, a.Name), To: f.To, Longest: f.Lease, Marker: f.GateField, Balancers: balancers, OnChange: service.tellGate,
	}, log)
	service.tellGate(g.Status())
	log.Info().Stringer("address", ln.Addr()).Str("to", f.To).Int("balancers", len(balancers)).Msg("the gate before this host listens, and is closed until a majority of the balancers reaches the host")
	return beside(ctx, func(ctx context.Context) {
		var watching sync.WaitGroup
		defer watching.Wait()
		watching.Go(func() { watch.Follow(ctx, func(c filewatch.Change[map[lease.Fingerprint]string]) { use(g, c, log) }) })
		if err := g.Serve(ctx, ln); err != nil {
			log.Error().Err(err).Msg("the gate can't accept connections any more: start the agent again")
		}
	}, run)
}

// use has the gate know the balancers that a changed file has.
func use(g *gate.Gate, c filewatch.Change[map[lease.Fingerprint]string], log zerolog.Logger) {
	if c.Err != nil {
		log.Error().Err(c.Err).Msg("the changed file of the balancers isn't used, and those before stay")
		return
	}
	log.Info().Int("balancers", len(c.Value)).Msg("the file of the balancers has changed")
	g.SetBalancers(c.Value)
}

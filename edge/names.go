package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/admin"
	"tokenring/config"
	"tokenring/filewatch"
	"tokenring/gslb"
	"tokenring/steer"
	"tokenring/tlsterm"
)

// Names is a server of names: a gslb.Node and its admin endpoint.
type Names struct {
	cfg              *config.Config
	log              zerolog.Logger
	node             *gslb.Node
	admin            *admin.Server
	tls              *tlsterm.Source // of the admin endpoint; nil for none
	token, readToken *filewatch.Watch[string]
	listeners        []net.Listener // of the admin endpoint, and of its metrics
}

// NewNames opens the sockets of a configuration that has the section gslb. The caller calls Run.
func NewNames(ctx context.Context, cfg *config.Config, version string, log zerolog.Logger) (*Names, error) {
	n := &Names{cfg: cfg, log: log}
	var err error
	if n.node, err = gslb.NewNode(ctx, cfg.GSLB, gslb.Options{Name: cfg.Name, StateDir: cfg.StateDir, Logger: log.With().Str("part", "gslb").Logger()}); err != nil {
		return nil, err
	}
	if err = n.openAdmin(ctx, version); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *Names) close() {
	n.node.Server().Close()
	for _, ln := range n.listeners {
		ln.Close()
	}
}

// openAdmin opens the admin endpoint.
func (n *Names) openAdmin(ctx context.Context, version string) (err error) {
	var token, readToken string
	if n.token, token, err = openAdminToken(n.cfg, n.log); err != nil {
		return err
	}
	if n.readToken, readToken, err = openReadToken(n.cfg); err != nil {
		return err
	}
	if n.tls, err = openAdminTLS(n.cfg, n.log); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.node.Collector(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(version))
	n.admin, err = admin.New(admin.Deps{
		Zone:     &admin.Zone{Status: n.status, Explain: n.explain},
		Metrics:  registry,
		Identity: admin.Identity{Token: token, ReadToken: readToken, Name: n.cfg.Name, Version: version, Address: n.cfg.Admin.Address},
		Trust:    admin.Trust{TLS: n.tls},
		Ready:    n.ready,
		Logger:   n.log.With().Str("part", "admin").Logger(),
	})
	if err != nil {
		return err
	}
	registry.MustRegister(n.admin.Collectors()...)
	for _, address := range []string{n.cfg.Admin.Address, n.cfg.Admin.MetricsAddress} {
		if address == "" {
			continue
		}
		var plain net.ListenConfig
		ln, err := plain.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen at %s: %w", address, err)
		}
		n.listeners = append(n.listeners, ln)
	}
	return nil
}

// Run answers queries and operators until ctx ends. It returns when all that it has started has
// ended.
func (n *Names) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.node.Run(ctx) })
	group.Go(func() error { return n.admin.Serve(ctx, n.listeners[0]) })
	if len(n.listeners) > 1 {
		group.Go(func() error { return n.admin.ServeMetrics(ctx, n.listeners[1]) })
	}
	if n.tls != nil {
		group.Go(func() error { return n.tls.Run(ctx) })
	}
	group.Go(func() error { followToken(ctx, n.log, tokenFile, n.token, n.admin.SetToken); return nil })
	group.Go(func() error { followToken(ctx, n.log, readTokenFile, n.readToken, n.admin.SetReadToken); return nil })
	for _, at := range n.node.Server().Addrs() {
		n.log.Info().Stringer("address", at).Str("zone", n.cfg.GSLB.Zone.Name).Msg("answers queries once the regions have been probed")
	}
	n.log.Info().Stringer("address", n.listeners[0].Addr()).Msg("admin endpoint listening")
	return group.Wait()
}

// ready says why no queries are answered yet.
func (n *Names) ready() error {
	if n.node.Table() == nil {
		return errNotProbed
	}
	return nil
}

var errNotProbed = errors.New("the regions are being probed for the first time")

// status returns the state of the zone.
func (n *Names) status() admin.ZoneStatus {
	plan, t := n.node.Plan(), n.node.Table()
	status := admin.ZoneStatus{Name: n.cfg.Name, Zone: plan.Zone.String(), Services: []admin.ZoneService{}, Regions: []admin.RegionStatus{}}
	for _, s := range plan.Services {
		status.Services = append(status.Services, admin.ZoneService{Name: s.Name.String(), Regions: namesOf(plan, s.Regions)})
	}
	for i := range plan.Regions {
		r := &plan.Regions[i]
		region := admin.RegionStatus{Name: r.Name, Mode: string(steer.ModeOf(r.Mode, "")), Addresses: []admin.AddressStatus{}}
		if t != nil {
			region.Serves, region.Changing = steer.Serves(r, &t.State()[i]), t.State()[i].Changing
		}
		for j, check := range n.node.Checks(r) {
			a := r.Addresses[j]
			address := admin.AddressStatus{Address: a.Addr.String(), Mode: string(steer.ModeOf(a.Mode, "")), Up: check.Up, Error: check.Error}
			if !check.Since.IsZero() {
				address.Since = &check.Since
			}
			region.Addresses = append(region.Addresses, address)
		}
		status.Regions = append(status.Regions, region)
	}
	if t != nil {
		status.Serial = t.Serial()
	}
	return status
}

// explain says what a name leads an address to.
func (n *Names) explain(text string, from netip.Addr) (admin.ZoneExplanation, bool) {
	plan, t := n.node.Plan(), n.node.Table()
	name, ok := plan.NameOf(text)
	if t == nil || !ok {
		return admin.ZoneExplanation{}, false
	}
	x, ok := t.Explain(name, from)
	if !ok {
		return admin.ZoneExplanation{}, false
	}
	out := admin.ZoneExplanation{
		Name: name.String(), Network: x.Network.String(), Region: plan.Regions[x.Outcome.Region].Name, Reason: string(x.Outcome.Reason),
		For: plan.Regions[x.Outcome.For].Name, Prefers: namesOf(plan, plan.Orders[x.Class]), TTL: int(x.Outcome.TTL / time.Second), Addresses: []string{},
	}
	for _, a := range x.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out, true
}

// namesOf returns the names of regions.
func namesOf(plan *gslb.Plan, regions []int) []string {
	names := []string{}
	for _, i := range regions {
		names = append(names, plan.Regions[i].Name)
	}
	return names
}

package edge

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/config"
	"tokenring/filewatch"
	"tokenring/netaddr"
	"tokenring/pool"
	"tokenring/proxy"
	"tokenring/proxy/metrics"
	"tokenring/proxy/pools"
	"tokenring/proxy/quota"
	"tokenring/tlsterm"
)

// certificates are the sources of a balancer's certificates.
type certificates struct {
	clients *tlsterm.Source            // of the listeners without own_tls; nil if none has TLS
	own     map[string]*tlsterm.Source // of the others, by their addresses in the configuration
	admin   *tlsterm.Source            // nil if the admin endpoint has no TLS
}

// buildCertificates loads the certificates, or prepares to get them by ACME.
func (e *Edge) buildCertificates() error {
	log := e.part("tls")
	var err error
	if e.cfg.TLS.HasCertificates() {
		if e.certificates.clients, err = tlsterm.New(e.cfg.TLS, log); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	e.certificates.own = map[string]*tlsterm.Source{}
	for _, l := range e.cfg.Listen {
		if l.OwnTLS == nil {
			continue
		}
		if e.certificates.own[l.Address], err = tlsterm.New(tlsterm.Config{Terms: *l.OwnTLS}, log); err != nil {
			return fmt.Errorf("listen %s: own_tls: %w", l.Address, err)
		}
	}
	e.certificates.restore(e.opt.Handed)
	e.certificates.admin, err = openAdminTLS(e.cfg, log)
	return err
}

// openAdminTLS returns the certificate of the admin endpoint; nil for none.
func openAdminTLS(cfg *config.Config, log zerolog.Logger) (*tlsterm.Source, error) {
	pair := cfg.Admin.TLS
	if pair == nil {
		return nil, nil
	}
	source, err := tlsterm.New(tlsterm.Config{Terms: tlsterm.Terms{Certificates: []tlsterm.Pair{*pair}}}, log)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return source, nil
}

// of returns the source for a listener with TLS.
func (c *certificates) of(l proxy.ListenConfig) *tlsterm.Source {
	if l.OwnTLS != nil {
		return c.own[l.Address]
	}
	return c.clients
}

// ticketKeys returns the keys of session tickets, for another process.
func (c *certificates) ticketKeys() (shared []tlsterm.TicketKey, own map[string][]tlsterm.TicketKey) {
	if c.clients != nil {
		shared = c.clients.TicketKeys()
	}
	own = map[string][]tlsterm.TicketKey{}
	for address, source := range c.own {
		own[address] = source.TicketKeys()
	}
	return shared, own
}

// restore has session tickets of another process be valid here. It does nothing on nil.
func (c *certificates) restore(h *Handed) {
	if h == nil {
		return
	}
	if c.clients != nil {
		c.clients.RestoreTicketKeys(h.Tickets)
	}
	for address, source := range c.own {
		source.RestoreTicketKeys(h.OwnTickets[address])
	}
}

// expiries returns when the certificates expire: those for clients, and the certificate
// of the admin endpoint.
func (c *certificates) expiries() (all []tlsterm.Expiry) {
	sources := []*tlsterm.Source{c.clients}
	for _, address := range slices.Sorted(maps.Keys(c.own)) {
		sources = append(sources, c.own[address])
	}
	for _, source := range append(sources, c.admin) {
		if source == nil {
			continue
		}
		for _, one := range source.Expiries() {
			same := func(e tlsterm.Expiry) bool {
				return e.File == one.File && e.Problem == one.Problem && e.NotAfter.Equal(one.NotAfter)
			}
			if !slices.ContainsFunc(all, same) { // listeners may have files in common
				all = append(all, one)
			}
		}
	}
	return all
}

// keyOfDigests returns the key of the digests of tokens: that of the process before, if there
// is one. It has terminals by their digests, and a token with two digests could be on two
// hosts.
func (e *Edge) keyOfDigests() ([]byte, error) {
	if e.opt.Handed != nil && len(e.opt.Handed.DigestKey) > 0 {
		return e.opt.Handed.DigestKey, nil
	}
	return digestKey(e.cfg)
}

// buildProxy builds the proxy, its access log, and the monitor that checks hosts.
func (e *Edge) buildProxy() error {
	var err error
	if e.digestKey, err = e.keyOfDigests(); err != nil {
		return err
	}
	e.digester = balancer.NewDigester(e.digestKey)
	trusted, err := netaddr.ParseNetworks(e.cfg.TrustedNetworks)
	if err != nil {
		return fmt.Errorf("trusted_networks: %w", err)
	}
	e.affinity = map[string]*filewatch.Watch[[][]byte]{}
	secrets, err := e.affinitySecrets("")
	if err != nil {
		return err
	}
	others, err := e.poolsOfProxy()
	if err != nil {
		return err
	}
	if e.access, err = openAccess(e.cfg); err != nil {
		return err
	}
	if e.users, err = openUsers(e.cfg); err != nil {
		return err
	}
	if e.quotas, err = quota.New(e.cfg.Limits.PerSource, e.cfg.Limits.PerKey); err != nil {
		return err
	}
	access, flush := newAccessLog(e.cfg.Log, e.opt.AccessLog, e.metrics)
	e.flush = flush
	hostTLS, err := e.hostTLS("")
	if err != nil {
		return err
	}
	if err := e.buildMonitors(hostTLS); err != nil {
		return err
	}
	e.proxy = proxy.New(
		proxy.Config{
			Timeouts: e.cfg.Timeouts, Limits: e.cfg.Limits, Quotas: e.quotas, Key: e.cfg.Hash.Key, TrustedNetworks: trusted,
			Affinity: e.cfg.Affinity, AffinitySecrets: secrets, SecondChance: e.secondChance(),
			Fields: e.cfg.Fields, HostFields: e.cfg.Pool.Fields,
			Pools: others, Routes: e.users.into(e.access.routes(e.cfg.Routes)), Unmatched: e.cfg.UnmatchedStatus(),
			HostTLS: hostTLS, Upgrades: pools.NewUpgrades(e.cfg.Pool.Upgrades), SendProxy: e.cfg.Pool.SendProxy != "", Queue: e.cfg.Pool.Queue,
			Pages:         e.cfg.Pages,
			Linger:        time.Duration(e.cfg.Sessions.Linger),
			ShutdownGrace: e.cfg.Shutdown.Grace, DownGrace: e.cfg.Health.Detection(),
		},
		proxy.Options{
			Logger:        e.part("proxy"),
			Access:        access.json,
			AccessHAProxy: access.haproxy,
			AccessFields:  e.cfg.Log.Fields,
			Metrics:       metrics.New(e.metrics),
			Suspect:       e.suspect,
			Digest:        e.digester,
			Name:          e.cfg.Name,
			Peers:         e.claimPeers(),

			Maintenance: e.maintenance,
		})
	if e.opt.Handed != nil {
		e.inherit(e.opt.Handed)
	}
	return nil
}

// buildPool builds the pool.
func (e *Edge) buildPool() error {
	var err error
	e.pool, err = pool.New(e.cfg.Pool, e.cfg.Peers.Config, e.poolOptions(e.cfg))
	return err
}

// poolOptions returns the options of the main pool. cfg is the configuration as it is for a pool.
func (e *Edge) poolOptions(cfg *config.Config) pool.Options {
	return pool.Options{
		Pool:     pool.Membership{Others: e.poolNames()},
		Name:     e.cfg.Name,
		Version:  e.opt.Version,
		StateDir: e.cfg.StateDir,
		Hash:     cfg.Hash,
		Logger:   e.part("pool"),
		Own:      e.sockets.addresses(),
		Sockets: pool.Sockets{
			Gossip: e.sockets.Pool,
			Peers:  e.sockets.Peers,
			Stream: e.announced,
		},
		LossWindow: lossWindow(cfg),
		Damping:    time.Duration(cfg.Health.Damping),
		Expect:     e.cfg.Peers.Expect,
		FenceWait:  e.cfg.FenceWait(),

		AgreeWithin: time.Duration(e.cfg.Peers.AgreeWithin),
		Takeover: pool.Takeover{
			Handed: e.opt.Handed.pool(),
			Begin:  e.opt.Begin,
		},
		Clock:      e.clock(),
		OnSnapshot: e.use,
		ReadHosts:  cfg.ReadHosts,
	}
}

// lossWindow returns pool.Options.LossWindow: twice the time that checks need to find a
// host down. So hosts that vanish together begin to fail within one window.
func lossWindow(cfg *config.Config) time.Duration {
	return max(5*time.Second, 2*time.Duration(cfg.Health.Fall)*cfg.Health.Interval)
}

// buildAdmin builds the admin endpoint.
func (e *Edge) buildAdmin() error {
	var token, readToken string
	var err error
	if e.token, token, err = openAdminToken(e.cfg, e.opt.Logger); err != nil {
		return err
	}
	if e.readToken, readToken, err = openReadToken(e.cfg); err != nil {
		return err
	}
	e.register()
	e.admin, err = admin.New(admin.Deps{
		Region:    allPools{e},
		Pools:     e.adminPools(),
		Users:     admin.Users{Sessions: e.proxy.Session, Live: e.proxy.Live, Stays: e.proxy.Stays, Placement: e.proxy.Placement, Digester: e.digester, Terminals: e, AtPeers: e.proxy.Region().Terminals},
		Hash:      e.cfg.Hash,
		Cookie:    cookieOf(e.cfg),
		Metrics:   e.gatherer(),
		Elsewhere: e.opt.OtherCounts,
		Identity: admin.Identity{
			Token:        token,
			ReadToken:    readToken,
			Name:         e.cfg.Name,
			Version:      e.opt.Version,
			Address:      e.cfg.Admin.Address,
			ConfirmShare: *e.cfg.Admin.ConfirmShare,
			MinServing:   e.cfg.Drain.MinServing,
		},
		Trust: admin.Trust{
			TLS:          e.certificates.admin,
			Secrets:      e.pool.SecretUse,
			Certificates: e.certificates.expiries,
		},
		Insist:      e.insist,
		Routes:      e.routes,
		Limits:      e.limits,
		Maintenance: admin.Maintenance{Active: e.maintenance.Active, Set: e.setMaintenance},
		Problems:    e.problems,
		Ready:       e.Ready,
		Generations: e.opt.Generations,
		Streams:     e.streamStatus,
		Logger:      e.part("admin"),
	})
	if err != nil {
		return err
	}
	if e.opt.Handed != nil {
		e.admin.Restore(e.opt.Handed.Admin)
	}
	e.metrics.MustRegister(e.admin.Collectors()...)
	return nil
}

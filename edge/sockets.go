package edge

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"tokenring/config"
	"tokenring/gossip"
	"tokenring/proxy"
	"tokenring/proxy/fields"
	"tokenring/tlsterm"
)

// Sockets are the sockets of a balancer.
type Sockets struct {
	Clients []net.Listener // one for each item of listen in the configuration, in the same order
	Admin   net.Listener
	Metrics net.Listener   // nil if admin.metrics_address isn't configured
	Pool    gossip.Sockets // of the gossip of hosts and balancers; zero if it isn't configured
	Peers   gossip.Sockets // of the gossip among balancers; zero if it isn't configured
	Streams net.Listener   // of other balancers' streams; nil if the gossip among balancers isn't configured
}

// An Opener opens listening sockets. handover.Asker gets them from another process.
type Opener interface {
	Listen(address string) (net.Listener, error)
	ListenBoth(address string) (net.Listener, net.PacketConn, error) // for a gossip
}

// Here opens sockets of this process.
type Here struct{}

// Listen implements Opener.
func (Here) Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// ListenBoth implements Opener.
func (Here) ListenBoth(address string) (net.Listener, net.PacketConn, error) {
	s, err := gossip.Listen(address)
	return s.Streams, s.Packets, err
}

// Listen opens the sockets that a configuration names. The caller passes them to New, or
// closes them.
func Listen(cfg *config.Config, open Opener) (Sockets, error) {
	var s Sockets
	for _, item := range cfg.Listen {
		ln, err := open.Listen(item.Address)
		if err != nil {
			s.Close()
			return Sockets{}, fmt.Errorf("listen: %w", err)
		}
		s.Clients = append(s.Clients, ln)
	}
	var err error
	if s.Admin, err = open.Listen(cfg.Admin.Address); err != nil {
		s.Close()
		return Sockets{}, fmt.Errorf("admin: %w", err)
	}
	if cfg.Admin.MetricsAddress != "" {
		if s.Metrics, err = open.Listen(cfg.Admin.MetricsAddress); err != nil {
			s.Close()
			return Sockets{}, fmt.Errorf("admin.metrics_address: %w", err)
		}
	}
	if err := s.listenGossip(cfg, open); err != nil {
		s.Close()
		return Sockets{}, err
	}
	return s, nil
}

// listenGossip opens the sockets of the gossips that are configured, and of the peers' streams.
func (s *Sockets) listenGossip(cfg *config.Config, open Opener) (err error) {
	if cfg.Pool.Bind != "" {
		if s.Pool.Streams, s.Pool.Packets, err = open.ListenBoth(cfg.Pool.Bind); err != nil {
			return fmt.Errorf("pool: %w", err)
		}
	}
	if cfg.Peers.Bind != "" {
		if s.Peers.Streams, s.Peers.Packets, err = open.ListenBoth(cfg.Peers.Bind); err != nil {
			return fmt.Errorf("peers: %w", err)
		}
		if s.Streams, err = open.Listen(cfg.Peers.Stream); err != nil {
			return fmt.Errorf("peers.stream: %w", err)
		}
	}
	return nil
}

// Close closes all sockets.
func (s Sockets) Close() {
	for _, ln := range s.Clients {
		ln.Close()
	}
	if s.Admin != nil {
		s.Admin.Close()
	}
	s.Pool.Close()
	s.Peers.Close()
	for _, ln := range []net.Listener{s.Metrics, s.Streams} {
		if ln != nil {
			ln.Close()
		}
	}
}

// addresses returns where the sockets listen.
func (s Sockets) addresses() (all []netip.AddrPort) {
	for _, ln := range append(slices.Clone(s.Clients), s.Admin, s.Metrics, s.Pool.Streams, s.Peers.Streams, s.Streams) {
		if ln == nil {
			continue
		}
		if at, err := netip.ParseAddrPort(ln.Addr().String()); err == nil {
			all = append(all, at)
		}
	}
	return all
}

// check returns an error if a socket that cfg names is missing.
func (s Sockets) check(cfg *config.Config) error {
	switch {
	case len(s.Clients) != len(cfg.Listen):
		return fmt.Errorf("listen: got %d sockets, want %d", len(s.Clients), len(cfg.Listen))
	case s.Admin == nil:
		return fmt.Errorf("admin: got no socket for %s", cfg.Admin.Address)
	case cfg.Admin.MetricsAddress != "" && s.Metrics == nil:
		return fmt.Errorf("admin.metrics_address: got no socket for %s", cfg.Admin.MetricsAddress)
	case cfg.Pool.Bind != "" && s.Pool == (gossip.Sockets{}):
		return fmt.Errorf("pool: got no sockets for %s", cfg.Pool.Bind)
	case cfg.Peers.Bind != "" && s.Peers == (gossip.Sockets{}):
		return fmt.Errorf("peers: got no sockets for %s", cfg.Peers.Bind)
	case cfg.Peers.Bind != "" && s.Streams == nil:
		return fmt.Errorf("peers: got no socket for %s", cfg.Peers.Stream)
	}
	return nil
}

// listeners returns, for each socket of clients, how they are served.
func (e *Edge) listeners() []proxy.Listener {
	limit := tlsterm.NewHandshakeLimit(e.cfg.TLS.MaxHandshakes)
	var all []proxy.Listener
	for i, item := range e.cfg.Listen {
		l := proxy.Listener{HalfCloseAborts: item.HalfClose == proxy.HalfCloseAbort}
		if item.TLS {
			l = proxy.Listener{TLS: e.certificates.of(item).TLSConfig(), HandshakeLimit: limit, HTTP2: item.HTTP2 == nil || *item.HTTP2}
		}
		l.Access = e.access.ofListener(i)
		l.Address, l.Fields = item.Address, []*fields.Config{e.cfg.HSTS.Config(item.TLS), item.Fields}
		l.ProxyHeader = item.ProxyProtocol == proxy.ProxyProtocolRequired
		if item.RedirectHTTPS {
			l.Redirect, l.RedirectKey = e.httpsPort(), item.RedirectKeepKey
		}
		all = append(all, l)
	}
	return all
}

// httpsPort returns the port to which redirects lead: the port of the first TLS listener
// in the configuration, or the port of its socket if the configuration says 0.
func (e *Edge) httpsPort() string {
	for i, item := range e.cfg.Listen {
		if !item.TLS {
			continue
		}
		_, port, _ := net.SplitHostPort(item.Address)
		if port == "0" {
			_, port, _ = net.SplitHostPort(e.sockets.Clients[i].Addr().String())
		}
		return port
	}
	return "443"
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"tokenring/config"
)

// ctlCmd is how operators see and steer a running balancer from a shell.
type ctlCmd struct {
	Config    string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The balancer's configuration file, which says where its admin endpoint and token are (default: lb.yaml)."`
	Address   string `placeholder:"URL" help:"The admin endpoint, instead of the file's admin.address, such as https://10.0.0.2:7000."`
	TokenFile string `placeholder:"FILE" help:"What holds the admin token, instead of the file's admin.token_file."`
	CA        string `name:"ca" placeholder:"FILE" help:"PEM file with the endpoint's certificate or its authority's, instead of the file's admin.tls.cert."`
	Format    string `enum:"table,json" default:"table" help:"table, or json: the API's own answers."`

	Status  ctlStatusCmd  `cmd:"" help:"Say how the balancer and its region are."`
	Hosts   ctlHostsCmd   `cmd:"" help:"List the hosts."`
	Ring    ctlRingCmd    `cmd:"" help:"Show how the ring is cut up, and whether all balancers agree."`
	Explain ctlExplainCmd `cmd:"" help:"Say where tokens go now, and why."`
	Whatif  ctlWhatifCmd  `cmd:"" help:"Say what would move if the ring were another. Nothing changes."`
	Drain   ctlDrainCmd   `cmd:"" help:"Give a host no new sessions; those that live stay."`
	Maint   ctlMaintCmd   `cmd:"" help:"Put a host in maintenance: it gets nothing, and its terminals end."`
	Ready   ctlReadyCmd   `cmd:"" help:"Let a host serve again."`
	Weight  ctlWeightCmd  `cmd:"" help:"Give a host another weight, or back its own."`
}

// Help is the text that --help adds.
func (ctlCmd) Help() string {
	return `A client of the admin API. On the balancer's machine, -c lb.yaml is all that it
needs, and of it only admin and state_dir are read. From elsewhere, --address and
--token-file, and --ca if the system doesn't trust the endpoint's certificate.
Beyond loopback it speaks TLS unless --address says http://, which sends the token
in clear. On loopback any certificate will do unless --ca is given: give it with an
address that a tunnel forwards, and where others may listen while lb run doesn't.
For example:

  lb ctl hosts
  lb ctl explain                  (reads tokens, one a line; arguments can be seen by others)
  lb ctl whatif --leave ide-2     (which share of the tokens, and which terminals, would move where)
  lb ctl whatif --join ide-9=weight:2 --weight ide-3=3 --policy rendezvous
  lb ctl drain ide-2 --reason "new kernel"
  lb ctl weight ide-3 2
  lb ctl weight ide-3 own         (what the host itself announces)

A decision is in force when the command ends, on all balancers soon after, and
survives restarts. One that would move more of the tokens than admin.confirm_share
of lb.yaml is refused, with what it would move, until it is repeated with --yes.

Exits with 0 for success, with 1 if the balancer can't be reached or refuses, and
with 2 if the command line, the file or the token's file is wrong.`
}

// operator returns a client of the balancer that c names.
func (c *ctlCmd) operator() (*operator, error) {
	address, file, ca := c.Address, c.TokenFile, c.CA
	if address == "" || file == "" {
		access, err := config.LoadAccess(c.Config)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, usageError{fmt.Errorf("%w\nname the balancer's file with -c, or its endpoint with --address and --token-file", err)}
		case err != nil:
			return nil, usageError{fmt.Errorf("%w\na running balancer can be reached without its file: --address and --token-file", err)}
		}
		address, file, ca = cmp.Or(address, urlOf(access)), cmp.Or(file, access.TokenFile), cmp.Or(ca, access.Cert)
	}
	base, err := baseURL(address, ca)
	if err == nil && c.CA != "" && base.Scheme != "https" {
		err = fmt.Errorf("--ca: %s is spoken to in clear; write https://… with --address, or leave --ca out", base)
	}
	if err != nil {
		return nil, usageError{err}
	}
	token, err := readAdminToken(file)
	if err != nil {
		return nil, usageError{err}
	}
	trusted := newTrust(base.Hostname(), ca)
	if c.CA != "" && trusted.missing != nil {
		return nil, usageError{fmt.Errorf("--ca: %w", trusted.missing)}
	}
	trusted.anyCert = c.CA == "" && onLoopback(base.Hostname())
	return newOperator(base.String(), token, file, trusted), nil
}

// urlOf returns the URL of an endpoint on this machine.
func urlOf(access *config.Access) string {
	if access.Cert != "" {
		return "https://" + reachable(access.Address)
	}
	return "http://" + reachable(access.Address)
}

// reachable returns where a listener on address can be reached from its own
// machine, as a URL has it (RFC 6874 §2).
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Is4() && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(strings.ReplaceAll(host, "%", "%25"), port)
}

// baseURL returns what the paths of the API are appended to. An address without a
// scheme is one of TLS, unless it is on loopback and no certificate is named: the
// token crosses no network in clear that nobody has said so of.
func baseURL(address, ca string) (*url.URL, error) {
	const want = "write it like https://10.0.0.2:7000 or 10.0.0.2:7000"
	scheme := ""
	if !strings.Contains(address, "://") {
		scheme = "https://"
	}
	u, err := url.Parse(scheme + strings.TrimRight(address, "/"))
	if err == nil && scheme != "" && ca == "" && onLoopback(u.Hostname()) {
		u.Scheme = "http"
	}
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("--address: this is no address of an admin endpoint; %s", want)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("--address: an address has no user, query or fragment, and the token belongs in --token-file; %s", want)
	}
	return u, nil
}

// onLoopback reports whether a host of a URL is this machine, reached without a
// network.
func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// readAdminToken reads the operators' token. Errors don't show what is in the
// file.
func readAdminToken(file string) (string, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("admin token: %w\nlb run makes it at its first start if admin.token_file isn't set; name another file with --token-file", err)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("admin token: %w\nbe the user that lb run runs as, or name a copy with --token-file", err)
	case err != nil:
		return "", fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("admin token: %s holds no token: want one line of text", file)
	}
	return token, nil
}

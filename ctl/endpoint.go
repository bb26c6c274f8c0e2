package ctl

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

// An Endpoint names a balancer's admin endpoint. Fields that are empty are filled from
// the configuration file.
type Endpoint struct {
	Config    string // the balancer's configuration file
	Address   string // URL or host:port of the admin endpoint; "": the file's admin.address
	TokenFile string // holds the admin token; "": the file's admin.token_file
	CA        string // PEM file to check the endpoint's certificate with; "": the file's admin.tls.cert

	socket string // of the configuration file's balancer
}

// NewClient returns a client of the balancer that e names. It doesn't connect yet. Each
// error is about e, or about a file that e or the configuration file names.
func NewClient(e Endpoint) (*Client, error) {
	given := e.CA != ""
	if e.Address == "" || e.TokenFile == "" {
		if err := e.fill(); err != nil {
			return nil, err
		}
	}
	base, err := baseURL(e.Address, e.CA)
	if err == nil && given && base.Scheme != "https" {
		err = fmt.Errorf("--ca: the connection to %s has no TLS; write https://… with --address, or leave --ca out", base)
	}
	if err != nil {
		return nil, err
	}
	token, err := readAdminToken(e.TokenFile)
	if err != nil {
		return nil, err
	}
	trusted := newTrust(base.Hostname(), e.CA)
	if given && trusted.missing != nil {
		return nil, fmt.Errorf("--ca: %w", trusted.missing)
	}
	trusted.anyCert = !given && onLoopback(base.Hostname())
	client := newClient(base.String(), token, e.TokenFile, trusted)
	client.socket = e.socket
	return client, nil
}

// fill sets the fields that are empty to what the configuration file says.
func (e *Endpoint) fill() error {
	access, err := config.LoadAccess(e.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w\nname the balancer's file with -c, or its endpoint with --address and --token-file", err)
	case err != nil:
		return fmt.Errorf("%w\na running balancer can be reached without its file: --address and --token-file", err)
	}
	if e.Address == "" {
		e.socket = access.ControlSocket
	}
	e.Address = cmp.Or(e.Address, urlOf(access))
	e.TokenFile = cmp.Or(e.TokenFile, access.TokenFile)
	e.CA = cmp.Or(e.CA, access.Cert)
	return nil
}

// urlOf returns the URL of an endpoint on this machine.
func urlOf(access *config.Access) string {
	if access.Cert != "" {
		return "https://" + reachable(access.Address)
	}
	return "http://" + reachable(access.Address)
}

// reachable returns the host and port, for a URL (RFC 6874 §2), that reach a listener on
// address from the same machine.
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

// baseURL returns the URL that the paths of the API are appended to. An address without a
// scheme means TLS, unless it is on loopback and ca is "". So the token crosses a network
// unencrypted only if the operator writes http://.
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

// onLoopback reports whether the host of a URL is on loopback.
func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// readAdminToken reads the operators' token from a file. Errors don't show the file's
// content.
func readAdminToken(file string) (string, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("admin token: %w\nlb run makes this file at its first start if admin.token_file isn't set; name another file with --token-file", err)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("admin token: %w\nrun this as the user of lb run, or name a copy with --token-file", err)
	case err != nil:
		return "", fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("admin token: %s holds no token: want one line of text", file)
	}
	return token, nil
}

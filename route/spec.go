package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"tokenring/balancer"
	"tokenring/netaddr"
)

// Bounds of the fields of a host, in bytes and of the weight. They keep the metadata of
// a node below the 512 bytes that memberlist allows.
const (
	MaxName    = 64
	MaxAddress = 128
	MaxZone    = 64
	MaxVersion = 64
	MaxWeight  = 256
)

// A Spec describes a host, as its agent announces it or as a list says. All
// types that describe a host embed it.
type Spec struct {
	Name    string `yaml:"name" json:"name,omitempty"`       // identifies the host
	ID      uint32 `yaml:"id" json:"id,omitempty"`           // a stable number, 0 for none
	Address string `yaml:"address" json:"address,omitempty"` // of its service, host:port; of a host that is listed also unix:PATH
	Weight  int    `yaml:"weight" json:"weight,omitempty"`   // relative to the other hosts' weights, 0..256; a host of weight 0 gets no keys
	Zone    string `yaml:"zone" json:"zone,omitempty"`       // for operators
}

// Check returns what is wrong with s, nil if nothing. It accepts any zone: package
// gossip checks the zones that are announced.
func (s Spec) Check() error {
	if err := CheckHostName(s.Name); err != nil {
		return err
	}
	err := CheckAddress(s.Address)
	if _, ok := netaddr.UnixPath(s.Address); ok {
		err = CheckUnix(s.Address)
	}
	if err != nil {
		return err
	}
	return s.CheckWeight()
}

// CheckWeight returns what is wrong with the weight, nil if nothing.
func (s Spec) CheckWeight() error {
	if s.Weight < 0 || s.Weight > MaxWeight {
		return fmt.Errorf("the weight %d is not in 0..%d", s.Weight, MaxWeight)
	}
	return nil
}

// TableHost returns the host as balancer.Builder takes it, with its own weight.
func (s Spec) TableHost() balancer.Host {
	return balancer.Host{Name: s.Name, ID: s.ID, Weight: s.Weight}
}

// CheckName returns what is wrong with the name of a host or balancer, nil if nothing.
// A name has 1 to 64 letters, digits, '.', '_' and '-', and begins with a letter or a
// digit.
func CheckName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if len(name) > MaxName {
		return fmt.Errorf("the name has %d bytes, at most %d are possible", len(name), MaxName)
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fmt.Errorf("the name %q must begin with a letter or a digit and consist of letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

// CheckAddress returns what is wrong with the address of a host's service or of a seed,
// nil if nothing. An address is host:port with a port of 1 to 65535.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q is not host:port", address)
	}
	if host == "" || strings.ContainsAny(host, "/ \t") {
		return fmt.Errorf("the address %q names no host", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the address %q needs a port of 1 to 65535", address)
	}
	return nil
}

// maxUnixPath is how long Linux allows the path of a unix socket to be, in bytes.
const maxUnixPath = 107

// CheckUnix returns what is wrong with the address of a unix socket, nil if nothing. Its path is
// absolute, because another process than the one that has read it may connect.
func CheckUnix(address string) error {
	path, _ := netaddr.UnixPath(address)
	switch {
	case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n\x00"):
		return fmt.Errorf("the address %q isn't unix: and an absolute path without blanks", address)
	case len(path) > maxUnixPath:
		return fmt.Errorf("the path of the unix socket has %d bytes, at most %d are possible", len(path), maxUnixPath)
	}
	return nil
}

// CheckTarget returns what is wrong with an address to connect to, nil if nothing. Its host
// is an IP address, or can be a host name.
func CheckTarget(address string) error {
	if err := CheckAddress(address); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(address)
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Unmap().IsUnspecified():
		return fmt.Errorf("%s isn't an address to connect to", host)
	case !netaddr.HostLike(host):
		return fmt.Errorf("%q is neither an IP address nor a host name", host)
	}
	return nil
}

// maxNamed is how many hosts or balancers an alarm names.
const maxNamed = 4

// ShortList returns the first names in one text, and how many more there are.
func ShortList(names []string) string {
	list := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if more := len(names) - maxNamed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

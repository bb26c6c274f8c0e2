// Package access says by a client's address whether it may come: networks that are allowed or denied,
// from lb.yaml and from files that are read again when they change.
package access

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"tokenring/netaddr"
)

// Config is `access`, at the top of lb.yaml, of a listener or a route. A network is an address or a
// prefix, such as 10.0.0.0/8. One that is denied is refused, whatever is allowed. If any is allowed,
// all others are refused.
type Config struct {
	Allow     []string `yaml:"allow"`
	Deny      []string `yaml:"deny"`
	AllowFile string   `yaml:"allow_file"` // more of them, one a line; read again when it changes
	DenyFile  string   `yaml:"deny_file"`  // likewise
}

// maxFile bounds a file of networks, in bytes.
const maxFile = 16 << 20

// ReadFile returns the networks in a file: one a line, which may end with a comment after #. The error
// names the line.
func ReadFile(path string) ([]netip.Prefix, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are possible", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		one, err := netaddr.ParseNetworks([]string{line})
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		all = append(all, one...)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

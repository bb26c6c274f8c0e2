package lease

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// String returns f as 64 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// fewest is how many balancers there must be: with two, one that is away would fence all hosts.
const fewest = 3

// ParseBalancers reads the balancers that a gate knows. Each line has NAME=KEY, the key as
// Fingerprint.String writes it; empty lines, and lines that begin with #, are skipped. It
// returns the names by the keys.
func ParseBalancers(lines []string) (map[Fingerprint]string, error) {
	all, names := map[Fingerprint]string{}, map[string]bool{}
	for i, line := range lines {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, text, ok := strings.Cut(line, "=")
		var key Fingerprint
		n, err := hex.Decode(key[:], []byte(text[:min(len(text), 2*len(key))]))
		switch {
		case !ok || name == "" || err != nil || n != len(key) || len(text) != 2*len(key):
			return nil, fmt.Errorf("line %d: want NAME=KEY, such as lb fingerprint writes it", i+1)
		case names[name]:
			return nil, fmt.Errorf("line %d: there is another key of %s", i+1, name)
		case all[key] != "":
			return nil, fmt.Errorf("line %d: %s has the key of %s", i+1, name, all[key])
		case len(all) == MaxBalancers:
			return nil, fmt.Errorf("line %d: more than %d balancers", i+1, MaxBalancers)
		}
		all[key], names[name] = name, true
	}
	if len(all) < fewest {
		return nil, errors.New("there are fewer than three balancers: one that is away would close all terminals")
	}
	return all, nil
}

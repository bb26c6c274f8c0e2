package tlsterm

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// Suites returns the names that Config.CipherSuites may have, in the order of preference.
func Suites() (names []string) {
	for _, s := range tls.CipherSuites() {
		if s.SupportedVersions[0] < tls.VersionTLS13 { // the suites of TLS 1.3 can't be chosen
			names = append(names, s.Name)
		}
	}
	return names
}

// ParseSuites returns the suites of TLS 1.2 with these names; nil for none, which stands for
// those of crypto/tls.
func ParseSuites(names []string) (ids []uint16, err error) {
	for _, name := range names {
		id, err := parseSuite(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func parseSuite(name string) (uint16, error) {
	for _, s := range tls.CipherSuites() {
		switch {
		case s.Name != name:
		case s.SupportedVersions[0] == tls.VersionTLS13:
			return 0, fmt.Errorf("%s is of TLS 1.3, whose suites are all in use; they can't be chosen", name)
		default:
			return s.ID, nil
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		if s.Name == name {
			return 0, fmt.Errorf("%s isn't secure, and isn't offered", name)
		}
	}
	return 0, fmt.Errorf("there is no suite %q; there are %s", name, strings.Join(Suites(), ", "))
}

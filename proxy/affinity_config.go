package proxy

import (
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// AffinityConfig is `affinity` in lb.yaml: what keeps a client on its host whose
// requests have no key. The zero value is nothing.
type AffinityConfig struct {
	Cookie *CookieConfig `yaml:"cookie"` // nil for no cookie
}

// CookieConfig describes a cookie that tells which host a client is on. Names and
// meanings are those of HAProxy's `cookie … insert` where it has them
// (configuration manual, §4.2). nil in a *bool means its default.
type CookieConfig struct {
	Name        string        `yaml:"name"`        // lb
	Indirect    *bool         `yaml:"indirect"`    // hosts don't see it; true
	NoCache     *bool         `yaml:"nocache"`     // an answer that sets it is private; true
	HTTPOnly    *bool         `yaml:"httponly"`    // scripts don't see it; true
	Secure      *bool         `yaml:"secure"`      // browsers send it over TLS only; true if a listener has TLS
	SameSite    string        `yaml:"same_site"`   // strict, lax or none; "" leaves it to the browser
	Partitioned bool          `yaml:"partitioned"` // kept apart by the site that embeds this one
	Domain      string        `yaml:"domain"`      // whose other hosts get it as well; "" for none
	MaxIdle     time.Duration `yaml:"max_idle"`    // without a request it ends after that; 0 for never
	MaxLife     time.Duration `yaml:"max_life"`    // it ends that long after it was first set; 0 for never
	SecretFile  SecretFiles   `yaml:"secret_file"` // holds the key that all balancers share; none: each has its own
}

// SetDefaults fills in what is nil or empty. tls tells whether a listener has TLS.
func (c *CookieConfig) SetDefaults(tls bool) {
	if c.Name == "" {
		c.Name = "lb"
	}
	for _, f := range []struct {
		field **bool
		value bool
	}{{&c.Indirect, true}, {&c.NoCache, true}, {&c.HTTPOnly, true}, {&c.Secure, tls}} {
		if *f.field == nil {
			*f.field = &f.value
		}
	}
}

// SecretFiles name files that hold a key each. The first key makes what all of
// them are believed for. In YAML they are a list, or the one name alone.
type SecretFiles []string

// UnmarshalYAML reads one name or several. Its errors are *yaml.SyntaxError and
// so carry the line and column.
func (s *SecretFiles) UnmarshalYAML(node ast.Node) error {
	names := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		names = list.Values
	}
	for _, n := range names {
		name, ok := n.(*ast.StringNode)
		if !ok || name.Value == "" {
			return &yaml.SyntaxError{Message: "not the name of a file; write one such as cookie.key, or a list of them", Token: n.GetToken()}
		}
		*s = append(*s, name.Value)
	}
	return nil
}

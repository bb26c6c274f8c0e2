package affinity

import (
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Config is `affinity` in lb.yaml. It says how clients without a key are kept on their
// hosts. With the zero value they aren't.
type Config struct {
	Cookie *CookieConfig `yaml:"cookie"` // nil for no cookie
}

// CookieConfig describes the cookie that names a client's host. Names and meanings are
// those of HAProxy's `cookie … insert` where HAProxy has them (configuration manual, §4.2).
// A nil *bool means the default, which is at the end of the field's comment.
type CookieConfig struct {
	Name        string        `yaml:"name"`        // lb
	Indirect    *bool         `yaml:"indirect"`    // hosts don't see it; true
	NoCache     *bool         `yaml:"nocache"`     // an answer that sets it is private; true
	HTTPOnly    *bool         `yaml:"httponly"`    // scripts don't see it; true
	Secure      *bool         `yaml:"secure"`      // browsers send it over TLS only; true if a listener has TLS
	SameSite    string        `yaml:"same_site"`   // strict, lax or none; "" leaves it to the browser
	Partitioned bool          `yaml:"partitioned"` // kept apart by the site that embeds this one
	Domain      string        `yaml:"domain"`      // browsers also send it to other names of this domain; "" for no domain
	MaxIdle     time.Duration `yaml:"max_idle"`    // it expires if no request comes for so long; 0 for never
	MaxLife     time.Duration `yaml:"max_life"`    // it expires so long after it was first set; 0 for never
	SecretFile  SecretFiles   `yaml:"secret_file"` // has the secret that all balancers share; without one, each has a random key
}

// SetDefaults sets the fields that are nil or empty. tls says that a listener has TLS.
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

// SecretFiles are the names of files with one secret each. The first secret seals values,
// and all secrets open values. In YAML it is a list, or one name alone.
type SecretFiles []string

// UnmarshalYAML reads one name or a list of names. Its errors are *yaml.SyntaxError, which
// have the line and column.
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

package routing

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"tokenring/proxy/access"
	"tokenring/proxy/basicauth"
	"tokenring/proxy/fields"
)

// Config is one item of `routes` in lb.yaml: which requests it is for, and what becomes of
// them. It has exactly one of Pool, Redirect and Respond.
type Config struct {
	Name       string            `yaml:"name"`        // for operators and metrics; default: its place, such as routes[3]
	Host       string            `yaml:"host"`        // a name, or *. and a name for all names below it; "" for any
	Path       string            `yaml:"path"`        // exact; "" for any
	PathPrefix string            `yaml:"path_prefix"` // "" for any
	Method     Methods           `yaml:"method"`      // none for any
	Pool       string            `yaml:"pool"`        // the hosts that serve it; MainPool is the section pool
	Redirect   *RedirectConfig   `yaml:"redirect"`
	Respond    *RespondConfig    `yaml:"respond"`
	Access     *access.Config    `yaml:"access"`     // whose requests it takes; others get 403
	Rules      *access.Rules     `yaml:"-"`          // those of Access, opened; nil for none
	BasicAuth  *basicauth.Config `yaml:"basic_auth"` // whose password its requests must show
	Users      *basicauth.Users  `yaml:"-"`          // those of BasicAuth, opened; nil for none
	Fields     *fields.Config    `yaml:"fields"`     // changes of its requests' and answers' fields
}

// MainPool is the name of the section pool.
const MainPool = "pool"

// What becomes of a request that no route matches: the main pool serves it, or it gets a status.
const (
	UnmatchedPool        = MainPool
	UnmatchedMisdirected = "421"
	UnmatchedNotFound    = "404"
)

// Methods are the methods of a route. In YAML it is a list, or one alone.
type Methods []string

// UnmarshalYAML reads one method or a list. Its errors are *yaml.SyntaxError, which have the
// line and column.
func (m *Methods) UnmarshalYAML(node ast.Node) error {
	all := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		all = list.Values
	}
	for _, n := range all {
		name, ok := n.(*ast.StringNode)
		if !ok || !isMethod(name.Value) {
			return &yaml.SyntaxError{Message: "not a method; write one such as GET, or a list of them", Token: n.GetToken()}
		}
		*m = append(*m, name.Value)
	}
	return nil
}

// isMethod reports whether s can be a method: methods are case-sensitive (RFC 9110 §9.1), and a
// lower-case one is a slip.
func isMethod(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// RedirectConfig sends clients elsewhere.
type RedirectConfig struct {
	// To is a URL. If it has no path, not even a slash, those of the request follow: its path
	// and its query, without the parameters that hold the key.
	To      string `yaml:"to"`
	Status  int    `yaml:"status"`   // 301, 302, 303, 307 or 308; default 302
	KeepKey bool   `yaml:"keep_key"` // the query has the key, too; false
}

// RespondConfig answers without a host.
type RespondConfig struct {
	Status int    `yaml:"status"` // default 200
	File   string `yaml:"file"`   // the body; "" for none, or for the page of an error
	Type   string `yaml:"type"`   // Content-Type of the body; default: by the file's name

	Body string `yaml:"-"` // the content of File
}

// MaxBody bounds a RespondConfig's file.
const MaxBody = 1 << 20

// Code returns the status of the redirect.
func (c *RedirectConfig) Code() int { return cmp.Or(c.Status, 302) }

// Code returns the status of the answer.
func (c *RespondConfig) Code() int { return cmp.Or(c.Status, 200) }

// ContentType returns the type of the body.
func (c *RespondConfig) ContentType() string {
	if c.Type != "" {
		return c.Type
	}
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".json": "application/json",
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".xml": "application/xml",
		".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon",
	}
	return cmp.Or(types[strings.ToLower(path.Ext(c.File))], "application/octet-stream")
}

// Label returns the name of the route with an index, as operators and metrics see it.
func (c *Config) Label(index int) string {
	return cmp.Or(c.Name, "routes["+strconv.Itoa(index)+"]")
}

// Matches returns in a few words which requests the route is for; * stands for any.
func (c *Config) Matches() string {
	text := cmp.Or(c.Host, "*")
	switch {
	case c.Path != "":
		text += c.Path
	case c.PathPrefix != "":
		text += c.PathPrefix + "*"
	}
	if len(c.Method) > 0 {
		text = strings.Join(c.Method, ",") + " " + text
	}
	return text
}

// Does returns in a few words what becomes of requests.
func (c *Config) Does() string {
	switch {
	case c.Redirect != nil:
		return "redirect " + strconv.Itoa(c.Redirect.Code()) + " to " + c.Redirect.To
	case c.Respond != nil:
		return "respond " + strconv.Itoa(c.Respond.Code())
	}
	return "pool " + c.Pool
}

// Covers reports whether c matches each request that other matches. A route can never match if
// an earlier one covers it.
func (c *Config) Covers(other *Config) bool {
	return coversHost(Host(c.Host), Host(other.Host)) && c.coversPath(other) && c.coversMethods(other)
}

func coversHost(host, other string) bool {
	below, wild := strings.CutPrefix(host, "*")
	return host == "" || host == other || wild && strings.HasSuffix(strings.TrimPrefix(other, "*"), below) && len(other) > len(below)
}

func (c *Config) coversPath(other *Config) bool {
	switch {
	case c.Path != "":
		return c.Path == other.Path
	case other.Path != "":
		return strings.HasPrefix(other.Path, c.PathPrefix)
	}
	return strings.HasPrefix(other.PathPrefix, c.PathPrefix)
}

func (c *Config) coversMethods(other *Config) bool {
	if len(c.Method) == 0 {
		return true
	}
	for _, m := range other.Method {
		if !slices.Contains(c.Method, m) {
			return false
		}
	}
	return len(other.Method) > 0
}

// Package fields changes the header fields of requests and answers as lb.yaml says: it sets, adds and
// removes them. What would change where a message ends, what belongs to one connection only, and what
// lb itself relies on can't be changed.
package fields

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"tokenring/http1"
)

// Config is `fields`, at the top of lb.yaml, of a listener, a route or a pool.
type Config struct {
	Request  Changes `yaml:"request"`  // of requests, before they are sent to hosts
	Response Changes `yaml:"response"` // of answers, before they are sent to clients; of lb's own answers, too
}

// Changes are made in the order of the struct's fields. Names are compared without regard to case.
type Changes struct {
	Remove []string `yaml:"remove"`
	Set    Values   `yaml:"set"` // in the place of all fields of the name
	Add    Values   `yaml:"add"` // beside those of the name
}

// Values are fields with their values, in the order of the file. In YAML they are a mapping. A value
// may have variables: see Variables.
type Values []Value

// A Value is one field.
type Value struct{ Name, Text string }

// UnmarshalYAML reads a mapping of names to texts. Its errors are *yaml.SyntaxError, which have the
// line and column.
func (v *Values) UnmarshalYAML(node ast.Node) error {
	pairs, ok := node.(ast.MapNode)
	if !ok {
		return &yaml.SyntaxError{Message: "not a mapping; write for example {X-Edge: lb}", Token: node.GetToken()}
	}
	for each := pairs.MapRange(); each.Next(); {
		text, ok := scalar(each.Value())
		if !ok {
			return &yaml.SyntaxError{Message: "not a text; a field's value is one", Token: each.Value().GetToken()}
		}
		*v = append(*v, Value{each.Key().GetToken().Value, text})
	}
	return nil
}

// scalar returns the text of a value. Numbers and flags are taken as they are written.
func scalar(node ast.Node) (text string, ok bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// A Mistake is why Check refuses something: where in the Changes, what, and what to do instead.
type Mistake struct{ Path, What, Remedy string }

// Proves reports whether a value in c has the subject of clients' certificates.
func (c *Config) Proves() bool {
	if c == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(c.Request.Set, c.Request.Add, c.Response.Set, c.Response.Add), func(v Value) bool {
		parts, _ := parse(v.Text)
		return proves(parts)
	})
}

// Check returns what is wrong with c.
func (c *Config) Check() (all []Mistake) {
	all = c.Request.check("request", true)
	return append(all, c.Response.check("response", false)...)
}

func (c *Changes) check(path string, request bool) (all []Mistake) {
	report := func(at, what, remedy string) {
		all = append(all, Mistake{path + "." + at, what, remedy})
	}
	for i, name := range c.Remove {
		at := fmt.Sprintf("remove[%d]", i)
		if why := whyNotName(name, request); why != "" {
			report(at, why, "take it out of the list")
		} else if strings.EqualFold(name, "Host") {
			report(at, "a request has one field Host, and hosts need it", "set it to another value, or leave it alone")
		}
	}
	for key, values := range map[string]Values{"set": c.Set, "add": c.Add} {
		seen := map[string]bool{}
		for _, v := range values {
			at, lower := key+"."+v.Name, strings.ToLower(v.Name)
			if why := whyNotName(v.Name, request); why != "" {
				report(at, why, "take it out")
			} else if key == "add" && lower == "host" {
				report(at, "a request has one field Host", "use set")
			}
			if seen[lower] {
				report(at, fmt.Sprintf("%s is there twice", v.Name), "write each field once")
			}
			seen[lower] = true
			if what, remedy := whyNotText(key, v, request); what != "" {
				report(at, what, remedy)
			}
		}
	}
	slices.SortFunc(all, func(a, b Mistake) int { return strings.Compare(a.Path+a.What, b.Path+b.What) })
	return all
}

// whyNotText returns why key, set or add, can't give a field its value, and what to do; "" if it can.
func whyNotText(key string, v Value, request bool) (what, remedy string) {
	parts, err := parse(v.Text)
	isHost := strings.EqualFold(v.Name, "Host")
	switch {
	case errors.Is(err, errControl):
		return err.Error(), "write it in one line, of letters that can be seen"
	case err != nil:
		return err.Error(), "variables are " + strings.Join(Variables(), " ") + "; write {{ for a brace"
	case request && proves(parts) && key == "add":
		return "beside the field that is added, a client could send one that names another subject", "use set"
	case proves(parts) && isHost:
		return "a client without a certificate would have no Host", "set another field"
	case request && isHost && !strings.Contains(v.Text, "{") && !http1.ValidHost(v.Text):
		return fmt.Sprintf("%q is no host name", v.Text), "write for example ide.internal, or ide.internal:8080"
	}
	return "", ""
}

// fixed are the fields that can't be changed, in lower case, and why.
var fixed = map[string]string{
	"connection": hop, "keep-alive": hop, "te": hop, "trailer": hop, "upgrade": hop, "proxy-connection": hop,
	"content-length": framing, "transfer-encoding": framing,
	"expect": "it says what a client waits for", "max-forwards": "it is counted down on the way",
	"x-request-id": "lb sets it, and its log has it",
}

const (
	hop     = "it belongs to one connection (RFC 9110 §7.6.1)"
	framing = "it says where a message ends (RFC 9112 §6)"
)

// whyNotName returns why a field can't be changed, "" if it can.
func whyNotName(name string, request bool) string {
	lower := strings.ToLower(name)
	why, known := fixed[lower]
	switch {
	case !isToken(name):
		return fmt.Sprintf("%q can't be the name of a field", name)
	case known:
		return fmt.Sprintf("%s can't be changed: %s", name, why)
	case strings.HasPrefix(lower, "sec-websocket-"):
		return fmt.Sprintf("%s can't be changed: a handshake of a WebSocket would fail", name)
	case request && lower == "cookie":
		return "Cookie can't be changed: hosts read several cookies from it, and lb its own"
	case !request && lower == "set-cookie":
		return "Set-Cookie can't be changed: the cookie that keeps a client on its host is in it"
	case !request && lower == "host":
		return "answers have no field Host"
	}
	return ""
}

// isToken reports whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 256
}

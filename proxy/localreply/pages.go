package localreply

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Config is the section `pages` of lb.yaml: what the answers look like that a balancer gives
// itself.
type Config struct {
	HTML Templates `yaml:"html"`
	JSON *bool     `yaml:"json"` // clients that don't ask for HTML get JSON; default true; else text
}

// Templates are the pages for browsers. In YAML they are files by their status, or by one of the
// names of templates.
type Templates []Template

// A Template is a page in which a few variables are replaced: {status}, {reason}, {detail},
// {request_id} and {retry_after}.
type Template struct {
	Status int    // 0 if it has a name
	Name   string // TemplateDefault, TemplateMaintenance, or "" if it has a status
	File   string
	Text   string // the content of File
}

// The names of templates.
const (
	TemplateDefault     = "default"     // for what has no page of its own
	TemplateMaintenance = "maintenance" // during maintenance, instead of that of 503
)

// MaxTemplate bounds the file of a template, in bytes.
const MaxTemplate = 256 << 10

// WithoutHead returns the page in a file. An errorfile of HAProxy begins with the head of an answer,
// which isn't a part of the page.
func WithoutHead(file []byte) []byte {
	if !bytes.HasPrefix(file, []byte("HTTP/1.")) {
		return file
	}
	for rest := file; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(bytes.TrimRight(line, "\r")) == 0 {
			return rest
		}
	}
	return nil
}

// Key returns the key of t in YAML.
func (t Template) Key() string { return cmp.Or(t.Name, strconv.Itoa(t.Status)) }

// String returns t as lb.yaml has it.
func (t Template) String() string { return t.Key() + ": " + t.File }

// UnmarshalYAML reads files by status or name. Its errors are *yaml.SyntaxError, which have the
// line and column.
func (t *Templates) UnmarshalYAML(node ast.Node) error {
	bad := func(at ast.Node, message string) error {
		return &yaml.SyntaxError{Message: message, Token: at.GetToken()}
	}
	pairs, ok := node.(ast.MapNode)
	if !ok {
		return bad(node, "these are no pages; write for example {503: 503.html, default: error.html}")
	}
	for each := pairs.MapRange(); each.Next(); {
		key, value := each.Key().GetToken().Value, each.Value()
		one := Template{Name: key}
		if key != TemplateDefault && key != TemplateMaintenance {
			status, err := strconv.Atoi(key)
			if err != nil || status < 400 || status > 599 {
				return bad(each.Key(), strconv.Quote(key)+" has no page; write a status of 400 to 599, default, or maintenance")
			}
			one = Template{Status: status}
		}
		file, ok := value.(*ast.StringNode)
		if !ok || file.Value == "" {
			return bad(value, "not the name of a file; write for example 503.html")
		}
		if slices.ContainsFunc(*t, func(other Template) bool { return other.Status == one.Status && other.Name == one.Name }) {
			return bad(each.Key(), "the key is here twice; remove one of them")
		}
		one.File = file.Value
		*t = append(*t, one)
	}
	return nil
}

// Pages are the answers of a balancer. They are immutable. Nil has the built-in ones.
type Pages struct {
	byKey   map[string]string
	notJSON bool
}

// New returns the pages that c describes, nil if it describes none.
func New(c Config) *Pages {
	notJSON := c.JSON != nil && !*c.JSON
	if len(c.HTML) == 0 && !notJSON {
		return nil
	}
	s := &Pages{byKey: map[string]string{}, notJSON: notJSON}
	for _, t := range c.HTML {
		s.byKey[t.Key()] = t.Text
	}
	return s
}

// plain reports whether clients that don't ask for HTML get text.
func (s *Pages) plain() bool { return s != nil && s.notJSON }

// template returns the template for p, "" for the built-in page.
func (s *Pages) template(p *Page) string {
	if s == nil {
		return ""
	}
	if text := s.byKey[TemplateMaintenance]; text != "" && p.Kind == Maintenance {
		return text
	}
	return cmp.Or(s.byKey[strconv.Itoa(p.Status)], s.byKey[TemplateDefault])
}

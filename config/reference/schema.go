package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tokenring/balancer"
	"tokenring/config"
)

// A node is a part of a JSON schema (draft 2020-12).
type node struct {
	Schema      string           `json:"$schema,omitempty"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Type        any              `json:"type,omitempty"`
	Pattern     string           `json:"pattern,omitempty"`
	Enum        []any            `json:"enum,omitempty"`
	Default     any              `json:"default,omitempty"`
	Properties  map[string]*node `json:"properties,omitempty"`
	Named       map[string]*node `json:"patternProperties,omitempty"`    // by what their names match
	Closed      *bool            `json:"additionalProperties,omitempty"` // false: no other properties
	Items       *node            `json:"items,omitempty"`
	AnyOf       []*node          `json:"anyOf,omitempty"`
	MaxItems    int              `json:"maxProperties,omitempty"`
}

// Schema returns docs/lb.schema.json, by which editors know the keys of lb.yaml.
func Schema(entries []Entry) ([]byte, error) {
	root := object()
	root.Schema, root.Title = "https://json-schema.org/draft/2020-12/schema", "lb.yaml"
	for _, e := range entries {
		if err := root.add(e); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(root)
	return b.Bytes(), err
}

// object returns the schema of a section that has no keys yet.
func object() *node {
	return &node{Type: "object", Properties: map[string]*node{}, Closed: new(bool)}
}

// add adds a key. Its section must have been added before.
func (n *node) add(e Entry) error {
	words := strings.Split(e.Path, ".")
	for _, word := range words[:len(words)-1] {
		next := n.property(strings.TrimSuffix(word, "[]"))
		if next == nil {
			return fmt.Errorf("%s comes before its section", e.Path)
		}
		n = next.section()
	}
	name, list := strings.CutSuffix(words[len(words)-1], "[]")
	value := e.schema()
	if list {
		value = &node{Type: "array", Items: value, Description: value.Description}
		value.Items.Description = ""
	}
	if name == config.AnyName {
		pattern := anyName
		if value.Properties == nil { // a text
			pattern = anyField
		}
		n.Named = map[string]*node{pattern: value}
		return nil
	}
	n.Properties[name] = value
	return nil
}

// anyName and anyField match the names that config.AnyName stands for: those of sections, and those
// of header fields.
const (
	anyName  = "^[a-z0-9][a-z0-9-]*$"
	anyField = "^[!#$%&'*+^_`|~0-9A-Za-z-]+$"
)

// property returns the schema of a key; nil if there is none.
func (n *node) property(name string) *node {
	if name == config.AnyName {
		return n.Named[anyName]
	}
	return n.Properties[name]
}

// section returns the node that has the properties of a section, or of a list's items.
func (n *node) section() *node {
	switch {
	case n.Items != nil:
		return n.Items.section()
	case len(n.AnyOf) > 0:
		return n.AnyOf[0]
	}
	return n
}

// duration matches what time.ParseDuration reads, without a sign.
const duration = `^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$`

// schema returns the schema of the value of a key, or of an item of a list.
func (e Entry) schema() *node {
	var n *node
	switch e.Form {
	case config.FormSection:
		n = object()
	case config.FormText:
		n = &node{Type: []string{"string", "number"}} // YAML reads a text of digits as a number
	case config.FormWhole:
		n = &node{Type: "integer"}
	case config.FormNumber:
		n = &node{Type: "number"}
	case config.FormDuration:
		n = &node{Type: "string", Pattern: duration}
	case config.FormFlag:
		n = &node{Type: "boolean"}
	case config.FormKeyRule:
		n = keyRule()
	case config.FormFields:
		n = &node{Type: "object", Named: map[string]*node{"^[!#-'*+.0-9A-Z^-z|~-]+$": {Type: []string{"string", "number", "boolean"}}}, Closed: new(bool)}
	case config.FormPages:
		n = &node{Type: "object", Named: map[string]*node{"^([45][0-9][0-9]|default|maintenance)$": {Type: "string"}}, Closed: new(bool)}
	case config.FormNetworks:
		n = &node{Type: "object", Named: map[string]*node{"^[0-9a-fA-F.:]+/[0-9]+$": {AnyOf: []*node{{Type: "string"}, {Type: "array", Items: &node{Type: "string"}}}}}, Closed: new(bool)}
	case config.FormTexts:
		n = &node{AnyOf: []*node{{Type: "string"}, {Type: "array", Items: &node{Type: "string"}}}}
	}
	if len(e.Values) > 0 {
		n = &node{}
		for _, v := range e.Values {
			n.Enum = append(n.Enum, v)
			if number, err := strconv.ParseFloat(v, 64); err == nil && e.Form == config.FormText {
				n.Enum = append(n.Enum, number) // so YAML reads it without quotes
			}
		}
	}
	if e.Off {
		n = &node{AnyOf: []*node{n, {Enum: []any{"off", false}}}} // older YAML reads off as false
	}
	n.Description, n.Default = e.description(), e.value()
	return n
}

// keyRule returns the schema of a balancer.KeyRule.
func keyRule() *node {
	one := object()
	one.MaxItems = 1
	for _, place := range []string{"query", "cookie", "header"} {
		one.Properties[place] = &node{Type: "string"}
	}
	one.Properties["trusted_header"], one.Properties["path_segment"] = &node{Type: "string"}, &node{Type: "integer"}
	one.Properties["client_certificate"] = &node{Enum: []any{balancer.CertificateSubject, balancer.CertificateFingerprint}}
	return &node{AnyOf: []*node{one, {Enum: []any{"source"}}}}
}

func (e Entry) description() string {
	text := e.What
	if e.Unit != "" {
		text += " Unit: " + e.Unit + "."
	}
	if e.Unset != "" {
		text += " Default: " + e.Unset + "."
	}
	return text
}

// value returns the default as JSON has it, nil if there is none.
func (e Entry) value() any {
	var v any
	switch e.Form {
	case config.FormWhole, config.FormNumber, config.FormFlag:
		if e.Default == "" || json.Unmarshal([]byte(e.Default), &v) != nil {
			return nil
		}
		return v
	}
	if e.Default == "" {
		return nil
	}
	return e.Default
}

package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[yaml.NodeUnmarshaler]()
	optionalType    = reflect.TypeFor[optional]()
)

// An optional is a section or a value that may be `off`.
type optional interface{ SetOff() }

// decode fills v, the value at path, from node. It continues after an error, so that it
// finds all errors; the library's own decoder stops at the first.
func (d *document) decode(path string, node ast.Node, v reflect.Value) {
	d.values[path] = begin(node)
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(path, "anchors, aliases and tags are not supported", "write the value itself")
		return
	case *ast.NullNode:
		delete(d.values, path) // a key without a value leaves the default in force
		return
	}
	switch {
	case d.hasVariable(path, node):
	case v.Addr().Type().Implements(unmarshalerType):
		d.decodeItself(path, node, v)
	case isOff(node) && v.Addr().Type().Implements(optionalType):
		v.Addr().Interface().(optional).SetOff()
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() != reflect.Struct: // nil is a missing value
		v.Set(reflect.New(v.Type().Elem()))
		d.decodeScalar(path, node, v.Elem())
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(path, node, v.Elem())
	case v.Kind() == reflect.Struct:
		d.decodeStruct(path, node, v)
	case v.Kind() == reflect.Slice:
		d.decodeSlice(path, node, v)
	case v.Kind() == reflect.Map:
		d.decodeMap(path, node, v)
	default:
		d.decodeScalar(path, node, v)
		if v.IsZero() && isNumber(node) && v.Kind() != reflect.String {
			d.fail(path, "this can't be 0", "leave the key out for the default")
		}
	}
}

// isOff reports whether node is the plain word off.
func isOff(node ast.Node) bool {
	_, isText := node.(*ast.StringNode)
	return isText && node.GetToken().Value == "off"
}

// unexpanded finds variables, as a shell or HAProxy writes them.
var unexpanded = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\{[^}]*\}|\$\([^)]*\)`)
})

// hasVariable reports an error for a text with a variable in it, because lb.yaml has no
// variables: the text would be used as it is written.
func (d *document) hasVariable(path string, node ast.Node) bool {
	if text, isText := textOf(node); !isText || !unexpanded().MatchString(text) {
		return false
	}
	d.fail(path, "this text has a variable, and lb.yaml has no variables", "write its value")
	return true
}

// decodeItself lets a type read its own YAML.
func (d *document) decodeItself(path string, node ast.Node, v reflect.Value) {
	d.index(path, node)
	for _, pair := range pairs(node) {
		if d.hasVariable(under(path, pair.Key.GetToken().Value), pair.Value) {
			d.failed[path] = true
			return
		}
	}
	err := v.Addr().Interface().(yaml.NodeUnmarshaler).UnmarshalYAML(node)
	if err == nil {
		return
	}
	d.failed[path] = true
	var at yaml.Error
	if !errors.As(err, &at) {
		d.report(begin(node), path, err.Error(), "")
		return
	}
	message, hint, _ := strings.Cut(at.GetMessage(), "; ")
	d.report(where(at.GetToken()), path, message, hint)
}

// index notes the places of the keys or items in the node of a type that reads its own
// YAML.
func (d *document) index(path string, node ast.Node) {
	if list, ok := node.(*ast.SequenceNode); ok {
		for i, one := range list.Values {
			d.values[item(path, i)] = begin(one)
		}
	}
	for _, pair := range pairs(node) {
		sub := under(path, pair.Key.GetToken().Value)
		d.keys[sub] = where(pair.Key.GetToken())
		d.values[sub] = begin(pair.Value)
	}
}

func (d *document) decodeStruct(path string, node ast.Node, v reflect.Value) {
	if _, ok := node.(ast.MapNode); !ok {
		hint := "known keys here: " + strings.Join(keysOf(v.Type()), ", ")
		if v.Addr().Type().Implements(optionalType) {
			hint += "; or write off"
		}
		d.fail(path, describe(node)+" where keys and values belong", hint)
		return
	}
	seen := map[string]spot{}
	for _, pair := range pairs(node) {
		key, at := pair.Key.GetToken().Value, where(pair.Key.GetToken())
		if pair.Key.IsMergeKey() || pair.Key.Type() != ast.StringType {
			d.report(at, path, "a key must be a plain word here", "known keys here: "+strings.Join(keysOf(v.Type()), ", "))
			continue
		}
		sub := under(path, key)
		if first, twice := seen[key]; twice {
			d.report(at, sub, "the key is here twice", fmt.Sprintf("the first is in line %d; remove one of them", first.line))
			continue
		}
		seen[key] = at
		field, known := fieldOf(v.Type(), key)
		if home := renamed[sub]; home != "" {
			d.keys[sub], d.values[sub] = at, begin(pair.Value)
			d.old[sub] = pair.Value
			continue
		}
		if !known {
			d.unknown(path, pair, v.Type())
			continue
		}
		d.keys[sub] = at
		d.decode(sub, pair.Value, v.FieldByIndex(field))
	}
}

// unknown reports a key that t, the type at path, doesn't have. Its value isn't shown if
// it could be a secret.
func (d *document) unknown(path string, pair *ast.MappingValueNode, t reflect.Type) {
	key, at := pair.Key.GetToken().Value, where(pair.Key.GetToken())
	if looksSecret(key) {
		d.maskNode(pair.Value)
	}
	hint := "known keys here: " + strings.Join(keysOf(t), ", ")
	if near := nearest(key, keysOf(t)); near != "" {
		hint = fmt.Sprintf("did you mean `%s`?", near)
		d.failed[under(path, near)] = true // this key isn't reported as missing as well
	} else if home := pathOf(key); home != "" {
		hint = fmt.Sprintf("did you mean `%s`?", home)
	}
	d.failed[under(path, key)] = true
	d.report(at, under(path, key), "unknown key", hint)
}

// maskNode hides all lines of a value from all errors.
func (d *document) maskNode(node ast.Node) {
	at := begin(node)
	d.mask(at)
	if _, block := node.(*ast.LiteralNode); block || strings.Contains(node.String(), "\n") {
		for line := at.line + 1; line <= len(d.lines) && (d.lines[line-1] == "" || d.lines[line-1][0] == ' '); line++ {
			d.mask(spot{line, 1})
		}
	}
}

func (d *document) decodeSlice(path string, node ast.Node, v reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fail(path, describe(node)+" where a list belongs", "write it in brackets: [ … ]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, one := range list.Values {
		sub := item(path, i)
		d.keys[sub] = begin(one)
		if one.Type() == ast.NullType {
			d.fail(sub, "an empty item in a list", "leave it out")
			continue
		}
		d.decode(sub, one, v.Index(i))
	}
}

func (d *document) decodeScalar(path string, node ast.Node, v reflect.Value) {
	text, isText := textOf(node)
	want, hint, ok := "", "", true
	switch {
	case isDuration(v.Type()):
		d.decodeDuration(path, node, v)
		return
	case v.Kind() == reflect.String:
		want, hint, ok = "a text", "write a text; in quotes, if it is a word such as true or has one of : # { [", isText || isNumber(node)
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b *ast.BoolNode
		want, hint = "true or false", "write true or false, without quotes"
		if b, ok = node.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		}
	case v.Kind() == reflect.Float64:
		var n float64
		want, hint = "a number", "write digits, with a point if need be, and no quotes or unit"
		n, ok = numberOf(node)
		v.SetFloat(n)
	default:
		want, hint, ok = "a whole number", "write digits alone, without quotes, a point or a unit", setInteger(node, v)
		tooLarge := node.GetToken().Type == token.StringType && strings.Trim(text, "0123456789") == ""
		if (node.Type() == ast.IntegerType || tooLarge) && !ok {
			want, hint = "a smaller whole number that isn't negative", ""
		}
	}
	if !ok {
		d.fail(path, describe(node)+" where "+want+" belongs", hint)
	}
}

// isDuration reports whether the values of a type are durations, or durations that may be off.
func isDuration(t reflect.Type) bool {
	return t == durationType || t.Kind() == reflect.Int64 && reflect.PointerTo(t).Implements(optionalType)
}

// decodeDuration reads a duration such as 500ms, 2s or 1h30m. All durations in lb.yaml
// are greater than zero.
func (d *document) decodeDuration(path string, node ast.Node, v reflect.Value) {
	const forms = "write it like 500ms, 2s, 1m30s or 1h"
	instead := "leave the key out for the default"
	if v.Addr().Type().Implements(optionalType) {
		instead = "write off for none, or " + instead
	}
	text, isText := textOf(node)
	length, err := time.ParseDuration(text)
	switch {
	case isNumber(node):
		d.fail(path, text+" has no unit", fmt.Sprintf("write %ss for seconds, or %sms", text, text))
	case !isText || err != nil:
		d.fail(path, describe(node)+" is no duration", forms)
	case length <= 0:
		d.fail(path, text+" is not more than zero", instead)
	default:
		v.SetInt(int64(length))
	}
}

// setInteger sets v, an integer of any kind. It reports whether node is an integer that
// fits in v.
func setInteger(node ast.Node, v reflect.Value) bool {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return false
	}
	var value int64
	switch i := n.Value.(type) {
	case int64:
		value = i
	case uint64:
		if i > math.MaxInt64 {
			return false
		}
		value = int64(i)
	}
	if v.CanUint() {
		if value < 0 || v.OverflowUint(uint64(value)) {
			return false
		}
		v.SetUint(uint64(value))
		return true
	}
	if v.OverflowInt(value) {
		return false
	}
	v.SetInt(value)
	return true
}

func isNumber(node ast.Node) bool {
	return node.Type() == ast.IntegerType || node.Type() == ast.FloatType
}

func numberOf(node ast.Node) (float64, bool) {
	text, _ := textOf(node)
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	return n, err == nil && isNumber(node)
}

// textOf returns a scalar as it is written. isText reports whether it is a text.
func textOf(node ast.Node) (text string, isText bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	if joined, ok := addressOf(node); ok {
		return joined, true
	}
	return node.GetToken().Value, false
}

// addressOf returns the text of host:port in a flow list, which the library parses as a
// mapping. A colon without a space after it is part of a plain text (YAML 1.2.2 §7.3.3).
func addressOf(node ast.Node) (string, bool) {
	all := pairs(node)
	if len(all) != 1 || all[0].Start == nil || all[0].Key.Type() == ast.NullType {
		return "", false
	}
	if m, ok := node.(*ast.MappingNode); ok && m.Start.Value == "{" {
		return "", false
	}
	key, value := all[0].Key.GetToken(), all[0].Value.GetToken()
	at := all[0].Start.Position
	plain := key.Type == token.StringType || key.Type == token.IntegerType || key.Type == token.FloatType
	if !plain || value.Position.Line != at.Line || value.Position.Column != at.Column+1 || value.Type != token.IntegerType {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

// describe names what a node is, for errors.
func describe(node ast.Node) string {
	text, _ := textOf(node)
	switch node.Type() {
	case ast.StringType:
		if node.GetToken().Type == token.StringType && strings.Trim(text, "0123456789") == "" {
			return "the number " + text // it is too large to be read as a number
		}
		return "the text " + strconv.Quote(text)
	case ast.LiteralType:
		return "a block of text"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "the number " + text
	case ast.BoolType:
		return "the word " + text
	case ast.SequenceType:
		return "a list"
	default:
		return "a mapping"
	}
}

// pairs returns the keys and values of a mapping, block or flow.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// begin returns where a node begins. A block mapping begins at its first key.
func begin(node ast.Node) spot {
	first := node.GetToken()
	all := pairs(node)
	if m, ok := node.(*ast.MappingNode); len(all) > 0 && !(ok && m.IsFlowStyle) {
		first = all[0].Key.GetToken()
	}
	return where(first)
}

// decodeMap fills a map from names to sections.
func (d *document) decodeMap(path string, node ast.Node, v reflect.Value) {
	if _, ok := node.(ast.MapNode); !ok {
		d.fail(path, describe(node)+" where names and their sections belong", "write NAME: {…}")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, pair := range pairs(node) {
		name, at := pair.Key.GetToken().Value, where(pair.Key.GetToken())
		sub := under(path, name)
		if _, twice := d.keys[sub]; twice {
			d.report(at, sub, "the name is here twice", fmt.Sprintf("the first is in line %d; remove one of them", d.keys[sub].line))
			continue
		}
		if strings.ContainsAny(name, ".[") { // paths have them
			d.report(at, sub, fmt.Sprintf("%q is no name", name), "write small letters, digits and -")
			continue
		}
		d.keys[sub] = at
		entry := reflect.New(v.Type().Elem()).Elem()
		d.decode(sub, pair.Value, entry)
		v.SetMapIndex(reflect.ValueOf(name), entry)
	}
}

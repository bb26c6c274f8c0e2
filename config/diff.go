package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Diff returns what differs between two configurations, in words, in the order of the keys:
//
//	timeouts.tunnel: 1h0m0s → 2h0m0s
//	pool.hosts: ide-4 added: {name: ide-4, address: 10.0.0.14:4000, weight: 1}
//
// It compares values with their defaults, so a key that is left out and a key with the default
// value are the same. What files hold is not compared, only which files they are.
func Diff(before, after *Config) []string {
	var d differences
	d.compare("", reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem())
	return d
}

// secrets are the keys whose values are secrets themselves.
var secrets = map[string]bool{"hash.seed": true}

// differences are lines of text.
type differences []string

func (d *differences) add(path, format string, args ...any) {
	*d = append(*d, path+": "+fmt.Sprintf(format, args...))
}

// compare adds how the value at path has changed.
func (d *differences) compare(path string, before, after reflect.Value) {
	switch {
	case reflect.DeepEqual(before.Interface(), after.Interface()):
	case secrets[path], strings.HasPrefix(path, "pools.") && strings.HasSuffix(path, ".hash.seed"):
		d.add(path, "changed")
	case before.Kind() == reflect.Struct && len(fieldsOf(before.Type())) > 0:
		for _, f := range fieldsOf(before.Type()) {
			d.compare(under(path, f.key), before.FieldByIndex(f.index), after.FieldByIndex(f.index))
		}
	case before.Kind() == reflect.Pointer && !before.IsNil() && !after.IsNil():
		d.compare(path, before.Elem(), after.Elem())
	case before.Kind() == reflect.Slice:
		d.compareLists(path, before, after)
	case before.Kind() == reflect.Map:
		d.compareMaps(path, before, after)
	default:
		d.add(path, "%s → %s", inWords(before), inWords(after))
	}
}

// compareLists adds which items of a list have come, gone or changed, and whether the order
// has. Items are the same if they have the same identity.
func (d *differences) compareLists(path string, before, after reflect.Value) {
	was, is := itemsOf(before), itemsOf(after)
	for _, id := range was.order {
		if _, left := is.items[id]; !left {
			d.add(path, "%s removed", id)
		}
	}
	var stayed []string
	for _, id := range is.order {
		old, known := was.items[id]
		if !known {
			d.addItem(path, id, is.items[id])
			continue
		}
		stayed = append(stayed, id)
		d.compare(path+"["+id+"]", old, is.items[id])
	}
	var order []string
	for _, id := range was.order {
		if _, left := is.items[id]; left {
			order = append(order, id)
		}
	}
	if strings.Join(stayed, "\n") != strings.Join(order, "\n") {
		d.add(path, "in another order: %s", strings.Join(is.order, ", "))
	}
}

// compareMaps adds which entries of a map have come, gone or changed.
func (d *differences) compareMaps(path string, before, after reflect.Value) {
	names := map[string]bool{}
	for _, v := range []reflect.Value{before, after} {
		for _, name := range v.MapKeys() {
			names[name.String()] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		sub := under(path, name)
		was, is := before.MapIndex(reflect.ValueOf(name)), after.MapIndex(reflect.ValueOf(name))
		switch {
		case !is.IsValid():
			d.add(sub, "removed")
		case !was.IsValid():
			d.add(sub, "added")
		default:
			d.compare(sub, was, is)
		}
	}
}

// addItem adds that an item has come.
func (d *differences) addItem(path, id string, item reflect.Value) {
	if text := inWords(item); text != id {
		d.add(path, "%s added: %s", id, text)
		return
	}
	d.add(path, "%s added", id)
}

// items are the items of a list by their identity.
type items struct {
	order []string
	items map[string]reflect.Value
}

// itemsOf returns the items of a list. The identity of an item is its first field with a
// text, such as a name or an address; or the item in words, if it has no such field or knows
// how it is written. If others have the same, a number is added.
func itemsOf(list reflect.Value) items {
	all := items{items: map[string]reflect.Value{}}
	for i := range list.Len() {
		item := list.Index(i)
		id := inWords(item)
		if _, named := item.Interface().(fmt.Stringer); item.Kind() == reflect.Struct && !named {
			for _, f := range fieldsOf(item.Type()) {
				if v := item.FieldByIndex(f.index); v.Kind() == reflect.String && v.Len() > 0 {
					id = v.String()
					break
				}
			}
		}
		for n, first := 2, id; ; n++ {
			if _, taken := all.items[id]; !taken {
				break
			}
			id = fmt.Sprintf("%s (number %d)", first, n)
		}
		all.order, all.items[id] = append(all.order, id), item
	}
	return all
}

// inWords returns a value as it could stand in lb.yaml.
func inWords(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok && !(v.Kind() == reflect.Pointer && v.IsNil()) {
		return s.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nothing"
		}
		return inWords(v.Elem())
	case reflect.String:
		if v.Len() == 0 {
			return "nothing"
		}
		return v.String()
	case reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, inWords(v.Index(i)))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case reflect.Struct:
		var all []string
		for _, f := range fieldsOf(v.Type()) {
			if field := v.FieldByIndex(f.index); !field.IsZero() {
				all = append(all, f.key+": "+inWords(field))
			}
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

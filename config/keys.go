package config

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"tokenring/balancer"
	"tokenring/gslb"
	"tokenring/proxy/affinity"
	"tokenring/proxy/fields"
	"tokenring/proxy/localreply"
	"tokenring/proxy/routing"
)

// A Form is what the value of a key looks like.
type Form string

// The forms of values. A list is one of its items' form, with [] at the end of the path.
const (
	FormSection  Form = "section"
	FormText     Form = "text"
	FormWhole    Form = "whole number"
	FormNumber   Form = "number"
	FormDuration Form = "duration"
	FormFlag     Form = "true or false"
	FormKeyRule  Form = "place of the key"   // see balancer.KeyRule
	FormTexts    Form = "text or list"       // of texts
	FormFields   Form = "fields by name"     // see fields.Values
	FormPages    Form = "files by status"    // see localreply.Templates
	FormNetworks Form = "regions by network" // see gslb.Networks
)

// AnyName is the part of a key's path that stands for a name: pools.NAME.hosts[].name.
const AnyName = "NAME"

// A Key is a key that lb.yaml may have.
type Key struct {
	Path    string // such as hash.policy or pool.hosts[].name
	Form    Form   // of the value, or of each item of a list
	Off     bool   // the value may be off
	Default string // as lb.yaml would have it; "" if there is none that Parse sets
}

// sample is a configuration in which each section is that has defaults.
const sample = `
name: lb-1
listen: [{address: ":80"}]
pool: {hosts: [{name: ide-1, address: "127.0.0.1:1"}]}
affinity: {cookie: {}}
sessions: {second_chance: {header: X-Lb-Second-Chance}}
pools: {NAME: {hosts: [{name: a1, address: "127.0.0.1:1"}], affinity: {cookie: {}}}}
gslb: {zone: {name: ide.example.com}, regions: {NAME: {addresses: [{address: 192.0.2.10}]}}}
`

// Keys returns all keys that lb.yaml may have, in the order of their sections' fields, with
// the defaults that Parse sets.
func Keys() []Key {
	d := newDocument("lb.yaml", []byte(sample))
	cfg := &Config{}
	d.decode("", d.parse([]byte(sample)), reflect.ValueOf(cfg).Elem())
	cfg.setDefaults(d)
	cfg.Name, cfg.GSLB.Zone.Name = "", "" // the machine's, and none
	return keysUnder("", reflect.ValueOf(cfg).Elem(), nil)
}

// keysUnder appends the keys of a struct, whose path is given.
func keysUnder(path string, v reflect.Value, all []Key) []Key {
	for _, f := range fieldsOf(v.Type()) {
		all = keysOfField(under(path, f.key), v.FieldByIndex(f.index), all)
	}
	return all
}

// keysOfField appends the key of a field, and those of what it has.
func keysOfField(path string, v reflect.Value, all []Key) []Key {
	set := true
	if v.Kind() == reflect.Pointer {
		if set = !v.IsNil(); !set {
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	key := Key{Path: path, Off: reflect.PointerTo(v.Type()).Implements(optionalType)}
	key.Form = formOf(v.Type())
	switch {
	case key.Form != "":
		if set {
			key.Default = written(v)
		}
		return append(all, key)
	case v.Kind() == reflect.Map:
		key.Form = FormSection
		one := v.MapIndex(reflect.ValueOf(AnyName))
		if !one.IsValid() {
			one = reflect.New(v.Type().Elem()).Elem()
		}
		return keysOfField(under(path, AnyName), one, append(all, key))
	case v.Kind() == reflect.Slice:
		return keysOfField(path+"[]", reflect.New(v.Type().Elem()).Elem(), all)
	}
	key.Form = FormSection
	return keysUnder(path, v, append(all, key))
}

// formOf returns the form of a scalar's type, "" for a section or a list.
func formOf(t reflect.Type) Form {
	if isDuration(t) {
		return FormDuration
	}
	switch t {
	case reflect.TypeFor[balancer.KeyRule]():
		return FormKeyRule
	case reflect.TypeFor[affinity.SecretFiles](), reflect.TypeFor[routing.Methods]():
		return FormTexts
	case reflect.TypeFor[fields.Values]():
		return FormFields
	case reflect.TypeFor[localreply.Templates]():
		return FormPages
	case reflect.TypeFor[gslb.Networks]():
		return FormNetworks
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer:
		return ""
	case reflect.String:
		return FormText
	case reflect.Bool:
		return FormFlag
	case reflect.Float64:
		return FormNumber
	default:
		return FormWhole
	}
}

// written returns a scalar as lb.yaml has it, "" for the zero value.
func written(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Slice, reflect.Struct:
		return ""
	}
	if isDuration(v.Type()) {
		return shortDuration(time.Duration(v.Int()))
	}
	return fmt.Sprint(v.Interface())
}

// shortDuration writes a duration without the zeros that its String has: 10m, not 10m0s.
func shortDuration(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%unit.of == 0 {
			return strconv.FormatInt(int64(d/unit.of), 10) + unit.name
		}
	}
	return d.String()
}

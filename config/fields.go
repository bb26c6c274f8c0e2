package config

import (
	"reflect"
	"slices"
	"strings"
)

// A field is one of a struct's, with its key.
type field struct {
	key   string
	index []int // for reflect.Value.FieldByIndex
	is    reflect.Type
}

// fieldsOf returns the exported fields of a struct, in their order, without those whose key is
// "-". An inline field is replaced by the fields of its struct. If a later field has the
// same key as one of these, it replaces that one.
func fieldsOf(t reflect.Type) (fields []field) {
	for f := range t.Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inner := slices.IndexFunc(fields, func(inner field) bool { return inner.key == key })
		switch {
		case !f.IsExported(), key == "-":
		case inner >= 0:
			fields[inner] = field{key, f.Index, f.Type}
		case option == "inline":
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append(slices.Clone(f.Index), inner.index...)
				fields = append(fields, inner)
			}
		default:
			fields = append(fields, field{key, f.Index, f.Type})
		}
	}
	return fields
}

// keysOf returns the keys of a struct's fields, in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// fieldOf returns the index of the field that has a key, false if there is none.
func fieldOf(t reflect.Type, key string) (index []int, ok bool) {
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return f.index, true
		}
	}
	return nil, false
}

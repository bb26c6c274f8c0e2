package config

import (
	"reflect"
	"strings"
)

// looksSecret reports whether a key's value may be a secret.
func looksSecret(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"secret", "password", "passwd", "passphrase", "token", "key", "credential", "seed"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// nearest returns the known key that key is most likely meant to be: another spelling, a
// prefix, or up to two typing errors. It is "" if no known key is near enough.
func nearest(key string, known []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	}
	best, least := "", min(2, len(key)/3)+1
	for _, k := range known {
		if plain(k) == plain(key) {
			return k
		}
		if n := editDistance(plain(key), plain(k)); n < least {
			best, least = k, n
		}
	}
	if best != "" || len(key) < 3 {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(plain(k), plain(key)) || strings.HasPrefix(plain(key), plain(k)) && len(k) > 2 {
			return k
		}
	}
	return ""
}

// editDistance returns how many letters must be inserted, removed, replaced or swapped
// with their neighbour to get from a to b (optimal string alignment distance).
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// pathOf returns the path of a key that lb.yaml has in another section. It is "" if no
// section has the key, or several have.
func pathOf(key string) string {
	found := pathsOf("", key, reflect.TypeFor[Config]())
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

func pathsOf(path, key string, t reflect.Type) (found []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			path += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshalerType) {
		return nil
	}
	for _, f := range fieldsOf(t) {
		if f.key == key {
			found = append(found, under(path, f.key))
		}
		found = append(found, pathsOf(under(path, f.key), key, f.is)...)
	}
	return found
}

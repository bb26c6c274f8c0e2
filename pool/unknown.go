package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// What a later version of this software has written, this one keeps: fields that it
// doesn't know, entries of lists that it can't read, and lists of which it has never
// heard are in the file again when it writes the file. So a balancer can be taken
// back to an earlier version, and forward again.

// maxUnknown bounds the unknown fields of one entry, in bytes of JSON.
const maxUnknown = 1024

// A leftover is what a state file holds beside the entries that were understood.
type leftover struct {
	version int                          // of the file; 0 if there is none
	members map[string]json.RawMessage   // unknown ones of the file's object
	entries map[string][]json.RawMessage // by list: those that weren't understood
}

// parseLists reads the JSON object of a state file, whose lists are handed to the
// funcs of their names, entry by entry. An entry for which that is an error is left
// over. After an error nothing is known of the file but its version, if it has one.
func parseLists(b []byte, lists map[string]func(json.RawMessage) error) (leftover, error) {
	l := leftover{entries: map[string][]json.RawMessage{}}
	if err := json.Unmarshal(b, &l.members); err != nil {
		return l, err
	}
	if err := json.Unmarshal(l.members["version"], &l.version); err != nil || l.version < 1 {
		return l, errors.New("it doesn't say its version")
	}
	delete(l.members, "version")
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		var entries []json.RawMessage
		if list, ok := l.members[name]; ok {
			if err := json.Unmarshal(list, &entries); err != nil {
				return l, fmt.Errorf("%s: %w", name, err)
			}
		}
		delete(l.members, name)
		for _, entry := range entries {
			if lists[name](entry) != nil {
				l.entries[name] = append(l.entries[name], entry)
			}
		}
	}
	return l, nil
}

// addTo returns file, a JSON object, with what l holds beside its own.
func (l leftover) addTo(file []byte) ([]byte, error) {
	if len(l.members)+len(l.entries) == 0 {
		return file, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(file, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, l.members)
	for name, strange := range l.entries {
		var entries []json.RawMessage
		if list, ok := all[name]; ok {
			if err := json.Unmarshal(list, &entries); err != nil {
				return nil, err
			}
		}
		list, err := encodeJSON(append(entries, strange...))
		if err != nil {
			return nil, err
		}
		all[name] = list
	}
	return encodeJSON(all)
}

// alarm says that the file of that name holds what isn't in force; "" if it doesn't.
func (l leftover) alarm(name string) string {
	n := len(l.members)
	for _, entries := range l.entries {
		n += len(entries)
	}
	if n == 0 {
		return ""
	}
	var what []string
	for list, entries := range l.entries {
		what = append(what, fmt.Sprintf("%d of %.40q", len(entries), list))
	}
	for member := range l.members {
		what = append(what, fmt.Sprintf("%.40q", member))
	}
	slices.Sort(what)
	return fmt.Sprintf("%s holds what this version of lb doesn't understand (%s): it is kept there but isn't in force; run the version that wrote it",
		name, strings.Join(what[:min(len(what), maxNamed)], ", "))
}

// unknownAlarm says about which hosts there are decisions with more to them than is
// in force here; "" if there are none.
func (r registers) unknownAlarm() string {
	var hosts []string
	for _, d := range r {
		if d.Unknown != "" {
			hosts = append(hosts, d.Host)
		}
	}
	if len(hosts) == 0 {
		return ""
	}
	slices.Sort(hosts)
	return fmt.Sprintf("decisions about %s have more to them than this version of lb understands: that is kept but isn't in force here; run the version that they come from",
		few(slices.Compact(hosts)))
}

// fieldsOf returns the JSON names of T's fields, in lower case: encoding/json doesn't
// mind case.
func fieldsOf[T any]() map[string]bool {
	names := map[string]bool{}
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[strings.ToLower(name)] = true
	}
	return names
}

// unknownFields returns the members of a JSON object that aren't known, as an object
// of their own; "" if there are none.
func unknownFields(object []byte, known map[string]bool) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return "", err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return known[strings.ToLower(name)] })
	if len(all) == 0 {
		return "", nil
	}
	b, err := encodeJSON(all)
	return string(b), err
}

// withUnknown returns the JSON object of v, a struct with at least one field in it,
// with the members of another object, or of none if that is "", behind its own.
func withUnknown(v any, object string) ([]byte, error) {
	b, err := encodeJSON(v)
	if err != nil || object == "" {
		return b, err
	}
	return slices.Concat(b[:len(b)-1], []byte{','}, []byte(object[1:])), nil
}

// checkUnknown says what is wrong with the unknown fields of an entry.
func checkUnknown(object string) error {
	if len(object) > maxUnknown {
		return fmt.Errorf("it has %d bytes that this version doesn't understand, at most %d are possible", len(object), maxUnknown)
	}
	return nil
}

// encodeJSON writes v without escaping for HTML, which would make a decision too
// long for a gossip packet.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

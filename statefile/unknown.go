package statefile

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

// This version preserves what a later version has written: when it writes a file, it
// writes back unknown fields, list entries that it can't read, and unknown lists. So an
// operator can go back to an earlier version, and forward again.

// MaxUnknown bounds the unknown fields of one entry, in bytes of JSON.
const MaxUnknown = 1024

// maxNamed is how many unknown parts an alarm names.
const maxNamed = 4

// An Unknown holds the parts of a state file that weren't understood. Its zero value
// holds nothing.
type Unknown struct {
	version int                          // of the file; 0 if there is none
	members map[string]json.RawMessage   // the unknown members of the file's object
	entries map[string][]json.RawMessage // by list: those that weren't understood
}

// ParseLists reads the JSON object of a state file. It calls the func of a list's name
// for each entry of that list. An entry is unknown if the func returns an error. After
// an error of ParseLists the result has at most the version of the file.
func ParseLists(b []byte, lists map[string]func(json.RawMessage) error) (Unknown, error) {
	u := Unknown{entries: map[string][]json.RawMessage{}}
	if err := json.Unmarshal(b, &u.members); err != nil {
		return u, err
	}
	if err := json.Unmarshal(u.members["version"], &u.version); err != nil || u.version < 1 {
		return u, errors.New("it doesn't say its version")
	}
	delete(u.members, "version")
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		var entries []json.RawMessage
		if list, ok := u.members[name]; ok {
			if err := json.Unmarshal(list, &entries); err != nil {
				return u, fmt.Errorf("%s: %w", name, err)
			}
		}
		delete(u.members, name)
		for _, entry := range entries {
			if lists[name](entry) != nil {
				u.entries[name] = append(u.entries[name], entry)
			}
		}
	}
	return u, nil
}

// Entry returns a func for ParseLists that decodes an entry, checks it, and adds it.
func Entry[T any](check func(T) error, add func(T)) func(json.RawMessage) error {
	return func(b json.RawMessage) error {
		var entry T
		if err := json.Unmarshal(b, &entry); err != nil {
			return err
		}
		if err := check(entry); err != nil {
			return err
		}
		add(entry)
		return nil
	}
}

// AddTo returns file, a JSON object, with the members and entries of u added.
func (u Unknown) AddTo(file []byte) ([]byte, error) {
	if u.IsEmpty() {
		return file, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(file, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, u.members)
	for name, unknown := range u.entries {
		var entries []json.RawMessage
		if list, ok := all[name]; ok {
			if err := json.Unmarshal(list, &entries); err != nil {
				return nil, err
			}
		}
		list, err := EncodeJSON(append(entries, unknown...))
		if err != nil {
			return nil, err
		}
		all[name] = list
	}
	return EncodeJSON(all)
}

// Alarm returns an alarm if the file of that name has unknown parts, and otherwise "".
func (u Unknown) Alarm(name string) string {
	n := len(u.members)
	for _, entries := range u.entries {
		n += len(entries)
	}
	if n == 0 {
		return ""
	}
	var what []string
	for list, entries := range u.entries {
		what = append(what, fmt.Sprintf("%d of %.40q", len(entries), list))
	}
	for member := range u.members {
		what = append(what, fmt.Sprintf("%.40q", member))
	}
	slices.Sort(what)
	return fmt.Sprintf("%s holds what this version of lb doesn't understand (%s): it is kept there but isn't in force; run the version that wrote it",
		name, strings.Join(what[:min(len(what), maxNamed)], ", "))
}

// FieldNames returns the JSON names of T's fields, including those of embedded structs.
// They are in lower case, since encoding/json ignores case.
func FieldNames[T any]() map[string]bool {
	names := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[strings.ToLower(name)] = true
	}
	return names
}

// UnknownFields returns an object with the members of a JSON object that aren't known.
// It returns "" if there are none.
func UnknownFields(object []byte, known map[string]bool) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return "", err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return known[strings.ToLower(name)] })
	if len(all) == 0 {
		return "", nil
	}
	b, err := EncodeJSON(all)
	return string(b), err
}

// WithUnknown returns the JSON object of v with the members of the JSON object unknown
// added. v must be a struct that has at least one field in JSON. unknown may be "".
func WithUnknown(v any, unknown string) ([]byte, error) {
	b, err := EncodeJSON(v)
	if err != nil || unknown == "" {
		return b, err
	}
	return slices.Concat(b[:len(b)-1], []byte{','}, []byte(unknown[1:])), nil
}

// CheckUnknown returns an error if the unknown fields of an entry are too long.
func CheckUnknown(object string) error {
	if len(object) > MaxUnknown {
		return fmt.Errorf("it has %d bytes that this version doesn't understand, at most %d are possible", len(object), MaxUnknown)
	}
	return nil
}

// EncodeJSON returns v as JSON without escapes for HTML, which would make it longer.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Version returns the version of the file, 0 if there is no file.
func (u Unknown) Version() int { return u.version }

// IsEmpty reports whether the file has no unknown parts.
func (u Unknown) IsEmpty() bool { return len(u.members)+len(u.entries) == 0 }

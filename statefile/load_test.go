package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPuttingAsideReplacesNoFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	for i, row := range []struct{ content, want string }{
		{"first", path + ".corrupt"}, {"second", path + ".corrupt-2"}, {"first", path + ".corrupt"}, {"second", path + ".corrupt-2"}, {"third", path + ".corrupt-3"},
	} {
		got, err := putAside(path, ".corrupt", []byte(row.content))
		kept, readErr := os.ReadFile(got)
		if err != nil || got != row.want || readErr != nil || string(kept) != row.content {
			t.Errorf("step %d: got %s, %v, which holds %q, %v; want %s", i, got, err, kept, readErr, row.want)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want nothing at the path itself", err)
	}
}

func TestOnlyFilesThatWerePutAsideAreListed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.json", "a.json.corrupt-2", "a.json.corrupt", "a.json.version-3", "a.json.bak", "b.json.corrupt", "c.json.corrupt"} {
		put(t, filepath.Join(dir, name), "x", 0o600)
	}
	got, err := PutAside(dir, "b.json", "a.json")
	if want := []string{"a.json.corrupt", "a.json.corrupt-2", "a.json.version-3", "b.json.corrupt"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := PutAside(filepath.Join(dir, "nowhere"), "a.json"); err == nil {
		t.Error("a directory that isn't there: no error")
	}
}

func TestFieldNamesCountThoseOfEmbeddedStructs(t *testing.T) {
	type Inner struct {
		Zone string `json:"zone,omitempty"`
	}
	got := FieldNames[struct {
		Inner
		ID int `json:"ID"`
	}]()
	if !got["zone"] || !got["id"] {
		t.Errorf("got %v, want zone and id", got)
	}
}

package tlsterm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/acme/autocert"
)

func TestOnlyTheOwnerCanReadCachedKeys(t *testing.T) {
	dir := t.TempDir()
	c := newKeyCache(dir)
	key := []byte(strings.Repeat("a key ", 10))
	open := filepath.Join(dir, "acme_account+key") // of a version that wrote it for all users of the machine
	if err := errors.Join(os.WriteFile(open, []byte("old"), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := c.Put(t.Context(), "acme_account+key", key); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), "acme_account+key"); err != nil || string(got) != string(key) {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "acme_account+key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v; want mode 0600", info, err)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("there is more than the key: %v", all)
	}
	if err := c.Delete(t.Context(), "acme_account+key"); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), "acme_account+key"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("once it is deleted: got %v, want a miss", err)
	}
}

// With an empty account key in its cache autocert would never order again.
func TestAnEmptyKeyCountsAsMissing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "zeros": strings.Repeat("\x00", 227), "short": "-----BEGIN EC P"} {
		write(t, filepath.Join(dir, name), []byte(text))
		if _, err := newKeyCache(dir).Get(t.Context(), name); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("%s: got %v, want a miss", name, err)
		}
	}
}

func TestACacheThatCannotBeWrittenIsAnError(t *testing.T) {
	if err := newKeyCache(filepath.Join(t.TempDir(), "none")).Put(t.Context(), "key", nil); err == nil {
		t.Error("no error")
	}
}

package announcement

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tokenring/route"
)

func TestASignatureIsOfAllThatIsAnnounced(t *testing.T) {
	identity := NewIdentity()
	b, err := identity.Sign(hostMeta("ide-1"), "test", gossipAt(1))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(b)
	if err != nil || m.Key != identity.Key() || m.Gossip != gossipAt(1) || m.Spec != hostMeta("ide-1").Spec {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := Verify(b, m.Key, "test"); err != nil {
		t.Error(err)
	}
	for i := range b {
		other := bytes.Clone(b)
		other[i] ^= 1
		if Verify(other, m.Key, "test") == nil {
			t.Errorf("byte %d of %d may be another", i, len(b))
		}
	}
	for n := range b {
		if Verify(b[:n], m.Key, "test") == nil {
			t.Errorf("%d bytes of %d are enough", n, len(b))
		}
	}
	if Verify(b, NewIdentity().Key(), "test") == nil || Verify(b, m.Key, "test2") == nil || Verify(b, route.HostKey{}, "test") == nil {
		t.Error("another key or label is fine, too")
	}
	if more := append(bytes.Clone(b), 0); Verify(more, m.Key, "test") == nil {
		t.Error("something may follow the signature")
	}
}

// TestSignaturesStayAsTheyAre: a process of this version is in a region with those of
// others, which must be able to verify what it announces.
func TestSignaturesStayAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, KeyName), []byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := hostMeta("ide-1")
	m.Signature = Signature{Key: i.Key(), Sequence: 1767323045000, Gossip: gossipAt(1)}
	b, err := i.sign(m, "test")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "host-signature.hex", []byte(hex.Dump(b)))
}

func TestAnIdentityIsKeptAndItsNumbersGrow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "agent")
	first, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, KeyName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has the mode %v, %v; want 0600", info.Mode(), err)
	}
	var last uint64
	grows := func(i *Identity, now time.Time) {
		t.Helper()
		n, err := i.next(now)
		if err != nil || n <= last {
			t.Errorf("number %d after %d, %v", n, last, err)
		}
		last = n
	}
	grows(first, at(0))
	grows(first, at(0))
	grows(first, at(5000))
	again, err := OpenIdentity(dir)
	if err != nil || again.Key() != first.Key() {
		t.Fatalf("the next run has the key %s after %s, %v", again.Key(), first.Key(), err)
	}
	grows(again, at(-3600_000)) // the clock was set back
	grows(again, time.Time{})
	grows(again, at(10_000))
	if last != uint64(at(10_000).UnixMilli()) {
		t.Errorf("the number is %d; want that of the clock", last)
	}
	if other := NewIdentity(); other.Key() == first.Key() || other.Key().IsZero() {
		t.Errorf("another identity has the key %s", other.Key())
	}
}

func TestAnIdentityThatCantBeReadIsNotReplaced(t *testing.T) {
	for what, file := range map[string][2]string{
		"a short key":           {KeyName, "abcdef"},
		"something else":        {KeyName, "this is no key but a text of many words"},
		"a key of another size": {KeyName, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj"},
		"no number":             {SequenceName, "x"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, file[0])
		if err := os.WriteFile(path, []byte(file[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenIdentity(dir); err == nil {
			t.Errorf("%s: taken", what)
		} else if bytes.Contains([]byte(err.Error()), []byte(file[1])) && len(file[1]) > 1 {
			t.Errorf("%s: the error shows what is in the file: %v", what, err)
		}
		if b, _ := os.ReadFile(path); string(b) != file[1] {
			t.Errorf("%s: the file holds %q", what, b)
		}
	}
}

package balancer

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

func TestDigestIsATruncatedHMAC(t *testing.T) {
	secret := []byte("a secret of sixteen or more bytes")
	d := NewDigester(secret)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("alice"))
	want := fmt.Sprintf("%x", mac.Sum(nil))[:12]
	clear(secret) // the Digester has its own copy
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if got := d.Digest([]byte("alice")); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	group.Wait()
}

func TestDigestDependsOnKeyAndSecret(t *testing.T) {
	a, b := NewDigester([]byte("secret a")), NewDigester([]byte("secret b"))
	if a.Digest([]byte("alice")) == a.Digest([]byte("bob")) {
		t.Error("two keys have the same digest")
	}
	if a.Digest([]byte("alice")) == b.Digest([]byte("alice")) {
		t.Error("the digest is the same under another secret")
	}
}

func TestNothingIsDigestedWithoutKeyOrSecret(t *testing.T) {
	for name, got := range map[string]string{
		"no key":     NewDigester([]byte("secret")).Digest(nil),
		"no secret":  NewDigester(nil).Digest([]byte("alice")),
		"zero value": Digester{}.Digest([]byte("alice")),
	} {
		if got != "" {
			t.Errorf("%s: got %q, want nothing", name, got)
		}
	}
}

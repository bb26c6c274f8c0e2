package announcement

import (
	"fmt"
	"testing"

	"tokenring/route"
)

// admitFirst has keys admit the first announcement of a host, which signs it.
func admitFirst(t *testing.T, keys *Keys, name string, present func(string) bool) {
	t.Helper()
	b, err := NewIdentity().Sign(hostMeta(name), "test", gossipAt(1))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if reason, err := keys.Admit(Received{Metadata: m, Raw: string(b), Label: "test", From: gossipAt(1)}, present); err != nil {
		t.Fatalf("%s is refused: %s, %v", name, reason, err)
	}
}

// TestKeysAreBounded: names cost nothing.
func TestKeysAreBounded(t *testing.T) {
	keys := NewKeys(false)
	keys.SetKey("kept", NewIdentity().Key())
	present := func(host string) bool { return host == "ide-0" }
	admitFirst(t, keys, "ide-0", present)
	for i := range MaxKeys + 9 {
		name := fmt.Sprintf("h-%d", i)
		keys.hosts[name] = &knownHost{key: NewIdentity().Key()}
	}
	admitFirst(t, keys, "another", present)
	if n := len(keys.hosts); n != 3 || keys.hosts["kept"] == nil || keys.hosts["ide-0"] == nil || keys.hosts["another"] == nil {
		t.Errorf("%d keys are known; want those of a member, of what is kept, and the last one", n)
	}
}

func TestClaimsAreBounded(t *testing.T) {
	keys := NewKeys(false)
	for i := range maxClaims + 10 {
		keys.claimLocked(hostMeta(fmt.Sprintf("h-%d", i)), t0)
	}
	if n := len(keys.claims); n != maxClaims {
		t.Errorf("%d names are claimed", n)
	}
	for i := range 10 {
		keys.claimLocked(Metadata{Spec: route.Spec{Name: "h-1"}, Signature: Signature{Key: route.HostKey{byte(i + 1)}}}, t0)
	}
	if n := len(keys.claims["h-1"]); n != maxClaimsAName {
		t.Errorf("a name is claimed by %d keys", n)
	}
}

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSmallerWeightsAreNoRemedyOnHAProxysRing: they would move the tokens that its
// policy is there to keep in place.
func TestSmallerWeightsAreNoRemedyOnHAProxysRing(t *testing.T) {
	text := "listen: [{address: \":80\"}]\nhash: {policy: haproxy}\npool:\n  hosts:\n"
	for i := range 260 {
		text += fmt.Sprintf("    - {name: ide-%d, id: %d, address: \"10.0.%d.%d:4000\", weight: 256}\n", i, i+1, i/250, i%250+1)
	}
	path := filepath.Join(t.TempDir(), "lb.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	if err == nil || !strings.Contains(err.Error(), "no room") || !strings.Contains(err.Error(), "other weights move tokens") {
		t.Errorf("got %v", err)
	}
}

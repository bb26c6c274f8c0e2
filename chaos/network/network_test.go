package network

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// newNodes returns a network with two nodes.
func newNodes(t *testing.T) (n *Network, a, b *Node) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	n = New()
	t.Cleanup(n.Close)
	var err error
	if a, err = n.Add("a", netip.MustParseAddr("10.77.9.1")); err == nil {
		b, err = n.Add("b", netip.MustParseAddr("10.77.9.2"), netip.MustParseAddr("10.77.9.3"))
	}
	if err != nil {
		t.Skipf("this machine makes no such network: %v", err)
	}
	return n, a, b
}

// talk has b listen at an address and a send one line there; it returns what has come within a while.
func talk(t *testing.T, a, b *Node, address string, patience time.Duration) string {
	t.Helper()
	var got strings.Builder
	server := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=TestHelper", "--", "listen", address, patience.String())
	client := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=TestHelper", "--", "dial", address, patience.String())
	server.Stdout = &got
	if err := b.Start(server); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(client); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	_ = server.Wait()
	text, _, _ := strings.Cut(got.String(), "\n")
	return text
}

func TestNodesReachEachOtherUnlessTheyAreCutOff(t *testing.T) {
	n, a, b := newNodes(t)
	const plenty, little = 20 * time.Second, time.Second
	for _, address := range []string{"10.77.9.2:5000", "10.77.9.3:5000"} {
		if got := talk(t, a, b, address, plenty); got != "hello" {
			t.Errorf("%s: got %q", address, got)
		}
	}
	n.Set(b, a, Condition{Cut: true})
	if got := talk(t, a, b, "10.77.9.2:5000", little); got == "hello" {
		t.Error("what a sent came, though no answer of b reaches it")
	}
	n.Both(a, b, Condition{Delay: 20 * time.Millisecond})
	if got := talk(t, a, b, "10.77.9.2:5000", plenty); got != "hello" {
		t.Errorf("with delay: got %q", got)
	}
	n.Both(a, b, Condition{Loss: 1})
	if got := talk(t, a, b, "10.77.9.2:5000", little); got == "hello" {
		t.Error("it came, though all is lost")
	}
	n.Both(a, b, Condition{})
	if got := talk(t, a, b, "10.77.9.2:5000", plenty); got != "hello" {
		t.Errorf("when all is well again: got %q", got)
	}
}

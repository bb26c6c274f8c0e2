package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestADemoHostListensOnItsAddressOnly: a demo on loopback is nobody else's.
func TestADemoHostListensOnItsAddressOnly(t *testing.T) {
	key := filepath.Join(t.TempDir(), "pool.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	port := testPort()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan output)
	go func() {
		ended <- runProgram(ctx, t, "agent", "--demo", "--name=a", fmt.Sprintf("--address=127.0.0.2:%d", port),
			"--bind=127.0.0.1:0", "--join=127.0.0.1:1", "--secret-file="+key)
	}()
	defer func() { cancel(); <-ended }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.2:%d", port))
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		t.Error("it listens on other addresses, too")
	}
}

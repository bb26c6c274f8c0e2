package edge

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestAccessIsInForce at the top, for a listener and for a route; its files are read again when they
// change.
func TestAccessIsInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "deny.txt")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("192.0.2.1\n")
	e, err := open(parsed(t, dir, `
listen:
  - {address: "127.0.0.1:0"}
  - {address: "127.0.0.1:0", access: {allow: [10.0.0.0/8]}}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
access: {deny_file: deny.txt}
routes:
  - {path: /office, respond: {status: 410}, access: {allow: [10.0.0.0/8]}}
  - {path: /gone, respond: {status: 410}}
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	open, office := "http://"+e.sockets.Clients[0].Addr().String(), "http://"+e.sockets.Clients[1].Addr().String()
	for url, want := range map[string]int{open + "/gone": 410, open + "/office": 403, office + "/gone": 0} {
		if got := statusOf(t, url); got != want {
			t.Errorf("%s: got %d, want %d", url, got, want)
		}
	}
	put("127.0.0.0/8 # and so nobody\n")
	awaits(t, "the changed file", func() bool { return statusOf(t, open+"/gone") == 0 })
	put("nonsense that is no network\n")
	awaits(t, "an alarm", func() bool { return len(e.fileProblems()) == 1 })
	if got := statusOf(t, open+"/gone"); got != 0 {
		t.Errorf("after nonsense: got %d, want no answer", got)
	}
	put("192.0.2.1\n")
	awaits(t, "the file as it was", func() bool { return statusOf(t, open+"/gone") == 410 && len(e.fileProblems()) == 0 })
}

// awaits waits until ok is true.
func awaits(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

package edge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestUsersOfRoutesAreInForce, and their file is read again when it changes.
func TestUsersOfRoutesAreInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const hash = "$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6" // of "correct horse"
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "admin.htpasswd"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("eva:" + hash + "\n")
	e, err := open(parsed(t, dir, `
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
routes: [{path: /gone, respond: {status: 410}, basic_auth: {file: admin.htpasswd}}]
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	status := func(name string) int {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.sockets.Clients[0].Addr().String()+"/gone", nil)
		r.SetBasicAuth(name, "correct horse")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if eva, bob := status("eva"), status("bob"); eva != 410 || bob != 401 {
		t.Errorf("eva gets %d, bob %d", eva, bob)
	}
	put("# somebody new\nbob:" + hash + "\n")
	awaits(t, "the changed file", func() bool { return status("bob") == 410 })
	if eva := status("eva"); eva != 401 {
		t.Errorf("eva gets %d, though she isn't there any more", eva)
	}
	put("carl:plain text that is no hash\n")
	awaits(t, "an alarm", func() bool { return len(e.fileProblems()) == 1 })
	if bob := status("bob"); bob != 410 {
		t.Errorf("bob gets %d, though the changed file can't be used", bob)
	}
}

package region

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestDescendantsAreFound(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'sleep 60; :' & sleep 60; :")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range append(descendants(cmd.Process.Pid), cmd.Process.Pid) {
			p, _ := os.FindProcess(pid)
			_ = p.Kill()
		}
		_ = cmd.Wait()
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // two sleeps and a shell
		got := descendants(cmd.Process.Pid)
		if len(got) == 3 {
			if all := descendants(os.Getpid()); !slices.Contains(all, cmd.Process.Pid) || len(all) < 4 {
				t.Errorf("of this process: %v, which lacks some of %v", all, got)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got %v, want three processes", got)
		}
	}
}

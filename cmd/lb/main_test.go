package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tokenring/testlog"
)

func TestMain(m *testing.M) {
	if options := os.Getenv("GORACE"); !strings.Contains(options, "atexit_sleep_ms") { // else each process under the race detector sleeps a second at its end
		_ = os.Setenv("GORACE", options+" atexit_sleep_ms=10")
	}
	_ = flag.Set("test.parallel", "10") // the default: parallel tests wait for the demo's timers, not for a processor
	testscript.Main(m, map[string]func(){
		"lb":   main,
		"curl": curl,
	})
}

var update = flag.Bool("update", false, "rewrite what the stories expect")

// TestCommandLine runs the stories of the command line.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "../../testdata/lb", UpdateScripts: *update, Setup: hostsWithAnswers})
}

// ownLoopback returns an address of loopback, one of 16 million, that no other test uses.
// All its ports are free, except for ports on which a program listens on all addresses.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), rand.IntN(256))
}

// onAddress returns a func that replaces addresses in a text: instead of these ports of
// 127.0.0.1, or of all addresses, the text has ports of ip.
func onAddress(ip string, ports ...string) func(string) string {
	var pairs []string
	for _, port := range ports {
		other := ip + ":1" + port // below the ports that Linux gives to connections
		pairs = append(pairs, "127.0.0.1:"+port, other, `":`+port, `"`+other)
	}
	return strings.NewReplacer(pairs...).Replace
}

// output is what a run of the program has written.
type output struct {
	code        int
	out, errOut string
}

func runProgram(ctx context.Context, t *testing.T, args ...string) output {
	t.Helper()
	var out, errOut testlog.Buffer
	code := run(ctx, args, &eofReader{}, &out, &errOut)
	return output{code, out.String(), errOut.String()}
}

func TestExitCodesDistinguishUsageFromFailure(t *testing.T) {
	bad := t.TempDir() + "/bad.yaml"
	if err := os.WriteFile(bad, []byte("listn: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want int
	}{
		{"version", []string{"version"}, exitOK},
		{"help", []string{"--help"}, exitOK},
		{"no command", nil, exitUsage},
		{"unknown command", []string{"dance"}, exitUsage},
		{"unknown flag", []string{"run", "--fast"}, exitUsage},
		{"bad configuration", []string{"run", "-c", bad}, exitUsage},
		{"no configuration", []string{"check", "-c", bad + ".no"}, exitUsage},
		{"too many demo hosts", []string{"demo", "--hosts", "40"}, exitUsage},
		{"agent without a secret", []string{
			"agent", "--name=a", "--address=127.0.0.1:4000", "--join=127.0.0.1:1", "--secret-file=" + bad + ".no",
		}, exitUsage},
		{"agent with a port that none is", []string{
			"agent", "--name=a", "--address=127.0.0.1:0", "--join=127.0.0.1:1", "--secret-file=" + bad,
		}, exitUsage},
		{"agent with a secret that none is", []string{
			"agent", "--name=a", "--address=127.0.0.1:4000", "--bind=127.0.0.1:0", "--join=127.0.0.1:1", "--secret-file=" + bad,
		}, exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runProgram(t.Context(), t, tt.args...)
			if got.code != tt.want {
				t.Errorf("lb %q exits with %d, want %d; it printed: %s%s", tt.args, got.code, tt.want, got.out, got.errOut)
			}
			if tt.want != exitOK && got.errOut == "" {
				t.Errorf("lb %q fails without a message", tt.args)
			}
		})
	}
}

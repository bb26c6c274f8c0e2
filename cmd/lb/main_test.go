package main

import (
	"context"
	"flag"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // the default: parallel tests wait for the demo's timers, not for a processor
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

// lastPort is the port that testPort has returned last.
var lastPort atomic.Int64

// testPort returns a port of loopback on which nobody listens, for a configuration that
// has to name one. No two calls return the same: between the call and the time
// when the port is listened on, another test may ask for one. It is from neither the
// range in which Linux picks ports nor that of the demo's hosts.
func testPort() int {
	const from, to = 10000, 20000
	lastPort.CompareAndSwap(0, int64(os.Getpid())*97) // another process of this test begins elsewhere
	for {
		port := from + int(lastPort.Add(1))%(to-from)
		if ln, err := net.Listen("tcp", loopback(port)); err == nil {
			ln.Close()
			return port
		}
	}
}

// output is what a run of the program wrote.
type output struct {
	code        int
	out, errOut string
}

func runProgram(ctx context.Context, t *testing.T, args ...string) output {
	t.Helper()
	var out, errOut syncBuffer
	code := run(ctx, args, &eofReader{}, &out, &errOut)
	return output{code, out.String(), errOut.String()}
}

func TestExitCodesTellUsageFromFailure(t *testing.T) {
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
				t.Errorf("lb %q exits with %d, want %d; it said: %s%s", tt.args, got.code, tt.want, got.out, got.errOut)
			}
			if tt.want != exitOK && got.errOut == "" {
				t.Errorf("lb %q fails without a word", tt.args)
			}
		})
	}
}

package edge

import (
	"context"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"tokenring/config"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "16") // the default: parallel tests wait for timers, not for a processor
	flag.Parse()
	os.Exit(m.Run())
}

const adminSecret = "the operators' token, for tests alone"

// open builds a balancer on the sockets that cfg names.
func open(cfg *config.Config, accessLog io.Writer) (*Edge, error) {
	sockets, err := Listen(cfg, Here{})
	if err != nil {
		return nil, err
	}
	return New(cfg, sockets, Options{Version: "v0", Logger: zerolog.Nop(), AccessLog: accessLog})
}

// runs runs a balancer until the test ends.
func runs(t *testing.T, e *Edge) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

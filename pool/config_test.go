package pool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

func TestNewRefusesBadConfigurations(t *testing.T) {
	host := hostlist.Host{Spec: route.Spec{Name: "a", Address: "10.0.0.1:1"}}
	good := Options{Name: "lb-1", Logger: zerolog.Nop()}
	for what, row := range map[string]struct {
		cfg   Config
		peers gossip.Config
		o     Options
		want  string
	}{
		"no name":       {o: Options{}, want: "name"},
		"twice":         {cfg: Config{Hosts: []hostlist.Host{host, host}}, o: good, want: "twice"},
		"bad host":      {cfg: Config{Hosts: []hostlist.Host{{Spec: route.Spec{Name: "a", Address: "x"}}}}, o: good, want: "host:port"},
		"heavy host":    {cfg: Config{Hosts: []hostlist.Host{{Spec: route.Spec{Name: "a", Address: "x:1"}, ConfiguredWeight: new(257)}}}, o: good, want: "weight"},
		"bad network":   {cfg: Config{AllowedNetworks: []string{"10"}}, o: good, want: "network"},
		"no secret":     {cfg: Config{Config: gossip.Config{Bind: "127.0.0.1:0"}}, o: good, want: "secret"},
		"no peer key":   {peers: gossip.Config{Bind: "127.0.0.1:0"}, o: good, want: "secret"},
		"bad state dir": {o: Options{Name: "lb-1", StateDir: "config_test.go"}, want: "decisions"},
	} {
		p, err := New(row.cfg, row.peers, row.o)
		if err == nil || p != nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want an error about %q", what, err, row.want)
		}
	}
}

func TestPeersNeedASecretOfTheirOwn(t *testing.T) {
	path := secretFile(t, 1)
	cfg := gossip.Config{Bind: "127.0.0.1:0", SecretFile: path}
	_, err := New(Config{Config: cfg}, cfg, Options{Name: "lb-1", Logger: zerolog.Nop(), Sockets: Sockets{Gossip: listen(t, cfg), Peers: listen(t, cfg)}})
	if err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error about the secret", err)
	}
}

// secretFile writes a secret that repeats one byte.
func secretFile(t testing.TB, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{b}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

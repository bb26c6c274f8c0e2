package main

import (
	"os"
	"strings"
	"testing"

	"tokenring/config"
)

func testJob(t *testing.T, tls bool) job {
	t.Helper()
	j := job{
		TLS: tls, Address: "127.1.2.3:18080", Admin: "127.1.2.3:18081", Dir: t.TempDir(),
		Hosts: []host{{"ide-1", "127.0.0.1:4001"}, {"ide-2", "127.0.0.1:4002"}, {"ide-3", "127.0.0.1:4003"}},
	}
	if err := writeFiles(j.Dir, "127.1.2.3"); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestConfigurationOfLBIsAccepted(t *testing.T) {
	for _, tls := range []bool{false, true} {
		path, err := testJob(t, tls).configure("lb.yaml")
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path)
		if err != nil {
			t.Fatalf("TLS %t: %v", tls, err)
		}
		if cfg.Listen[0].TLS != tls || cfg.Log.Access || len(cfg.Pool.Hosts) != 3 {
			t.Errorf("TLS %t: got %+v", tls, cfg)
		}
	}
}

func TestEveryProxyGetsTheJob(t *testing.T) {
	for _, tls := range []bool{false, true} {
		j := testJob(t, tls)
		for _, p := range proxies("lb") {
			path, err := j.configure(p.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"127.1.2.3:18080", "127.0.0.1:4001", "127.0.0.1:4002", "127.0.0.1:4003", "token"} {
				if !strings.Contains(string(got), want) {
					t.Errorf("TLS %t: %s lacks %q", tls, p.config, want)
				}
			}
			if strings.Contains(string(got), j.Dir+"/edge.") != tls {
				t.Errorf("TLS %t: %s has a certificate %t", tls, p.config, !tls)
			}
		}
	}
}

func TestURLFollowsTheListener(t *testing.T) {
	for tls, want := range map[bool]string{false: "http://127.0.0.1:8000/x", true: "https://127.0.0.1:8000/x"} {
		if got := (job{TLS: tls, Address: "127.0.0.1:8000"}).url("/x"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keysWarned loads lb.yaml in dir, which must be accepted, and returns the keys
// that there are warnings about, in order.
func keysWarned(t *testing.T, dir, text string) string {
	t.Helper()
	put(t, dir, "lb.yaml", []byte(text))
	if strings.Contains(text, "seed") {
		if err := os.Chmod(filepath.Join(dir, "lb.yaml"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(filepath.Join(dir, "lb.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, w := range cfg.Warnings() {
		keys = append(keys, w.Key)
	}
	return strings.Join(keys, " ")
}

const quiet = `listen: [{address: "127.0.0.1:80"}]
pool: {hosts: [{name: ide-1, address: "10.0.0.11:4000"}]}
state_dir: state
`

// TestSecretsThatLBHasMadeAreLookedAtToo: somebody may have opened them since.
func TestSecretsThatLBHasMadeAreLookedAtToo(t *testing.T) {
	for name, want := range map[string]string{"admin.token": "state_dir", "digest.key": "state_dir", "affinity.key": "state_dir", "decisions.json": ""} {
		dir := folder(t)
		file := filepath.Join(dir, "state", name)
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o604)); err != nil {
			t.Fatal(err)
		}
		if got := keysWarned(t, dir, quiet); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestEachSecretThatIsNamedIsLookedAt: one after the other, so that none is left out.
func TestEachSecretThatIsNamedIsLookedAt(t *testing.T) {
	const all = quiet + `tls: {certificates: [{cert: ide.crt, key: ide.key}]}
affinity: {cookie: {name: lb, secret_file: cookie.key}}
peers: {bind: "127.0.0.1:7947", secret_file: peers.key}
admin: {address: "127.0.0.1:7000", token_file: admin.token, tls: {cert: other.crt, key: other.key}}
`
	for file, want := range map[string]string{
		"ide.key": "tls.certificates[0].key", "ide.crt": "", "cookie.key": "affinity.cookie.secret_file[0]",
		"peers.key": "peers.secret_file", "admin.token": "admin.token_file", "other.key": "admin.tls.key",
	} {
		dir := folder(t)
		if err := os.Chmod(filepath.Join(dir, file), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := keysWarned(t, dir, all); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

func TestOnLoopbackNothingIsInClear(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:7000": "", "[::1]:7000": "", "LocalHost:7000": "", "[::ffff:127.0.0.1]:7000": "",
		"10.0.0.2:7000": "admin.insecure", ":7000": "admin.insecure", "127.0.0.1.example.com:7000": "admin.insecure",
	} {
		text := quiet + fmt.Sprintf("admin: {address: %q, token_file: admin.token, insecure: true}\n", address)
		if got := keysWarned(t, folder(t), text); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

// TestWhereHostsMayBeIsSaid: beyond loopback, a host must not choose which machine it is.
func TestWhereHostsMayBeIsSaid(t *testing.T) {
	for pool, want := range map[string]string{
		`bind: "127.0.0.1:7946"`:                                                       "",
		`bind: "127.0.0.1:7946", allowed_networks: [127.0.0.0/8]`:                      "",
		`bind: "0.0.0.0:7946", advertise: "127.0.0.1:7946"`:                            "",
		`bind: "10.0.0.2:7946"`:                                                        "pool.bind",
		`bind: "0.0.0.0:7946", advertise: "10.0.0.2:7946"`:                             "pool.bind",
		`bind: "10.0.0.2:7946", allowed_networks: [10.0.0.0/16]`:                       "",
		`bind: "10.0.0.2:7946", allowed_networks: [10.0.0.0/16, 127.0.0.0/8, "::1"]`:   "pool.allowed_networks[1] pool.allowed_networks[2]",
		`bind: "10.0.0.2:7946", allowed_networks: [169.254.0.0/16, "fe80::/10", "::"]`: "pool.allowed_networks[0] pool.allowed_networks[1]",
	} {
		text := fmt.Sprintf("listen: [{address: \"127.0.0.1:80\"}]\nstate_dir: state\npool: {secret_file: pool.key, %s}\n", pool)
		if got := keysWarned(t, folder(t), text); got != want {
			t.Errorf("%s: got %q, want %q", pool, got, want)
		}
	}
}

func TestASeedInAFileThatOthersCanReadIsWarnedOf(t *testing.T) {
	if got := keysWarned(t, folder(t), quiet+`hash: {seed: "a seed of 16 bytes"}`); got != "hash.seed" {
		t.Errorf("got %q", got)
	}
}

// TestDirectoriesOfSecretsAreLookedAt: who can write there replaces what is in it. Who
// can only list a directory can't read the secrets there.
func TestDirectoriesOfSecretsAreLookedAt(t *testing.T) {
	for _, row := range []struct {
		what      string
		dir, file fs.FileMode
		want      string // the keys
	}{
		{"their owner's alone", 0o700, 0o600, ""},
		{"others may list them", 0o755, 0o600, ""},
		{"others may write there", 0o777, 0o600, "state_dir tls.acme.cache"},
		{"others may read a key", 0o755, 0o644, "tls.acme.cache"},
	} {
		dir := folder(t)
		cache := filepath.Join(dir, "acme")
		key := filepath.Join(cache, "acme_account+key")
		for _, made := range []string{"state", "acme"} {
			if err := errors.Join(os.Mkdir(filepath.Join(dir, made), 0o700), os.Chmod(filepath.Join(dir, made), row.dir)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.WriteFile(key, nil, 0o600), os.Chmod(key, row.file)); err != nil {
			t.Fatal(err)
		}
		acme := `tls: {acme: {domains: [ide.example.com], directory: "https://acme.example.com/dir", cache: acme}}`
		if got := keysWarned(t, dir, quiet+acme); got != row.want {
			t.Errorf("%s: got %q, want %q", row.what, got, row.want)
		}
	}
}

func TestManyHostsAreWarnedOfWithThePolicyThatMindsThem(t *testing.T) {
	for _, row := range []struct {
		hosts  int
		policy string
		want   string
	}{
		{150, "consistent", ""},
		{151, "consistent", "pool.hosts"},
		{151, "rendezvous", ""},
	} {
		text := "listen: [{address: \"127.0.0.1:80\"}]\nstate_dir: state\nhash: {policy: " + row.policy + "}\npool:\n  hosts:\n"
		for i := range row.hosts {
			text += fmt.Sprintf("    - {name: ide-%d, address: \"10.0.1.%d:4000\"}\n", i, i)
		}
		if got := keysWarned(t, folder(t), text); got != row.want {
			t.Errorf("%d hosts, %s: got %q, want %q", row.hosts, row.policy, got, row.want)
		}
	}
}

// TestHostsThatProveNothingAreAWarning, of each pool for itself.
func TestHostsThatProveNothingAreAWarning(t *testing.T) {
	dir := folder(t)
	const api = `pools: {api: {hosts: [{name: a1, address: "10.0.0.21:8080"}], tls: %s}}
routes: [{path_prefix: /api/, pool: api}]
`
	for tls, want := range map[string]string{
		"{}":                                "",
		"{verify: true}":                    "",
		"{verify: false}":                   "pools.api.tls.verify",
		"{cert: other.crt, key: other.key}": "pools.api.tls.key", // others may read it
	} {
		if err := os.Chmod(filepath.Join(dir, "other.key"), 0o604); err != nil {
			t.Fatal(err)
		}
		if got := keysWarned(t, dir, quiet+fmt.Sprintf(api, tls)); got != want {
			t.Errorf("%s: got %q, want %q", tls, got, want)
		}
	}
	if got := keysWarned(t, dir, strings.Replace(quiet, "pool: {", "pool: {tls: {verify: false}, ", 1)); got != "pool.tls.verify" {
		t.Errorf("got %q", got)
	}
}

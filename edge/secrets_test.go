package edge

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokenring/config"
)

// parsed returns the configuration in text, with paths below dir. The files of secret_file
// and token_file exist.
func parsed(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	for name, secret := range map[string]string{"peers.key": strings.Repeat("0f", 32), "given.token": adminSecret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse(filepath.Join(dir, "lb.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// built returns why no balancer can be built with cfg, nil if one can. It doesn't run it.
func built(cfg *config.Config) error {
	e, err := open(cfg, io.Discard)
	if err == nil {
		e.Close()
	}
	return err
}

const listedHost = `
name: lb-1
listen: [{address: "127.0.0.1:0"}]
pool: {hosts: [{name: ide-1, address: "127.0.0.1:4000"}]}
`

// TestAStateDirectoryIsMadeWhateverIsConfigured, even if it holds no secret.
func TestAStateDirectoryIsMadeWhateverIsConfigured(t *testing.T) {
	for name, text := range map[string]string{
		"nothing else":            `admin: {address: "127.0.0.1:0"}`,
		"all secrets have a file": "admin: {address: \"127.0.0.1:0\", token_file: given.token}\npeers: {bind: \"127.0.0.1:0\", secret_file: peers.key}",
	} {
		dir := t.TempDir()
		if err := built(parsed(t, dir, listedHost+"state_dir: var/lb\n"+text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(filepath.Join(dir, "var/lb")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, %v; want a directory with mode 0700", name, info, err)
		}
	}
}

func TestABalancerDoesNotStartWithoutItsStateDirectory(t *testing.T) {
	dir := t.TempDir()
	cfg := parsed(t, dir, listedHost+"state_dir: in/the/way\nadmin: {address: \"127.0.0.1:0\", token_file: given.token}")
	if err := os.WriteFile(filepath.Join(dir, "in"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := built(cfg)
	if err == nil || !strings.Contains(err.Error(), "state_dir: ") || !strings.Contains(err.Error(), "install -d -m 700") {
		t.Errorf("got %v, want what is wrong and the remedy", err)
	}
}

// An empty affinity.key would let anyone forge cookies, so lb doesn't start with it.
func TestASecretThatACrashHasCutIsRefused(t *testing.T) {
	for _, name := range []string{"admin.token", "digest.key", "affinity.key"} {
		for what, text := range map[string]string{"empty": "", "a line feed": "\n", "short": "MARKED-MARKED\n", "zeros": strings.Repeat("\x00", 44)} {
			dir := t.TempDir()
			cfg := parsed(t, dir, listedHost+"state_dir: state\nadmin: {address: \"127.0.0.1:0\"}\naffinity: {cookie: {name: lb}}")
			file := filepath.Join(cfg.StateDir, name)
			if err := errors.Join(os.Mkdir(cfg.StateDir, 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
			err := built(cfg)
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "remove the file") || strings.Contains(err.Error(), "MARKED") {
				t.Errorf("%s, %s: got %v, want the file and the remedy", name, what, err)
			}
		}
	}
}

// A secret that can't be read may be valid, so operators should not remove it.
func TestAnErrorForAnUnreadableSecretDoesNotAdviseToRemoveIt(t *testing.T) {
	cfg := parsed(t, t.TempDir(), listedHost+"state_dir: state\nadmin: {address: \"127.0.0.1:0\"}")
	file := filepath.Join(cfg.StateDir, "digest.key")
	if err := os.MkdirAll(file, 0o700); err != nil { // root may read every file, but no directory
		t.Fatal(err)
	}
	err := built(cfg)
	if err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "remove") {
		t.Errorf("got %v", err)
	}
}

func TestOwnSecretsAreReadableOnlyForTheirOwner(t *testing.T) {
	dir := t.TempDir()
	cfg := parsed(t, dir, listedHost+"state_dir: state\nadmin: {address: \"127.0.0.1:0\"}\naffinity: {cookie: {name: lb}}")
	held := map[string]string{}
	for range 2 { // the second start finds them
		if err := built(cfg); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"admin.token", "digest.key", "affinity.key"} {
			file := filepath.Join(cfg.StateDir, name)
			data, err := os.ReadFile(file)
			if info, _ := os.Stat(file); err != nil || info.Mode() != fs.FileMode(0o600) || len(data) != 44 {
				t.Errorf("%s: %d bytes, %v, %v", name, len(data), info.Mode(), err)
			}
			if before, ok := held[name]; ok && before != string(data) {
				t.Errorf("%s is another one after a restart", name)
			}
			held[name] = string(data)
		}
	}
}

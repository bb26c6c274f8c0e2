package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"tokenring/balancer"
	"tokenring/pool/eligibility"
	"tokenring/proxy"
)

var update = flag.Bool("update", false, "rewrite what the stories expect")

// folder makes a directory with the files that configurations name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"503.html":       "<p>{status}</p>\n",
		"error.html":     "<p>{status}</p>\n",
		"pool.key":       strings.Repeat("0f", 32) + "\n",
		"peers.key":      strings.Repeat("f0", 32) + "\n",
		"cookie.key":     strings.Repeat("a5", 32) + "\n",
		"next.key":       strings.Repeat("5a", 32) + "\n",
		"short.key":      "not-32-bytes\n",
		"admin.token":    "swordfish-swordfish\n",
		"short.token":    "fifteen-letters\n",
		"reader.token":   "whoever-may-look\n",
		"empty.token":    " \n",
		"lines.token":    "swordfish-swordfish\nswordfish-swordfish\n",
		"networks.txt":   "10.0.0.0/8 # the office\n",
		"admin.htpasswd": "eva:$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6\n",
		"md5.htpasswd":   "# by htpasswd -m\neva:$apr1$abc$def\n",
		"hosts.keys":     "ide-1 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo\n\nide-2 PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=   # in the cellar\n",
		"robots.txt":     "User-agent: *\n",
		"hosts.yaml":     "- {name: ide-9, id: 9, address: '10.0.0.19:4000'}\n",
		"short.keys":     "ide-1 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo\nide-2 abc\n",
	} {
		put(t, dir, name, []byte(data))
	}
	const day = 24 * time.Hour
	pair(t, dir, "ide", 60*day)
	pair(t, dir, "other", 60*day)
	pair(t, dir, "soon", 13*day)
	pair(t, dir, "expired", -day)
	for _, name := range []string{"certs", "junk", "mixed"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	pair(t, dir, "certs/site", 60*day)
	put(t, dir, "junk/site.pem", []byte("nothing\n"))
	pair(t, dir, "mixed/site", 60*day)
	pair(t, dir, "mixed/soon", 13*day)
	put(t, dir, "mixed/bad.pem", []byte("nothing\n"))
	put(t, dir, "open.key", []byte(strings.Repeat("3c", 32)))
	put(t, dir, "open-cookie.key", []byte(strings.Repeat("c3", 32)))
	put(t, dir, "open.token", []byte("swordfish-swordfish"))
	for _, name := range []string{"open.key", "open-cookie.key", "open.token"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair makes a certificate, which has so much left of its life, and its key.
func pair(t *testing.T, dir, name string, left time.Duration) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"ide.example.com"},
		NotBefore: time.Now().Add(left - 90*24*time.Hour), NotAfter: time.Now().Add(left),
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	put(t, dir, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// TestStories reads each testdata/config/*.txtar: its lb.yaml must give the
// errors in want, or be accepted with the warnings there. The files that it names
// lie beside it.
func TestStories(t *testing.T) {
	stories, err := filepath.Glob("../testdata/config/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatal("no stories", err)
	}
	for _, story := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txtar"), func(t *testing.T) { tell(t, story) })
	}
}

// stateDirOf returns the state_dir of an lb.yaml, or the default.
func stateDirOf(text []byte) string {
	_, rest, ok := bytes.Cut(text, []byte("state_dir: "))
	if !ok {
		return defaultStateDir
	}
	dir, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(dir)
}

var instants = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{5} UTC`)

func tell(t *testing.T, story string) {
	archive, err := txtar.ParseFile(story)
	if err != nil {
		t.Fatal(err)
	}
	last := len(archive.Files) - 1
	if last < 1 || archive.Files[0].Name != "lb.yaml" || archive.Files[last].Name != "want" {
		t.Fatal("a story has the file lb.yaml, others that it names, and want")
	}
	dir := folder(t)
	for _, file := range archive.Files[:last] {
		put(t, dir, file.Name, file.Data)
	}
	got := "accepted\n"
	cfg, err := Load(filepath.Join(dir, "lb.yaml"))
	if err != nil {
		got = err.Error() + "\n"
	} else {
		for _, w := range cfg.Warnings() {
			if w.Key != "state_dir" || !filepath.IsAbs(stateDirOf(archive.Files[0].Data)) {
				got += w.String() + "\n" // else it is about this machine, and who runs the test
			}
		}
	}
	got = strings.NewReplacer(dir+"/", "", dir, ".").Replace(got)
	got = instants.ReplaceAllString(got, "DATE")
	if *update {
		archive.Files[last].Data = []byte(got)
		if err := os.WriteFile(story, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(archive.Files[last].Data), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestExamplesAreAccepted(t *testing.T) {
	examples, err := filepath.Glob("../testdata/config/examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatal("no examples", err)
	}
	for _, example := range examples {
		data, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		dir := folder(t)
		put(t, dir, "lb.yaml", data)
		if _, err := Load(filepath.Join(dir, "lb.yaml")); err != nil {
			t.Errorf("%s:\n%v", example, err)
		}
	}
}

func TestEveryDefaultIsFilledIn(t *testing.T) {
	c, err := Parse("lb.yaml", []byte("name: lb-1\nlisten: [{address: ':8080'}]\npool: {hosts: [{name: ide-1, address: '10.0.0.11:4000'}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		key       string
		got, want any
	}{
		{"name", c.Name, "lb-1"},
		{"listen", c.Listen, []proxy.ListenConfig{{Address: ":8080"}}},
		{"hash.key", c.Hash.Key, []balancer.KeyRule{{Source: balancer.KeyQuery, Name: "token"}}},
		{"hash.policy", c.Hash.Policy, "consistent"},
		{"hash.consistent", c.Hash.Consistent, balancer.ConsistentConfig{Partitions: 16381, Replicas: 160, Load: 1.25}},
		{"pool.hosts[0].weight", c.Pool.Hosts[0].Weight, 1},
		{"pool.freeze", c.Pool.Freeze, eligibility.FreezeConfig{Share: 0.5, For: 2 * time.Minute, MinHosts: 6}},
		{"health.path", c.Health.CheckPath(), "/healthz"},
		{"health.interval", c.Health.Interval, 2 * time.Second},
		{"health.timeout", c.Health.Timeout, time.Second},
		{"health.rise", c.Health.Rise, 2},
		{"health.fall", c.Health.Fall, 3},
		{"health.damping", c.Health.Damping, Damping(10 * time.Second)},
		{"peers.agree_within", c.Peers.AgreeWithin, Agreement(10 * time.Minute)},
		{"health.on_down", c.Health.OnDown, OnDownKeep},
		{"health.close_after", c.Health.CloseAfter, 30 * time.Second},
		{"timeouts.handshake", c.Timeouts.Handshake, 5 * time.Second},
		{"timeouts.head", c.Timeouts.Head, 10 * time.Second},
		{"timeouts.connect", c.Timeouts.Connect, 2 * time.Second},
		{"timeouts.response", c.Timeouts.Response, time.Minute},
		{"timeouts.host_idle", c.Timeouts.HostIdle, 3 * time.Second},
		{"timeouts.idle", c.Timeouts.Idle, time.Minute},
		{"timeouts.tunnel", c.Timeouts.Tunnel, time.Hour},
		{"shutdown", c.Shutdown, ShutdownConfig{Grace: 10 * time.Second}},
		{"sessions.linger", c.Sessions.Linger, Linger(10 * time.Minute)},
		{"sessions.strict_lease", c.Sessions.StrictLease, 10 * time.Second},
		{"hosts don't fence themselves", c.FenceWait(), time.Duration(0)},
		{"admin.address", c.Admin.Address, "127.0.0.1:7000"},
		{"admin.confirm_share", *c.Admin.ConfirmShare, 0.5},
		{"log", c.Log, LogConfig{Level: "info", Format: "json", Access: true}},
		{"state_dir", c.StateDir, "/var/lib/lb"},
	} {
		if diff := cmp.Diff(row.want, row.got); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.key, diff)
		}
	}
}

func TestWhatTheFileSaysWinsOverDefaults(t *testing.T) {
	dir := folder(t)
	put(t, dir, "lb.yaml", []byte(`
listen: [{address: ":443", tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}], min_version: 1.3}
hash: {key: [{cookie: sid}, source], consistent: {load: 1.1}}
health: {path: "", interval: 500ms, timeout: 0.5s, damping: off, on_down: close, close_after: 5s}
pool: {bind: "0.0.0.0:7946", advertise: "10.0.0.2:7946", secret_file: pool.key, freeze: {share: 0.25}}
peers: {bind: "0.0.0.0:7947", secret_file: peers.key}
admin: {confirm_share: 0}
sessions: {linger: off}
log: {access: false}
state_dir: state
`))
	c, err := Load(filepath.Join(dir, "lb.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		key       string
		got, want any
	}{
		{"paths are resolved", c.TLS.Certificates[0].Cert, filepath.Join(dir, "ide.crt")},
		{"state_dir", c.StateDir, filepath.Join(dir, "state")},
		{"a version is a text", c.TLS.MinVersion, "1.3"},
		{"health.path", c.Health.CheckPath(), ""},
		{"health.timeout", c.Health.Timeout, 500 * time.Millisecond},
		{"health.damping", c.Health.Damping, Damping(0)},
		{"health.close_after", c.Health.CloseAfter, 5 * time.Second},
		{"pool.freeze", c.Pool.Freeze, eligibility.FreezeConfig{Share: 0.25, For: 2 * time.Minute, MinHosts: 6}},
		{"admin.confirm_share", *c.Admin.ConfirmShare, 0.0},
		{"sessions.linger", c.Sessions.Linger, Linger(0)},
		{"peers.agree_within", c.Peers.AgreeWithin, Agreement(0)},
		{"log.access", c.Log.Access, false},
		{"hash.consistent.load", c.Hash.Consistent.Load, 1.1},
		{"hash.key", c.Hash.Key, []balancer.KeyRule{{Source: balancer.KeyCookie, Name: "sid"}, {Source: balancer.KeyClient}}},
		{"peers are reached where the pool is", c.Peers.Advertise, "10.0.0.2:7947"},
	} {
		if diff := cmp.Diff(row.want, row.got); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.key, diff)
		}
	}
}

func TestMissingConfigurationIsNamed(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "no.yaml"), t.TempDir()} {
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// FuzzParse: whatever the file holds, Parse returns, and each error is about a
// place in it.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../testdata/config/*.txtar", "../testdata/config/examples/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if archive := txtar.Parse(data); len(archive.Files) > 0 {
				data = archive.Files[0].Data
			}
			f.Add(data)
		}
	}
	for _, text := range []string{"", "\x00", "a: &a [*a]", "<<: {a: b}", "? [a]: b", "- - - -", "listen: |\n  x", "a: 'b", "\t", "{{{{", "!!x y", "listen:\r\n- \r\n", "a: b\n---\nc: d", "? a\n: b", "listen: [{address: &x :80}]", "pool: {hosts: [{weight: 1e999, id: -0, name: 0x10}]}", "listen: ~", "%YAML 1.2\n---\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("lb.yaml", data)
		if err == nil {
			if c == nil {
				t.Fatal("neither a configuration nor an error")
			}
			return
		}
		var errs Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("not Errors: %v", err)
		}
		lines := bytes.Count(bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\n")) + 1
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" || e.File != "lb.yaml" && filepath.Dir(e.File) != "." {
				t.Errorf("error without a place: %#v", e)
			}
		}
	})
}

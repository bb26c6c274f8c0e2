package pool

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestSecretComesInThreeSpellings(t *testing.T) {
	key := []byte("0123456789abcdef\x00\x01\x02\x03\xff\xfe ~\n\t\r\"{}\\z")[:32]
	for what, content := range map[string]string{
		"raw":        string(key),
		"hex":        hex.EncodeToString(key) + "\n",
		"upper hex":  " " + strings.ToUpper(hex.EncodeToString(key)),
		"base64":     base64.StdEncoding.EncodeToString(key) + "\r\n",
		"no padding": base64.RawStdEncoding.EncodeToString(key),
		"URL base64": base64.URLEncoding.EncodeToString(key),
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSecret(path); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: got %x, %v", what, got, err)
		}
	}
}

func TestBadSecretIsAnErrorThatKeepsIt(t *testing.T) {
	for what, content := range map[string]string{
		"empty":     "",
		"short":     "geheim-geheim",
		"31 bytes":  strings.Repeat("g", 31),
		"newline":   strings.Repeat("!", 32) + "\n",
		"two lines": hex.EncodeToString(make([]byte, 16)) + "\n" + hex.EncodeToString(make([]byte, 16)),
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecret(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", what, err)
		} else if content != "" && strings.Contains(err.Error(), strings.TrimSpace(content)) {
			t.Errorf("%s: the error shows the secret: %v", what, err)
		}
	}
	if _, err := ReadSecret(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "ide-1", "IDE_1.example", "9", strings.Repeat("x", 64)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", ".a", "a b", "a/b", "a#0", "é", "a\n", strings.Repeat("x", 65)} {
		if CheckName(bad) == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"10.0.0.1:4000", "[::1]:1", "ide-1.example.com:65535", "localhost:80"} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "10.0.0.1", ":80", "a:0", "a:65536", "a:http", "a/b:80", "::1:80"} {
		if CheckAddress(bad) == nil {
			t.Errorf("%q passed", bad)
		}
	}
	for _, good := range []string{":7946", "0.0.0.0:7946", "[::]:0", "10.0.0.2:7946"} {
		if err := CheckBind(good); err != nil {
			t.Errorf("bind %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "7946", "localhost:7946", ":x", "10.0.0.2"} {
		if CheckBind(bad) == nil {
			t.Errorf("bind %q passed", bad)
		}
	}
}

func TestWhatIsAdvertised(t *testing.T) {
	for _, row := range []struct {
		bind, explicit string
		seeds          []string
		want           string // "" is an error
	}{
		{"10.0.0.2:7946", "", nil, "10.0.0.2:7946"},
		{"0.0.0.0:7946", "10.0.0.2:1234", nil, "10.0.0.2:1234"},
		{"0.0.0.0:7946", "10.0.0.2:0", nil, "10.0.0.2:7946"}, // the bound port
		{":7946", "", []string{"nowhere.invalid:1", "127.0.0.1:7946"}, "127.0.0.1:7946"},
		{":7946", "0.0.0.0:7946", nil, ""},
		{":7946", "lb-1:7946", nil, ""},
	} {
		bind, err := parseBind(row.bind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := advertised(bind, row.explicit, row.seeds)
		if row.want == "" {
			if err == nil {
				t.Errorf("bind %s, advertise %q: got %s, want an error", row.bind, row.explicit, got)
			}
			continue
		}
		if err != nil || got != netip.MustParseAddrPort(row.want) {
			t.Errorf("bind %s, advertise %q, seeds %v: got %s, %v; want %s", row.bind, row.explicit, row.seeds, got, err, row.want)
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	host := StaticHost{Name: "a", Address: "10.0.0.1:1"}
	good := Options{Name: "lb-1", Logger: zerolog.Nop()}
	for what, row := range map[string]struct {
		cfg   Config
		peers PeersConfig
		o     Options
		want  string
	}{
		"no name":       {o: Options{}, want: "name"},
		"twice":         {cfg: Config{Hosts: []StaticHost{host, host}}, o: good, want: "twice"},
		"bad host":      {cfg: Config{Hosts: []StaticHost{{Name: "a", Address: "x"}}}, o: good, want: "host:port"},
		"heavy host":    {cfg: Config{Hosts: []StaticHost{{Name: "a", Address: "x:1", Weight: new(257)}}}, o: good, want: "weight"},
		"bad network":   {cfg: Config{AllowedNetworks: []string{"10"}}, o: good, want: "network"},
		"no secret":     {cfg: Config{Bind: "127.0.0.1:0"}, o: good, want: "secret"},
		"no peer key":   {peers: PeersConfig{Bind: "127.0.0.1:0"}, o: good, want: "secret"},
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
	_, err := New(
		Config{Bind: "127.0.0.1:0", SecretFile: path},
		PeersConfig{Bind: "127.0.0.1:0", SecretFile: path},
		Options{Name: "lb-1", Logger: zerolog.Nop()},
	)
	if err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error about the secret", err)
	}
}

// secretFile writes a secret that consists of one byte, over and over.
func secretFile(t testing.TB, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{b}, secretSize), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

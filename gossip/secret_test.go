package gossip

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/testlog"
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
		if got, err := ReadSecrets(path); err != nil || len(got) != 1 || !bytes.Equal(got[0], key) {
			t.Errorf("%s: got %x, %v", what, got, err)
		}
	}
}

// spelled returns a line with a secret that consists of one byte, over and over.
func spelled(b byte) string { return hex.EncodeToString(secretOf(b)) + "\n" }

func secretOf(b byte) []byte { return bytes.Repeat([]byte{b}, secretSize) }

func TestAFileMayHoldTwoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for what, row := range map[string]struct {
		content string
		want    [][]byte
	}{
		"one":         {spelled(1), [][]byte{secretOf(1)}},
		"two":         {spelled(1) + spelled(2), [][]byte{secretOf(1), secretOf(2)}},
		"two, spaced": {"\n " + spelled(2) + "\r\n\n" + base64.StdEncoding.EncodeToString(secretOf(1)), [][]byte{secretOf(2), secretOf(1)}},
	} {
		if err := os.WriteFile(path, []byte(row.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecrets(path)
		if err != nil || !slices.EqualFunc(got, row.want, bytes.Equal) {
			t.Errorf("%s: got %x, %v; want %x", what, got, err, row.want)
		}
	}
}

func TestADigestNamesASecretAndHoldsNothingOfIt(t *testing.T) {
	if got := SecretDigest(secretOf(1)); len(got) != 8 || got != SecretDigest(secretOf(1)) || got == SecretDigest(secretOf(2)) {
		t.Errorf("got %q", got)
	}
}

// TestSecretsBecomeThoseOfTheFile goes from each pair of secrets to each other.
func TestSecretsBecomeThoseOfTheFile(t *testing.T) {
	contents := []string{spelled(1), spelled(1) + spelled(2), spelled(2) + spelled(1), spelled(2), spelled(1) + spelled(3), spelled(3) + spelled(2), spelled(4) + spelled(3)}
	path := filepath.Join(t.TempDir(), "key")
	write := func(content string) [][]byte {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadSecrets(path)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for from, before := range contents {
		for to, after := range contents {
			write(before)
			s, err := openSecrets(path, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			want := write(after)
			s.refresh(at(0))
			s.refresh(at(1))
			if got := s.keys(); !slices.EqualFunc(got, want, bytes.Equal) || s.problem != "" {
				t.Errorf("from %d to %d: got %x, %q; want %x", from, to, got, s.problem, want)
			}
		}
	}
}

func TestASecretFileThatIsBeingWrittenChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(spelled(1))
	log := new(testlog.Buffer)
	s, err := openSecrets(path, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{spelled(2), "", "x", spelled(2), spelled(2) + spelled(1)} {
		put(content)
		s.refresh(at(i))
		if got := s.keys(); len(got) != 1 || !bytes.Equal(got[0], secretOf(1)) || s.problem != "" {
			t.Fatalf("after %q: %x, %q", content, got, s.problem)
		}
	}
	s.refresh(at(10))
	if got := s.keys(); len(got) != 2 || !bytes.Equal(got[0], secretOf(2)) {
		t.Errorf("got %x, want both", got)
	}
}

func TestBadContentsOfASecretFileChangeNothingAndAreKnown(t *testing.T) {
	path, log := filepath.Join(t.TempDir(), "key"), new(testlog.Buffer)
	refresh := func(s *secrets, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			s.refresh(at(i))
		}
	}
	if err := os.WriteFile(path, []byte(spelled(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openSecrets(path, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	refresh(s, "geheim-geheim-geheim\n")
	if len(s.changed) != 1 || s.problem == "" || strings.Contains(s.problem, "geheim") || !bytes.Equal(s.keys()[0], secretOf(1)) {
		t.Errorf("got %x, problem %q", s.keys(), s.problem)
	}
	if got := log.Lines(`"level":"error"`, path); len(got) != 1 || strings.Contains(got[0], "geheim") {
		t.Errorf("logged %q, want a line once", got)
	}
	refresh(s, spelled(1))
	if s.problem != "" {
		t.Errorf("the problem stays: %q", s.problem)
	}
}

func TestGossipsTakeNoSecretFromOneAnother(t *testing.T) {
	pool, peers := Config{SecretFile: secretFile(t, 1)}, Config{SecretFile: secretFile(t, 2)}
	g, _ := node{cfg: pool}.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	other, _ := node{cfg: peers}.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	if err := g.KeepApart(other); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{pool.SecretFile: spelled(1) + spelled(2), peers.SecretFile: spelled(3) + spelled(1)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both refuse what they have found", func() bool { return g.SecretProblem() != "" && other.SecretProblem() != "" })
	if len(g.secrets.keys()) != 1 || len(other.secrets.keys()) != 1 {
		t.Errorf("got %x and %x", g.secrets.keys(), other.secrets.keys())
	}
	same, _ := node{cfg: pool}.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}})
	if err := g.KeepApart(same); err == nil {
		t.Error("two gossips with one secret are fine")
	}
}

// TestTheSecretOfAGossipChangesWithoutALossOfMembers changes it in the order of the
// runbook: nobody is lost at any time.
func TestTheSecretOfAGossipChangesWithoutALossOfMembers(t *testing.T) {
	t.Parallel()
	const members = 3
	var files []string
	var all []*Gossip
	for i := range members {
		files = append(files, secretFile(t, 1))
		n := node{cfg: Config{SecretFile: files[i]}}
		if i > 0 {
			n.cfg.Join = []string{all[0].Addr()}
		}
		g, _ := n.start(t, localHost(fmt.Sprintf("ide-%d", i), fmt.Sprintf("127.0.0.1:%d", i+1)))
		all = append(all, g)
	}
	together := func() bool {
		for _, g := range all {
			if len(living(g.Members())) != members-1 {
				return false
			}
		}
		return true
	}
	eventually(t, "they meet", together)
	for _, content := range []string{spelled(1) + spelled(2), spelled(2) + spelled(1), spelled(2)} {
		for i, g := range all { // one after the other
			if err := os.WriteFile(files[i], []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			want, _ := ReadSecrets(files[i])
			eventually(t, "it has the new secrets", func() bool {
				if !together() {
					t.Fatalf("a member is lost when %d of the members have %q", i, content)
				}
				return slices.EqualFunc(g.secrets.keys(), want, bytes.Equal)
			})
		}
		since := time.Now()
		eventually(t, "probes have gone to and fro", func() bool {
			if !together() {
				t.Fatalf("a member is lost when all have %q", content)
			}
			return time.Since(since) > 5*fast.Probe
		})
	}
}

func TestBadSecretIsAnErrorThatKeepsIt(t *testing.T) {
	for what, content := range map[string]string{
		"empty":     "",
		"short":     "geheim-geheim",
		"31 bytes":  strings.Repeat("g", 31),
		"newline":   strings.Repeat("!", 32) + "\n",
		"two lines": hex.EncodeToString(make([]byte, 16)) + "\n" + hex.EncodeToString(make([]byte, 16)),
		"twice":     spelled(1) + spelled(1),
		"three":     spelled(1) + spelled(2) + spelled(3),
		"one bad":   spelled(1) + "geheim-geheim\n",
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecrets(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", what, err)
		} else if content != "" && strings.Contains(err.Error(), strings.TrimSpace(content)) {
			t.Errorf("%s: the error shows the secret: %v", what, err)
		}
	}
	if _, err := ReadSecrets(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}

package tlsterm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/testlog"
)

// running runs story in a bubble, beside a running source, and ends it. The story begins between
// two polls, and goes on between two of them if it sleeps for a multiple of pollFiles.
func running(t *testing.T, cfg Config, story func(*Source, *testlog.Buffer)) {
	t.Helper()
	book := new(testlog.Buffer)
	s, err := New(cfg, zerolog.New(book))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	time.Sleep(pollFiles / 2)
	story(s, book)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

func TestChangedFilesAreReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := newPair(t, dir, "a", "ecdsa", "ide.example.com")
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, book *testlog.Buffer) {
			newPair(t, dir, "a", "ecdsa", "ide.example.com")
			time.Sleep(2 * pollFiles)
			if !seenBy(t, s, "ide.example.com").Equal(leafOf(t, p.Cert)) {
				t.Error("the old certificate is still served")
			}
			if n := strings.Count(book.String(), "certificate reloaded"); n != 1 {
				t.Errorf("%d log lines, want 1", n)
			}
		})
	})
}

func TestBadFilesLeaveTheOldPairAndAreAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := newPair(t, dir, "a", "ecdsa", "ide.example.com")
		old := leafOf(t, p.Cert)
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, book *testlog.Buffer) {
			cert, key := pairPEM(t, "ecdsa", time.Time{}, "ide.example.com")
			write(t, p.Cert, cert) // half of a change: the key is the old one
			time.Sleep(10 * pollFiles)
			if !seenBy(t, s, "ide.example.com").Equal(old) {
				t.Error("a certificate without its key replaced the good pair")
			}
			if e := s.Expiries()[0]; !strings.Contains(e.Problem, "doesn't match") || !e.NotAfter.Equal(old.NotAfter) {
				t.Errorf("got %+v, want the old one's date and the new one's problem", e)
			}
			if n := strings.Count(book.String(), "isn't used"); n != 1 {
				t.Errorf("%d log lines for one change, want 1", n)
			}

			write(t, p.Key, key) // the other half
			time.Sleep(2 * pollFiles)
			if seenBy(t, s, "ide.example.com").Equal(old) {
				t.Error("the completed change isn't in use")
			}
			if e := s.Expiries()[0]; e.Problem != "" {
				t.Errorf("still shown: %s", e.Problem)
			}

			os.Remove(p.Key)
			time.Sleep(2 * pollFiles)
			seenBy(t, s, "ide.example.com")
			if e := s.Expiries()[0]; !strings.Contains(e.Problem, "no such file") {
				t.Errorf("a vanished key: got %+v", e)
			}
		})
	})
}

func TestSwappedLinkIsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, v := range []string{"v1", "v2"} {
			if err := os.Mkdir(filepath.Join(dir, v), 0o700); err != nil {
				t.Fatal(err)
			}
			newPair(t, filepath.Join(dir, v), "a", "ecdsa", "ide.example.com")
		}
		link := filepath.Join(dir, "current")
		if err := os.Symlink("v1", link); err != nil {
			t.Fatal(err)
		}
		p := Pair{Cert: filepath.Join(link, "a.crt"), Key: filepath.Join(link, "a.key")}
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, _ *testlog.Buffer) {
			if err := os.Symlink("v2", link+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".new", link); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * pollFiles)
			if !seenBy(t, s, "ide.example.com").Equal(leafOf(t, filepath.Join(dir, "v2", "a.crt"))) {
				t.Error("the old link's certificate is still served")
			}
		})
	})
}

func TestNewReportsAllBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := newPair(t, dir, "a", "ecdsa", "ide.example.com")
	_, err := New(Config{Terms: Terms{Certificates: []Pair{
		{Cert: filepath.Join(dir, "x.crt"), Key: good.Key},
		good,
		{Cert: good.Cert, Key: filepath.Join(dir, "y.key")},
	}}}, zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "x.crt") || !strings.Contains(err.Error(), "y.key") {
		t.Errorf("got %v, want both files named", err)
	}
	if _, err := New(Config{}, zerolog.Nop()); err == nil {
		t.Error("a source of nothing was made")
	}
	if _, err := New(Config{Terms: Terms{Certificates: []Pair{good}, MinVersion: "1.1"}}, zerolog.Nop()); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestExpiriesListsEveryCertificate(t *testing.T) {
	dir := t.TempDir()
	a, b := newPair(t, dir, "a", "ecdsa", "ide.example.com", "10.0.0.1"), newPair(t, dir, "b", "ecdsa", "*.example.org")
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{a, b}}})
	got := s.Expiries()
	if len(got) != 2 || got[0].File != a.Cert || got[1].File != b.Cert || !got[0].NotAfter.Equal(leafOf(t, a.Cert).NotAfter) {
		t.Fatalf("got %+v", got)
	}
	if names := strings.Join(got[0].Names, " "); names != "ide.example.com 10.0.0.1" {
		t.Errorf("got names %s", names)
	}
}
